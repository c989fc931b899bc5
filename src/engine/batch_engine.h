// BatchEngine: the thread that serves requests with a Scheduler. It owns the model's Forward while
// it lives. All functions may be called from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/scheduler.h"

namespace kvasir {

class BatchEngine {
 public:
  static Result<std::unique_ptr<BatchEngine>> Start(std::shared_ptr<LoadedModel> model,
                                                    const BatchOptions& options);
  // Requests that are not done get an error.
  ~BatchEngine();

  // A number for the requests, or why they are refused: all are taken or none, they wait as one in
  // the queue, and one error ends all. Their answers are numbered through, in their order. Events
  // come on the engine's thread, maybe before this returns.
  using Submitted = tl::expected<uint64_t, BatchError>;
  Submitted Submit(std::vector<BatchRequest> requests, BatchEventFn on_event);
  Submitted Submit(BatchRequest request, BatchEventFn on_event);
  // No event comes after this returns, or after the one that is being delivered now.
  void Cancel(uint64_t id);

  void Close();  // refuses new requests; those accepted go on
  bool idle() const;
  // Runs `work` on the engine's thread between two steps, and waits for it.
  void Between(const std::function<void(Scheduler&)>& work);

  BatchFigures figures() const;
  std::vector<SlotFacts> slots() const;
  const BatchOptions& options() const { return options_; }
  LoadedModel& model() const { return *model_; }
  int64_t ctx() const { return default_spec_->ctx; }
  int64_t most_text_bytes() const { return most_text_bytes_; }  // that the context could hold

 private:
  BatchEngine(std::shared_ptr<LoadedModel> model, const BatchOptions& options,
              std::shared_ptr<const SequenceSpec> spec);
  void Loop();
  bool TakeInbox();  // false: stop
  void Publish();
  Result<std::shared_ptr<const SequenceSpec>> SpecOf(const std::string& kv,
                                                     const std::string& kv_type);
  tl::expected<std::shared_ptr<const SequenceSpec>, BatchError> Check(const BatchRequest& request);
  std::vector<Scheduler::Answers> MakeAnswers(
      BatchRequest request, const std::shared_ptr<const SequenceSpec>& spec, uint64_t id, int first,
      const std::shared_ptr<const BatchEventFn>& on_event) const;

  const std::shared_ptr<LoadedModel> model_;
  const BatchOptions options_;
  const std::shared_ptr<const SequenceSpec> default_spec_;
  const int64_t most_text_bytes_;
  std::atomic<uint64_t> next_id_{1};
  Scheduler scheduler_;                               // of the engine's thread
  std::chrono::steady_clock::time_point counted_at_;  // likewise

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<const SequenceSpec>> specs_;
  std::vector<Scheduler::Answers> inbox_;
  int64_t n_inbox_ = 0;  // what came together is one
  std::vector<uint64_t> canceled_;
  std::vector<std::function<void()>> between_;
  int64_t n_waiting_ = 0;  // when last published, and what came since
  bool stop_ = false, closed_ = false, idle_ = true;
  BatchFigures figures_;
  std::vector<SlotFacts> slots_;

  std::thread thread_;
};

}  // namespace kvasir
