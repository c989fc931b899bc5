// Which request goes next, into which slot, and whether there is memory for it.
#include <algorithm>
#include <map>

#include "engine/scheduler.h"

namespace kvasir {
namespace {

// An answer is predicted to need room for this many tokens at most; more is found when it comes.
constexpr int64_t kPredictedAnswer = 128;
// A request that needs several slots at once lets others pass for so long; then they are kept for
// it as they come free.
constexpr std::chrono::seconds kPatience{10};

}  // namespace

int64_t Scheduler::PageBytes(const SequenceSpec& spec, int n_kv_heads, int64_t n) {
  const int64_t n_pages = (n + kPageEntries - 1) / kPageEntries;
  int64_t bytes = 0;
  for (const HeadFormat& format : spec.formats) {
    bytes += n_pages * n_kv_heads * (format.k_bytes() + format.v_bytes());
  }
  return bytes;
}

CacheKey Scheduler::KeyOf(const BatchJob& job) const {
  // Trap: a cache that one spec shaped is never the prefix of another one's text. Nor do tenants or
  // salts share.
  const BatchRequest& request = *job.request;
  return {.spec = job.spec->program->spec(),
          .type = FormatName(job.spec->formats[0].k()),
          .tenant = request.tenant,
          .salt = request.salt};
}

// Tokens of the slot's cache that the job can go on from.
int64_t Scheduler::Usable(const Slot& slot, const BatchJob& job) const {
  const BatchRequest& request = *job.request;
  if (!slot.sequence || slot.job != nullptr || !request.cache_prompt || job.tells_prompt()) {
    return 0;
  }
  if (slot.key != KeyOf(job) || !request.pins.empty()) return 0;
  const std::vector<int32_t>& held = slot.sequence->tokens();
  const std::vector<int32_t>& prompt = request.prompt;
  const size_t most = std::min(held.size(), prompt.size() - 1);  // one token at least gives logits
  const auto end =
      std::mismatch(held.begin(), held.begin() + static_cast<int64_t>(most), prompt.begin());
  const int64_t common = end.first - held.begin();
  if (job.spec->program->is_full()) return common;
  // What a method kept depends on the whole text it saw. The cache serves what follows that text,
  // which is the same conversation, and nothing that merely begins alike.
  const bool same_session = slot.session == request.session;
  if (!same_session || (options_.deterministic && request.session.empty())) return 0;
  return common >= std::max<int64_t>(1, slot.sequence->compressed_at()) ? common : 0;
}

bool Scheduler::IsAkin(const Slot& slot, const BatchRequest& request) {
  return !request.affinity.empty() && slot.affinity == request.affinity &&
         slot.key.tenant == request.tenant;
}

// Slots for n answers, the first one best for going on; fewer: not enough are free.
std::vector<int> Scheduler::FreeSlots(const BatchJob& job, size_t n) const {
  struct Candidate {
    int index;
    int64_t usable;
    bool empty, akin;
    Clock::time_point last_used;
  };
  std::vector<Candidate> candidates;
  for (size_t s = 0; s < slots_.size(); ++s) {
    const Slot& slot = slots_[s];
    if (slot.job != nullptr) continue;
    int64_t usable = job.sequence ? 0 : Usable(slot, job);
    const bool akin = IsAkin(slot, *job.request);
    // A few words in common are no reason to give up a long cache while there is another slot; most
    // of the prompt is one where the requests are alike.
    const bool much = slot.sequence && (usable * 2 >= slot.sequence->size() ||
                                        (akin && usable * 2 >= job.n_prompt()));
    if (!much) usable = std::min<int64_t>(usable, 1);
    candidates.push_back({static_cast<int>(s), usable, !slot.sequence, akin, slot.last_used});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (std::max<int64_t>(a.usable, 1) != std::max<int64_t>(b.usable, 1)) {
      return a.usable > b.usable;
    }
    if (a.empty != b.empty) return a.empty;
    return a.akin != b.akin ? a.akin : a.last_used < b.last_used;
  });
  std::vector<int> chosen;
  const int wanted = job.request->slot;
  if (wanted >= 0 && wanted < static_cast<int>(slots_.size())) {
    if (slots_[wanted].job != nullptr) return {};
    chosen.push_back(wanted);
  }
  for (const Candidate& candidate : candidates) {
    if (chosen.size() < n && candidate.index != wanted) chosen.push_back(candidate.index);
  }
  return chosen;
}

int64_t Scheduler::Available() const {
  return options_.kv_memory == 0 ? kNoLimit : options_.kv_memory - pool_->used_bytes();
}

// Bytes that the job will still take from the pool, with n_held tokens in it already.
int64_t Scheduler::Predicted(const BatchJob& job, int64_t n_held) const {
  const int64_t left = job.request->n_tokens - job.n_generated();
  const auto n = static_cast<int64_t>(job.text().size()) + std::min(left, kPredictedAnswer);
  const int n_heads = model_->config().n_kv_heads;
  return std::max<int64_t>(0, PageBytes(*job.spec, n_heads, std::min(n, job.spec->ctx)) -
                                  PageBytes(*job.spec, n_heads, n_held));
}

bool Scheduler::Fits(const BatchJob& job, int64_t n_held, size_t n_answers) {
  if (Available() == kNoLimit) return true;
  int64_t need = Predicted(job, n_held);
  // Further answers share the prompt's pages.
  need += static_cast<int64_t>(n_answers - 1) *
          PageBytes(*job.spec, model_->config().n_kv_heads,
                    std::min(job.request->n_tokens, kPredictedAnswer) + kPageEntries);
  for (const auto& other : running_) {
    const Slot& slot = slots_[other->slot];
    need += Predicted(*other, slot.sequence ? slot.sequence->size() : 0);
  }
  while (Available() < need) {
    if (!ReclaimIdle()) return running_.empty();  // alone it may try
  }
  return true;
}

