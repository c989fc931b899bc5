#include "engine/scheduler.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr int64_t kLogitRows = 16;  // rows of logits at a time: a row is the vocabulary

double Seconds(BatchJob::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

void Histogram::Add(double seconds) {
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  ++counts[bucket];
  sum += seconds;
  ++n;
}

Scheduler::Scheduler(std::shared_ptr<LoadedModel> model, const BatchOptions& options,
                     std::shared_ptr<PagePool> pool)
    : model_(std::move(model)), options_(options), pool_(std::move(pool)), slots_(options.n_slots) {
  if (!pool_) {
    pool_ = std::make_shared<PagePool>(options.kv_memory > 0 ? options.kv_memory : kNoLimit);
  }
}

Scheduler::~Scheduler() = default;

void Scheduler::Add(Answers answers) { waiting_.push_back(std::move(answers)); }

void Scheduler::Cancel(uint64_t id) {
  if (Abandon(id)) ++figures_.canceled;
}

void Scheduler::FailAll(const BatchError& error) {
  for (Answers& answers : waiting_) answers[0]->TellError(error);
  waiting_.clear();
  while (!running_.empty()) Fail(*running_.back(), error);
}

bool Scheduler::Step() {
  gone_.clear();
  DropExpired();
  Admit();
  std::vector<Work> works = PlanStep();
  MakeRoom(works);
  if (works.empty()) return false;
  Run(works);
  return true;
}

// Every answer that is being generated has a row; prompts share what is left of the budget, in the
// order of admission.
std::vector<Scheduler::Work> Scheduler::PlanStep() {
  std::vector<Work> decoding, reading;
  for (const auto& job : running_) {
    if (!slots_[job->slot].sequence) continue;  // waits for its leader's prompt
    Sequence& sequence = SequenceOf(*job);
    const int64_t unread = job->prompt_end() - sequence.size();
    // The token that was drawn last comes by itself.
    const int64_t drawn = job->spec->program->is_full() ? 1 : 0;
    const bool prompt = sequence.in_prompt() || unread > drawn || job->n_generated() == 0;
    (prompt ? reading : decoding)
        .push_back({.job = job.get(), .n = prompt ? unread : 1, .prompt = prompt});
  }
  std::stable_sort(reading.begin(), reading.end(), [](const Work& a, const Work& b) {
    return a.job->request->priority > b.job->request->priority;
  });
  int64_t left = std::max<int64_t>(options_.step_rows - static_cast<int64_t>(decoding.size()), 16);
  for (Work& work : reading) {
    if (left == 0) break;
    work.n = std::min(work.n, left);
    left -= work.n;
    decoding.push_back(work);
  }
  return decoding;
}

void Scheduler::Run(std::vector<Work>& works) {
  Forward& forward = this->forward();
  std::vector<int32_t> ids;
  std::vector<Piece> pieces;
  for (const Work& work : works) {
    Sequence& sequence = SequenceOf(*work.job);
    const std::vector<int32_t>& text = work.job->text();
    if (work.prompt && !sequence.in_prompt()) {
      sequence.StartPrompt(work.job->prompt_end() - sequence.size());
    }
    const auto first_row = static_cast<int64_t>(ids.size());
    const auto begin = text.begin() + sequence.size();
    ids.insert(ids.end(), begin, begin + work.n);
    pieces.push_back(
        {.sequence = &sequence, .rows = sequence.Rows(first_row, work.n, sequence.size())});
  }
  const auto n_rows = static_cast<int64_t>(ids.size());
  const MatView<float> x = Grow(x_, n_rows, model_->config().hidden);
  forward.Embed(ids, x);
  RunPieces(forward, 0, model_->config().n_layers, x, pieces, [this] { return ReclaimIdle(); });
  ++figures_.steps;
  figures_.step_rows += n_rows;
  Finish(works, pieces, x);
}

// What a step has read becomes part of the sequences; whose text is all read draws its next token.
void Scheduler::Finish(std::vector<Work>& works, std::span<Piece> pieces, MatView<float> x) {
  std::vector<BatchJob*> sampling;
  const int64_t hidden = model_->config().hidden;
  const MatView<float> last = Grow(last_rows_, static_cast<int64_t>(works.size()), hidden);
  for (size_t i = 0; i < works.size(); ++i) {
    const Work& work = works[i];
    const Piece& piece = pieces[i];
    BatchJob& job = *work.job;
    if (job.slot < 0) continue;  // another answer of its request failed
    Sequence& sequence = *piece.sequence;
    if (LeavesStep(job, piece)) continue;
    sequence.Commit(std::span(job.text()).subspan(sequence.size(), work.n));
    if (work.prompt && job.tells_prompt()) NotePrompts(work, piece, x);
    if (work.prompt && job.n_generated() == 0) job.TellProgress(sequence.size());
    if (work.prompt && sequence.size() == job.prompt_end()) {
      sequence.EndPrompt();
      if (job.n_generated() == 0) {
        job.TellPromptRead();
        figures_.prompt_tokens += job.n_prompt();
        figures_.prompt_s.Add(Seconds(job.prompt_read - job.admitted));
      }
    }
    if (sequence.size() < static_cast<int64_t>(job.text().size())) continue;
    std::copy_n(x.row(piece.rows.first_row + work.n - 1), hidden,
                last.row(static_cast<int64_t>(sampling.size())));
    sampling.push_back(&job);
  }
  Sample(sampling, last);
}

void Scheduler::NotePrompts(const Work& work, const Piece& piece, MatView<const float> x) {
  for (int64_t first = 0; first < work.n; first += kLogitRows) {
    const int64_t n = std::min(kLogitRows, work.n - first);
    const MatView<float> logits = Grow(logits_, n, model_->config().n_vocab);
    forward().Logits(Mat(x.row(piece.rows.first_row + first), n, x.shape[1]), logits);
    work.job->NotePrompt(piece.rows.first_order + first, logits);
  }
}

void Scheduler::Sample(std::span<BatchJob* const> jobs, MatView<const float> x) {
  const auto n_jobs = static_cast<int64_t>(jobs.size());
  const int64_t n_vocab = model_->config().n_vocab;
  for (int64_t first = 0; first < n_jobs; first += kLogitRows) {
    const int64_t n = std::min(kLogitRows, n_jobs - first);
    const MatView<float> logits = Grow(logits_, n, n_vocab);
    forward().Logits(Mat(x.row(first), n, x.shape[1]), logits);
    const auto row = [&](int64_t i) {
      return std::span<const float>(logits.row(i), static_cast<size_t>(n_vocab));
    };
    forward().pool().For(n, [&](int64_t i, int) { jobs[first + i]->Draw(row(i)); });
    for (int64_t i = 0; i < n; ++i) {
      BatchJob& job = *jobs[first + i];
      if (job.slot >= 0 && job.followers > 0) StartFollowers(job, row(i));
      if (job.slot >= 0) Advance(job);
    }
  }
}

// The other answers to one prompt start from forks of its cache.
void Scheduler::StartFollowers(BatchJob& leader, std::span<const float> logits) {
  std::vector<BatchJob*> followers;
  for (const auto& job : running_) {
    if (job->leader == &leader && !slots_[job->slot].sequence) followers.push_back(job.get());
  }
  leader.followers = 0;
  for (BatchJob* follower : followers) {
    if (follower->slot < 0) continue;
    slots_[follower->slot].sequence = SequenceOf(leader).Fork();
    follower->n_cached = leader.n_cached;
    follower->reuse = leader.reuse;
    follower->evicted_before = SequenceOf(leader).n_evicted();
    follower->admitted = leader.admitted;
    follower->prompt_read = leader.prompt_read;
    follower->Draw(logits);
    Advance(*follower);
  }
}

void Scheduler::Advance(BatchJob& job) {
  const BatchJob::Clock::time_point before = job.last_token;
  const int64_t n_before = job.n_generated();
  const Result<bool> ended = job.Advance();
  if (!ended) {
    Fail(job, {Refusal::kBadRequest, ended.error().message});
    return;
  }
  if (job.n_generated() > n_before) {
    ++figures_.generated_tokens;
    if (n_before == 0) {
      figures_.first_token_s.Add(Seconds(job.first_token - job.submitted));
    } else {
      figures_.inter_token_s.Add(Seconds(job.last_token - before));
    }
  }
  if (*ended) End(job);
}

void Scheduler::End(BatchJob& job) {
  job.NoteEnd(SequenceOf(job), job.slot);
  NoteEnd(job);
  job.TellDone();
  const BatchOutcome& outcome = job.outcome();
  ++figures_.finished[outcome.finish == "length" ? 1 : 0];
  figures_.total_s.Add(outcome.times.total_ms / 1000);
  figures_.decode_s.Add(outcome.times.decode_ms / 1000);
  Leave(job, /*keep_cache=*/job.request->cache_prompt);
}

// One error ends all answers of its request.
void Scheduler::Fail(BatchJob& job, BatchError error) {
  ++figures_.finished[2];
  Abandon(job.id);
  job.TellError(std::move(error));  // it is in gone_
}

// All answers of a request leave, as they are, and so do their caches. False: there were none.
bool Scheduler::Abandon(uint64_t id) {
  const size_t n_waiting = std::erase_if(waiting_, [&](const Answers& answers) {
    if (answers[0]->id != id) return false;
    for (const auto& job : answers) {
      if (job->n_preempted > 0) NoteEnd(*job);
    }
    return true;
  });
  const size_t n_running = running_.size();
  for (size_t i = n_running; i-- > 0;) {
    BatchJob& job = *running_[i];
    if (job.id != id) continue;
    if (slots_[job.slot].sequence) {
      job.NoteCache(SequenceOf(job));
      NoteEnd(job);
    }
    Leave(job, /*keep_cache=*/false);
  }
  return n_waiting > 0 || running_.size() < n_running;
}

void Scheduler::NoteEnd(const BatchJob& job) const {
  if (options_.on_end) options_.on_end(job.outcome());
}

void Scheduler::Leave(BatchJob& job, bool keep_cache) {
  Slot& slot = slots_[job.slot];
  tight_ = false;
  slot.job = nullptr;
  slot.last_used = Clock::now();
  slot.expires = Clock::time_point::max();
  if (keep_cache && job.request->ttl_s >= 0) {
    const auto ttl = std::chrono::duration<double>(std::min(job.request->ttl_s, 1e8));
    slot.expires = slot.last_used + std::chrono::duration_cast<Clock::duration>(ttl);
  }
  if (!keep_cache) slot.sequence.reset();
  job.slot = -1;
  const auto found = std::find_if(running_.begin(), running_.end(),
                                  [&](const auto& each) { return each.get() == &job; });
  gone_.push_back(std::move(*found));  // a step may still point to it
  running_.erase(found);
}

Status Scheduler::ReadHidden(std::unique_ptr<Sequence>& sequence, std::span<const int32_t> ids,
                             int64_t n_left, MatView<float> out) {
  if (!sequence) {
    KV_ASSIGN_OR_RETURN(
        std::shared_ptr<const SequenceSpec> spec,
        SequenceSpec::Make(*model_,
                           {.kv = "full", .kv_type = options_.kv_type, .ctx = options_.ctx}));
    sequence = std::make_unique<Sequence>(model_, std::move(spec), pool_);
    sequence->StartPrompt(n_left);
  }
  const auto n = static_cast<int64_t>(ids.size());
  while (sequence->RoomFor(n).bytes > Available()) {
    if (!ReclaimIdle())
      return kvasir::Fail("the KV memory is taken by other requests; try again later");
  }
  Forward& forward = this->forward();
  const MatView<float> x = Grow(x_, n, model_->config().hidden);
  forward.Embed(ids, x);
  Piece piece{.sequence = sequence.get(), .rows = sequence->Rows(0, n, sequence->size())};
  RunPieces(forward, 0, model_->config().n_layers, x, {&piece, 1});
  KV_RETURN_IF_ERROR(piece.status);
  sequence->Commit(ids);
  forward.OutputNorm(x, out);
  return {};
}

BatchFigures Scheduler::figures() const {
  BatchFigures figures = figures_;
  figures.n_running = static_cast<int64_t>(running_.size());
  // What came together waits as one.
  for (size_t i = 0; i < waiting_.size(); ++i) {
    figures.n_waiting += i == 0 || waiting_[i][0]->id != waiting_[i - 1][0]->id;
  }
  figures.kv_used_bytes = pool_->used_bytes();
  figures.kv_limit_bytes = options_.kv_memory;
  for (const Answers& answers : waiting_) {
    if (answers[0]->sequence) figures.kv_suspended_bytes += answers[0]->sequence->suspended_bytes();
  }
  return figures;
}

std::vector<SlotFacts> Scheduler::slots() const {
  std::vector<SlotFacts> facts;
  for (size_t s = 0; s < slots_.size(); ++s) {
    const Slot& slot = slots_[s];
    SlotFacts& fact = facts.emplace_back();
    fact.id = static_cast<int>(s);
    fact.busy = slot.job != nullptr;
    if (fact.busy || slot.sequence) fact.tenant = slot.key.tenant;
    if (slot.sequence) {
      fact.spec = slot.sequence->spec().program->spec();
      fact.n_tokens = slot.sequence->size();
      fact.ctx = slot.sequence->spec().ctx;
      fact.kv_bytes = slot.sequence->cache().Account().bytes;
    }
    if (slot.job == nullptr) continue;
    fact.request = slot.job->id;
    fact.n_prompt = slot.job->n_prompt();
    fact.n_generated = slot.job->n_generated();
    fact.n_remain = slot.job->request->n_tokens - fact.n_generated;
  }
  return facts;
}

}  // namespace kvasir
