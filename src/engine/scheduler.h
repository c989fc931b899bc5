// Scheduler: many sequences through one Forward. Each step takes one token from every answer that
// is being generated and, within a budget of rows, pieces of the prompts that are being read, and
// sends them through the layers together, so that the weights are read once. Which sequences share
// a step changes no bit of any answer (the kernels promise it).
//
// Slots hold the sequences. A slot whose answer ended keeps its cache, and a later request whose
// prompt begins like it goes on from there, where that is legal (see Usable). Memory: a request is
// admitted when the pages it is predicted to need are free; idle slots give theirs up first, then
// the least important answers are preempted. Not thread-safe: BatchEngine owns the thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/batch_job.h"

namespace kvasir {

struct BatchOptions {
  int n_slots = 4;
  int64_t kv_memory = 0;    // bytes of pages; 0: no limit
  int64_t step_rows = 256;  // rows a step, generated tokens and pieces of prompts together
  int64_t queue = 64;       // requests that may wait
  std::string kv = "full", kv_type = {};
  int64_t ctx = 0;
  bool deterministic = false;  // a cache hit changes no bit: compressed caches only by session name
  // Told of every answer that had a cache, when it has ended, failed or was canceled, before its
  // client is; on the engine's thread.
  std::function<void(const BatchOutcome&)> on_end = {};
};

// Counts of a Prometheus histogram: seconds up to kBounds[i], the rest in the last one.
struct Histogram {
  static constexpr std::array<double, 14> kBounds = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                     0.5,   1,     2.5,  5,     10,   30,  60};
  std::array<int64_t, 15> counts = {};
  double sum = 0;
  int64_t n = 0;
  void Add(double seconds);
};

// Since the start; also what metrics show.
struct BatchFigures {
  int64_t n_running = 0;  // answers
  int64_t n_waiting = 0;  // requests of which answers wait, those sent together as one
  int64_t kv_used_bytes = 0, kv_limit_bytes = 0, kv_suspended_bytes = 0;
  int64_t prompt_tokens = 0, generated_tokens = 0;
  std::array<int64_t, kReuseNames.size()> cached_tokens = {};  // of prompts, by Reuse
  int64_t reread_tokens = 0;  // read a second time, after a preemption
  int64_t preemptions = 0, evicted_slots = 0, steps = 0, step_rows = 0, canceled = 0;
  std::array<int64_t, 3> finished = {};  // stop, length, error
  Histogram first_token_s, inter_token_s, total_s, queue_s, prompt_s, decode_s;
};

// Whose cache it is. A cache serves only requests with the same key.
struct CacheKey {
  std::string spec, type;    // what shaped it
  std::string tenant, salt;  // who may share it
  bool operator==(const CacheKey&) const = default;
};

struct SlotFacts {
  int id = 0;
  bool busy = false;
  uint64_t request = 0;
  std::string tenant, spec;  // whose cache it is, and what shapes it; "": empty
  int64_t n_tokens = 0, n_prompt = 0, n_generated = 0, n_remain = 0, ctx = 0, kv_bytes = 0;
};

class Scheduler {
 public:
  // pool: tests give one that holds less than the options promise.
  Scheduler(std::shared_ptr<LoadedModel> model, const BatchOptions& options,
            std::shared_ptr<PagePool> pool = nullptr);
  ~Scheduler();

  using Answers = std::vector<std::unique_ptr<BatchJob>>;
  // Of one request, that start together. Those of requests that came together have one id.
  void Add(Answers answers);
  void Cancel(uint64_t id);  // its events end at once, its pages are freed
  void FailAll(const BatchError& error);
  // One pass through the model; false: there was nothing to do.
  bool Step();
  bool idle() const { return running_.empty() && waiting_.empty(); }
  // Reads the first `ids` of `n_left` tokens that a sequence of its own (null at first) has still
  // to read, and gives their final hidden states: out [ids, hidden].
  Status ReadHidden(std::unique_ptr<Sequence>& sequence, std::span<const int32_t> ids,
                    int64_t n_left, MatView<float> out);
  // What an idle slot holds, erased, to bytes and back; tokens. Only the tenant whose cache it is
  // may, and an admin, which does not become its owner; a slot that is empty is anybody's.
  using SlotResult = tl::expected<int64_t, BatchError>;
  SlotResult EraseSlot(int slot, const Caller& caller);
  SlotResult SaveSlot(int slot, const Caller& caller, ByteWriter& file) const;
  SlotResult RestoreSlot(int slot, const Caller& caller, ByteReader& file);
  bool expiring() const;  // an idle slot's cache has a time at which it goes

