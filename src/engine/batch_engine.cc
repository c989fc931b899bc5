#include "engine/batch_engine.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <tuple>

namespace kvasir {
namespace {

constexpr std::chrono::milliseconds kCountEvery{250};
constexpr size_t kMostSpecs = 1000;  // that are kept built; then they are forgotten

int64_t LongestToken(const Tokenizer& tokenizer) {
  size_t longest = 1;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    longest = std::max(longest, tokenizer.Piece(id).size());
  }
  return static_cast<int64_t>(longest);
}

}  // namespace

Result<std::unique_ptr<BatchEngine>> BatchEngine::Start(std::shared_ptr<LoadedModel> model,
                                                        const BatchOptions& options) {
  KV_CHECK(options.n_slots >= 1 && options.step_rows >= 1 && options.queue >= 0);
  KV_ASSIGN_OR_RETURN(
      std::shared_ptr<const SequenceSpec> spec,
      SequenceSpec::Make(*model,
                         {.kv = options.kv, .kv_type = options.kv_type, .ctx = options.ctx}));
  return std::unique_ptr<BatchEngine>(new BatchEngine(std::move(model), options, std::move(spec)));
}

BatchEngine::BatchEngine(std::shared_ptr<LoadedModel> model, const BatchOptions& options,
                         std::shared_ptr<const SequenceSpec> spec)
    : model_(std::move(model)),
      options_(options),
      default_spec_(std::move(spec)),
      most_text_bytes_(default_spec_->ctx * LongestToken(model_->tokenizer())),
      scheduler_(model_, options),
      slots_(scheduler_.slots()),
      thread_([this] { Loop(); }) {}

BatchEngine::~BatchEngine() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = closed_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<std::shared_ptr<const SequenceSpec>> BatchEngine::SpecOf(const std::string& kv,
                                                                const std::string& kv_type) {
  if (kv.empty() && kv_type.empty()) return default_spec_;
  const std::string& text = kv.empty() ? options_.kv : kv;
  const std::string& type = kv_type.empty() ? options_.kv_type : kv_type;
  const std::string key = text + "\n" + type;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = specs_.find(key); found != specs_.end()) return found->second;
  }
  KV_ASSIGN_OR_RETURN(
      std::shared_ptr<const SequenceSpec> spec,
      SequenceSpec::Make(*model_, {.kv = text, .kv_type = type, .ctx = options_.ctx}));
  const std::lock_guard lock(mutex_);
  if (specs_.size() >= kMostSpecs) specs_.clear();
  return specs_.emplace(key, std::move(spec)).first->second;
}

// What does not depend on the state of things: whether this request can be served at all.
tl::expected<std::shared_ptr<const SequenceSpec>, BatchError> BatchEngine::Check(
    const BatchRequest& request) {
  const auto refuse = [](Refusal refusal, std::string message) {
    return tl::unexpected<BatchError>(BatchError{refusal, std::move(message)});
  };
  auto spec = SpecOf(request.kv, request.kv_type);
  if (!spec) return refuse(Refusal::kBadRequest, spec.error().message);
  const auto n = static_cast<int64_t>(request.prompt.size());
  const int64_t ctx = (*spec)->ctx;
  if (n == 0) return refuse(Refusal::kBadRequest, "the prompt has no tokens");
  for (int32_t id : request.prompt) {
    if (id >= 0 && id < model_->config().n_vocab) continue;
    return refuse(Refusal::kBadRequest, fmt::format("token id {} is not in the vocabulary (0..{})",
                                                    id, model_->config().n_vocab - 1));
  }
  if (n + (request.n_tokens > 0 ? 1 : 0) > ctx) {
    return refuse(
        Refusal::kContextTooLong,
        fmt::format("this model's maximum context length is {} tokens, and the prompt has "
                    "{}: shorten it, or start the server with a larger --ctx",
                    ctx, n));
  }
  if (!request.pins.empty() && (*spec)->program->merges()) {
    return refuse(Refusal::kBadRequest,
                  fmt::format("'{}' merges entries, so they cannot be pinned; leave \"pin\" out, "
                              "or name a spec that does not merge",
                              (*spec)->program->spec()));
  }
  const int64_t bytes = Scheduler::PageBytes(**spec, model_->config().n_kv_heads, n);
  if (options_.kv_memory > 0 && bytes > options_.kv_memory) {
    return refuse(Refusal::kNoKvMemory,
                  fmt::format("the prompt's {} tokens need {} bytes of KV cache, --kv-memory is {}",
                              n, bytes, options_.kv_memory));
  }
  return std::move(*spec);
}

// The jobs of a request's answers, in groups that have slots at the same time. `first`: the number
// of its first answer among those of all requests that came with it.
std::vector<Scheduler::Answers> BatchEngine::MakeAnswers(
    BatchRequest request, const std::shared_ptr<const SequenceSpec>& spec, uint64_t id, int first,
    const std::shared_ptr<const BatchEventFn>& on_event) const {
  int64_t most = options_.n_slots;
  if (request.most_at_once > 0) most = std::min(most, request.most_at_once);
  KV_CHECK(request.n_answers >= 1);
  const auto shared = std::make_shared<const BatchRequest>(std::move(request));
  const auto tell = std::make_shared<const BatchEventFn>([on_event, first](BatchEvent event) {
    event.answer += first;
    (*on_event)(std::move(event));
  });
  std::vector<Scheduler::Answers> groups;
  for (int i = 0; i < shared->n_answers; ++i) {
    if (i % most == 0) groups.emplace_back();
    groups.back().push_back(std::make_unique<BatchJob>(id, i, shared, spec, tell, *model_));
  }
  return groups;
}

