// Where the room for a step's pages comes from when memory is short.
#include <algorithm>

#include "engine/scheduler.h"

namespace kvasir {

// Pages for the rows of a step: from idle slots, then by letting prompts wait, then by preempting
// the least important answers.
void Scheduler::MakeRoom(std::vector<Work>& works) {
  if (Available() == kNoLimit) return;
  const auto need = [&] {
    Sequence::Room all;
    for (const Work& work : works) {
      const Sequence::Room room = SequenceOf(*work.job).RoomFor(work.n);
      all.bytes += room.bytes;
      all.for_a_moment = std::max(all.for_a_moment, room.for_a_moment);
    }
    return all.bytes + all.for_a_moment;
  };
  while (!works.empty() && need() > Available()) {
    if (ReclaimIdle()) continue;
    if (works.size() > 1 && works.back().prompt) {
      works.pop_back();
      continue;
    }
    BatchJob* least = nullptr;
    for (const auto& job : running_) {
      if (!slots_[job->slot].sequence) continue;
      const auto rank = [](const BatchJob& j) { return std::pair(-j.request->priority, j.id); };
      // Of answers to one request the one that was admitted last.
      if (least == nullptr || rank(*job) >= rank(*least)) least = job.get();
    }
    alone(*least) ? EndForRoom(*least) : Preempt(*least);
    std::erase_if(works, [](const Work& work) { return work.job->slot < 0; });
  }
}

// No other answer could give it room.
bool Scheduler::alone(const BatchJob& job) const {
  return std::none_of(running_.begin(), running_.end(), [&](const auto& other) {
    return other.get() != &job && slots_[other->slot].sequence != nullptr;
  });
}

void Scheduler::EndForRoom(BatchJob& job) {
  if (job.n_generated() > 0) {
    Slot& slot = slots_[job.slot];
    job.EndFor("the KV memory is full; --kv-memory gives more room, --kv keeps less");
    End(job);
    slot.sequence.reset();  // it may be between two states
    return;
  }
  Fail(job, {Refusal::kNoKvMemory,
             fmt::format("the prompt's {} tokens do not fit into the KV memory; raise --kv-memory, "
                         "or keep less with --kv",
                         job.text().size())});
}

// True: the piece did not come through all layers as it should, and its answer has left the step;
// the others go on. Where it was for want of memory, in spite of MakeRoom (the system has less than
// was promised), the answer waits. What a method has shaped in some layers and not in others is of
// no use: the text is read again, as it was read before.
bool Scheduler::LeavesStep(BatchJob& job, const Piece& piece) {
  if (piece.status && !piece.no_room) return false;
  const bool again = job.spec->program->is_full() || job.n_cached == 0;
  if (!piece.no_room) {
    Fail(job, {Refusal::kFailed, piece.status.error().message});
  } else if (!alone(job) && again) {
    Preempt(job, /*damaged=*/true);
    tight_ = true;
  } else if (piece.status) {
    return false;  // what it holds is right, though the last bits may be others
  } else if (alone(job)) {
    piece.sequence->RollBack();
    EndForRoom(job);
  } else {  // it went on from a cache that is no more
    Fail(job, {Refusal::kNoRoomNow, "the KV memory is full; try again later"});
  }
  return true;
}

// `full` is read again later, which is cheaper than to keep it; what a method has shaped is put
// aside, where it is whole.
void Scheduler::Preempt(BatchJob& job, bool damaged) {
  Slot& slot = slots_[job.slot];
  const bool unshaped = slot.sequence->in_prompt() && slot.sequence->compressed_at() == 0 &&
                        job.n_cached == 0 && job.n_generated() == 0;
  job.NoteCache(*slot.sequence);
  if (job.spec->program->is_full() || unshaped || damaged) {
    figures_.reread_tokens += slot.sequence->size();
    slot.sequence.reset();
  } else {
    slot.sequence->Suspend();
    job.sequence = std::move(slot.sequence);
  }
  ++job.n_preempted;
  ++figures_.preemptions;
  Answers answers;
  for (size_t i = 0; i < running_.size();) {
    const bool follows = running_[i]->leader == &job && !slots_[running_[i]->slot].sequence;
    if (running_[i].get() != &job && !follows) {
      ++i;
      continue;
    }
    slots_[running_[i]->slot].job = nullptr;
    running_[i]->slot = -1;
    const bool leads = running_[i].get() == &job;
    answers.insert(leads ? answers.begin() : answers.end(), std::move(running_[i]));
    running_.erase(running_.begin() + static_cast<int64_t>(i));
  }
  // Before what of its request has not begun.
  waiting_.insert(waiting_.begin(), std::move(answers));
}

}  // namespace kvasir