  // Bytes of pages that n tokens need, before any method acts.
  static int64_t PageBytes(const SequenceSpec& spec, int n_kv_heads, int64_t n);
  BatchFigures figures() const;
  std::vector<SlotFacts> slots() const;
  const PagePool& pool() const { return *pool_; }

 private:
  using Clock = BatchJob::Clock;
  struct Slot {
    std::unique_ptr<Sequence> sequence;  // null: empty
    CacheKey key;
    std::string session, affinity;  // of the request that it served last
    bool restored = false;          // what it holds came from a file
    BatchJob* job = nullptr;
    Clock::time_point last_used = {}, expires = Clock::time_point::max();
  };
  struct Work {
    BatchJob* job = nullptr;
    int64_t n = 0;  // tokens of its text that come next
    bool prompt = false;
  };

  // Admission (scheduler_admission.cc).
  void Admit();
  std::optional<size_t> Next() const;
  bool Place(Answers& answers);
  std::vector<int> FreeSlots(const BatchJob& job, size_t n) const;
  int64_t Usable(const Slot& slot, const BatchJob& job) const;
  static bool IsAkin(const Slot& slot, const BatchRequest& request);
  int64_t Predicted(const BatchJob& job, int64_t n_held) const;
  bool Fits(const BatchJob& job, int64_t n_held, size_t n_answers);
  void Occupy(Slot& slot, BatchJob& job);
  int64_t Available() const;
  bool ReclaimIdle();
  void DropExpired();

  // A step (scheduler.cc).
  std::vector<Work> PlanStep();
  void MakeRoom(std::vector<Work>& works);
  void Run(std::vector<Work>& works);
  void Finish(std::vector<Work>& works, std::span<Piece> pieces, MatView<float> x);
  void NotePrompts(const Work& work, const Piece& piece, MatView<const float> x);
  void Sample(std::span<BatchJob* const> jobs, MatView<const float> x);
  void Advance(BatchJob& job);
  void StartFollowers(BatchJob& leader, std::span<const float> logits);
  void Preempt(BatchJob& job, bool damaged = false);
  bool LeavesStep(BatchJob& job, const Piece& piece);
  bool alone(const BatchJob& job) const;
  void EndForRoom(BatchJob& job);
  void End(BatchJob& job);
  void Fail(BatchJob& job, BatchError error);
  bool Abandon(uint64_t id);
  void NoteEnd(const BatchJob& job) const;
  void Leave(BatchJob& job, bool keep_cache);
  Sequence& SequenceOf(const BatchJob& job) { return *slots_[job.slot].sequence; }
  CacheKey KeyOf(const BatchJob& job) const;
  static tl::expected<void, BatchError> CheckMayTouch(const Slot& slot, const Caller& caller);

  // All texts are rotated alike, as those of the whole context: they share what they read.
  Forward& forward() const {
    return options_.ctx > 0 ? model_->forward(options_.ctx) : model_->forward();
  }

  std::shared_ptr<LoadedModel> model_;
  const BatchOptions options_;
  std::shared_ptr<PagePool> pool_;
  std::vector<Slot> slots_;
  std::vector<Answers> waiting_;  // those with one id side by side, in their order
  std::vector<std::unique_ptr<BatchJob>> running_;  // in the order of admission
  std::vector<std::unique_ptr<BatchJob>> gone_;     // ended in this step: slot is -1
  bool tight_ = false;  // pages ran out in a step: nobody comes before somebody goes
  BatchFigures figures_;
  Buffer x_, last_rows_, logits_;
};

}  // namespace kvasir