bool Scheduler::ReclaimIdle() {
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (slot.job != nullptr || !slot.sequence || slot.sequence->size() == 0) continue;
    if (oldest == nullptr || slot.last_used < oldest->last_used) oldest = &slot;
  }
  if (oldest == nullptr) return false;
  oldest->sequence.reset();
  ++figures_.evicted_slots;
  return true;
}

bool Scheduler::expiring() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.job == nullptr && slot.expires != Clock::time_point::max();
  });
}

void Scheduler::DropExpired() {
  const Clock::time_point now = Clock::now();
  for (Slot& slot : slots_) {
    if (slot.job == nullptr && slot.expires <= now) {
      slot.sequence.reset();
      slot.expires = Clock::time_point::max();
    }
  }
}

// Of those that wait and whose slots are free the most important; of equals the one whose tenant
// has the least running; then the one that came first. None: there is no slot for any.
std::optional<size_t> Scheduler::Next() const {
  if (running_.size() >= slots_.size()) return std::nullopt;
  const size_t n_free = slots_.size() - running_.size();
  const Clock::time_point long_ago = Clock::now() - kPatience;
  std::map<std::string_view, int64_t> n_running;
  for (const auto& job : running_) ++n_running[job->request->tenant];
  const auto load = [&](const BatchJob& job) {
    const auto found = n_running.find(job.request->tenant);
    return found == n_running.end() ? 0 : found->second;
  };
  const auto may_start = [&](const Answers& answers) {
    const BatchJob& job = *answers[0];
    const auto n = static_cast<int64_t>(answers.size());
    const int wanted = job.request->slot;
    if (wanted >= 0 && wanted < static_cast<int>(slots_.size()) && slots_[wanted].job != nullptr) {
      return false;
    }
    const int64_t most = job.request->most_at_once;
    if (most > 0 && load(job) + n > most) return false;
    return answers.size() <= n_free || job.submitted < long_ago;
  };
  std::optional<size_t> best;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const BatchJob& a = *waiting_[i][0];
    // Of those that came together the first goes first.
    if (i > 0 && waiting_[i - 1][0]->id == a.id) continue;
    if (!may_start(waiting_[i])) continue;
    if (!best) {
      best = i;
      continue;
    }
    const BatchJob& b = *waiting_[*best][0];
    if (a.request->priority != b.request->priority) {
      if (a.request->priority > b.request->priority) best = i;
    } else if (load(a) != load(b)) {
      if (load(a) < load(b)) best = i;
    } else if (a.id < b.id) {
      best = i;
    }
  }
  return best;
}

void Scheduler::Admit() {
  if (running_.empty()) tight_ = false;
  while (!tight_) {
    const std::optional<size_t> next = Next();
    if (!next || !Place(waiting_[*next])) return;
    waiting_.erase(waiting_.begin() + static_cast<int64_t>(*next));
  }
}

bool Scheduler::Place(Answers& answers) {
  BatchJob& leader = *answers[0];
  const std::vector<int> free = FreeSlots(leader, answers.size());
  if (free.size() < answers.size()) return false;
  Slot& slot = slots_[free[0]];
  // What is read again is read as it was the first time.
  const bool again = leader.n_preempted > 0 && !leader.spec->program->is_full();
  int64_t held = leader.sequence || again ? 0 : Usable(slot, leader);
  slot.job = &leader;  // so that reclaiming passes it by
  const bool fits = Fits(leader, held, answers.size());
  slot.job = nullptr;
  if (!fits) return false;
  const bool resumed = leader.sequence != nullptr;
  if (resumed) {
    if (const Status status = leader.sequence->Resume(); !status) {
      if (!running_.empty()) return false;
      NoteEnd(leader);
      leader.TellError({Refusal::kNoKvMemory, status.error().message});
      return true;
    }
    slot.sequence = std::move(leader.sequence);
    slot.restored = false;
  } else if (held == 0 || !slot.sequence->Truncate(held)) {
    held = 0;
    slot.sequence = std::make_unique<Sequence>(model_, leader.spec, pool_);
    slot.sequence->Pin(leader.request->pins);
    slot.restored = false;
  }
  if (!resumed) leader.evicted_before = slot.sequence->n_evicted();
  if (leader.n_preempted == 0) {
    leader.n_cached = held;
    leader.admitted = Clock::now();
    leader.reuse = slot.restored ? Reuse::kRestored : Reuse::kPrefix;
    figures_.cached_tokens[static_cast<size_t>(leader.reuse)] += held;
    figures_.queue_s.Add(std::chrono::duration<double>(leader.admitted - leader.submitted).count());
    leader.TellProgress(held);
  }
  leader.followers = static_cast<int>(answers.size()) - 1;
  for (size_t i = 0; i < answers.size(); ++i) {
    answers[i]->slot = free[i];
    answers[i]->leader = &leader;
    if (i > 0) slots_[free[i]].sequence.reset();
    Occupy(slots_[free[i]], *answers[i]);
    running_.push_back(std::move(answers[i]));
  }
  return true;
}

void Scheduler::Occupy(Slot& slot, BatchJob& job) {
  slot.job = &job;
  slot.key = KeyOf(job);
  slot.session = job.request->session;
  slot.affinity = job.request->affinity;
}

}  // namespace kvasir