BatchEngine::Submitted BatchEngine::Submit(std::vector<BatchRequest> requests,
                                           BatchEventFn on_event) {
  KV_CHECK(!requests.empty());
  std::vector<std::shared_ptr<const SequenceSpec>> specs;
  for (const BatchRequest& request : requests) {
    auto spec = Check(request);
    if (!spec) return tl::unexpected<BatchError>(std::move(spec.error()));
    specs.push_back(std::move(*spec));
  }
  const uint64_t id = next_id_++;
  const auto tell = std::make_shared<const BatchEventFn>(std::move(on_event));
  std::vector<Scheduler::Answers> all;
  for (int first = 0; BatchRequest & request : requests) {
    const int n_answers = request.n_answers;
    auto groups =
        MakeAnswers(std::move(request), specs[&request - requests.data()], id, first, tell);
    std::move(groups.begin(), groups.end(), std::back_inserter(all));
    first += n_answers;
  }
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return tl::unexpected<BatchError>({Refusal::kShuttingDown, "the server is shutting down"});
    }
    // A request that finds a free slot does not wait in the queue's sense.
    if (n_waiting_ >= options_.queue + options_.n_slots - figures_.n_running) {
      return tl::unexpected<BatchError>(
          {Refusal::kQueueFull, fmt::format("{} requests wait already; try again later, or start "
                                            "the server with a longer --queue",
                                            n_waiting_)});
    }
    std::move(all.begin(), all.end(), std::back_inserter(inbox_));
    ++n_inbox_;
    ++n_waiting_;
    idle_ = false;
  }
  wake_.notify_all();
  return id;
}

BatchEngine::Submitted BatchEngine::Submit(BatchRequest request, BatchEventFn on_event) {
  std::vector<BatchRequest> one;
  one.push_back(std::move(request));
  return Submit(std::move(one), std::move(on_event));
}

void BatchEngine::Cancel(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    canceled_.push_back(id);
  }
  wake_.notify_all();
}

void BatchEngine::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool BatchEngine::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_;
}

void BatchEngine::Between(const std::function<void(Scheduler&)>& work) {
  std::promise<void> done;
  {
    const std::lock_guard lock(mutex_);
    between_.emplace_back([&] {
      work(scheduler_);
      counted_at_ = {};
      Publish();  // who waited finds in figures() and slots() what the work did
      done.set_value();
    });
  }
  wake_.notify_all();
  done.get_future().wait();
}

BatchFigures BatchEngine::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

std::vector<SlotFacts> BatchEngine::slots() const {
  const std::lock_guard lock(mutex_);
  return slots_;
}

bool BatchEngine::TakeInbox() {
  std::vector<Scheduler::Answers> arrived;
  std::vector<uint64_t> canceled;
  std::vector<std::function<void()>> between;
  {
    std::unique_lock lock(mutex_);
    const auto awake = [&] {
      return stop_ || !inbox_.empty() || !canceled_.empty() || !between_.empty();
    };
    if (scheduler_.idle()) {
      if (scheduler_.expiring()) {
        wake_.wait_for(lock, std::chrono::milliseconds(200), awake);
      } else {
        wake_.wait(lock, awake);
      }
    }
    arrived.swap(inbox_);
    n_inbox_ = 0;
    canceled.swap(canceled_);
    between.swap(between_);
    if (stop_) {
      for (Scheduler::Answers& answers : arrived) scheduler_.Add(std::move(answers));
      lock.unlock();
      for (const auto& work : between) work();
      return false;
    }
  }
  for (Scheduler::Answers& answers : arrived) scheduler_.Add(std::move(answers));
  for (uint64_t id : canceled) scheduler_.Cancel(id);
  for (const auto& work : between) work();
  return true;
}

void BatchEngine::Publish() {
  BatchFigures figures = scheduler_.figures();
  // Who runs is told at once; counting what all slots hold would cost each step something.
  const auto now = std::chrono::steady_clock::now();
  const auto who = [](const BatchFigures& f) {
    return std::tuple(f.n_running, f.n_waiting, f.finished, f.canceled, f.evicted_slots);
  };
  std::vector<SlotFacts> slots;
  if (who(figures) != who(figures_) || scheduler_.idle() || now - counted_at_ > kCountEvery) {
    slots = scheduler_.slots();
    counted_at_ = now;
  }
  const std::lock_guard lock(mutex_);
  figures_ = figures;
  if (!slots.empty()) slots_ = std::move(slots);
  n_waiting_ = figures_.n_waiting + n_inbox_;
  idle_ = scheduler_.idle() && inbox_.empty();
}

void BatchEngine::Loop() {
  while (TakeInbox()) {
    scheduler_.Step();
    Publish();
  }
  scheduler_.FailAll({Refusal::kShuttingDown, "the server stopped"});
  Publish();
}

}  // namespace kvasir
