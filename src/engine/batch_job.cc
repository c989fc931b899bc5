#include "engine/batch_job.h"

#include <algorithm>

#include "engine/kept_map.h"

namespace kvasir {
namespace {

double Ms(BatchJob::Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

SamplingOptions ForAnswer(SamplingOptions options, int answer) {
  options.seed += static_cast<uint64_t>(answer);
  return options;
}

}  // namespace

BatchJob::BatchJob(uint64_t job_id, int answer_index, std::shared_ptr<const BatchRequest> asked,
                   std::shared_ptr<const SequenceSpec> its_spec,
                   std::shared_ptr<const BatchEventFn> on_event, const LoadedModel& model)
    : id(job_id),
      answer(answer_index),
      request(std::move(asked)),
      spec(std::move(its_spec)),
      model_(&model),
      on_event_(std::move(on_event)),
      text_(request->prompt),
      sampler_(ForAnswer(request->sampling, answer_index)),
      stream_(model, request->stop) {
  if (request->constraint) constraint_ = request->constraint->Copy();
  outcome_.warnings = request->warnings;
}

TokenRecord BatchJob::Record(std::span<const float> logits, std::span<const int32_t> before,
                             int32_t id_of_token) const {
  const float sum = LogSumExp(model_->isa(), logits);
  TokenRecord record{.id = id_of_token,
                     .bytes = BytesAfter(*model_, before, id_of_token),
                     .logprob = logits[id_of_token] - sum,
                     .top = {}};
  const auto n = std::min<size_t>(std::max(0, request->top_logprobs), logits.size());
  std::vector<int32_t> ids(logits.size());
  for (size_t i = 0; i < ids.size() && n > 0; ++i) ids[i] = static_cast<int32_t>(i);
  std::partial_sort(
      ids.begin(), ids.begin() + static_cast<int64_t>(n), ids.end(),
      [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  for (size_t i = 0; i < n; ++i) record.top.emplace_back(ids[i], logits[ids[i]] - sum);
  return record;
}

void BatchJob::NotePrompt(int64_t first_row_order, MatView<const float> logits) {
  const std::span<const int32_t> prompt = request->prompt;
  if (prompt_records_.empty()) {
    prompt_records_.push_back({.id = prompt[0], .bytes = BytesAfter(*model_, {}, prompt[0])});
  }
  for (int64_t r = 0; r < logits.shape[0]; ++r) {
    const auto next = static_cast<size_t>(first_row_order + r + 1);
    if (next != prompt_records_.size() || next >= prompt.size()) continue;
    prompt_records_.push_back(Record({logits.row(r), static_cast<size_t>(logits.shape[1])},
                                     prompt.first(next), prompt[next]));
  }
}

void BatchJob::TellProgress(int64_t n_read) const {
  if (!request->progress) return;
  BatchEvent event{.kind = BatchEvent::Kind::kProgress, .answer = answer, .n_read = n_read};
  event.outcome.n_prompt = n_prompt();
  event.outcome.n_cached = n_cached;
  event.outcome.times.prompt_ms = Ms(Clock::now() - admitted);
  (*on_event_)(std::move(event));
}

void BatchJob::TellPromptRead() {
  prompt_read = Clock::now();
  if (!tells_prompt()) return;
  (*on_event_)({.kind = BatchEvent::Kind::kPromptRead,
                .answer = answer,
                .tokens = std::move(prompt_records_)});
}

// Records go out with the text in which they begin; what comes after a stop text never does.
void BatchJob::Tell(std::string text, bool all) {
  n_told_ += static_cast<int64_t>(text.size());
  BatchEvent event{.answer = answer, .text = std::move(text), .n_generated = n_generated()};
  while (!held_.empty() && (all || held_.front().first < n_told_)) {
    event.tokens.push_back(std::move(held_.front().second));
    held_.pop_front();
  }
  if (event.text.empty() && event.tokens.empty()) return;
  event.ids = TakeIds();
  if (request->figures) NoteFigures(event.outcome);
  (*on_event_)(std::move(event));
}

std::vector<int32_t> BatchJob::TakeIds() {
  if (!request->token_ids) return {};
  const int64_t first = n_prompt() + std::exchange(n_ids_told_, n_generated());
  return {text_.begin() + first, text_.end()};
}

void BatchJob::Draw(std::span<const float> logits) {
  draw_status_ = {};
  if (n_generated() >= request->n_tokens) return;
  std::span<const float> allowed = logits;
  if (constraint_) {
    masked_.assign(logits.begin(), logits.end());
    draw_status_ = constraint_->Mask(masked_);
    if (!draw_status_) return;
    allowed = masked_;
  }
  drawn_ = sampler_.Sample(allowed, text_, static_cast<size_t>(n_generated()));
  if (request->top_logprobs >= 0) drawn_record_ = Record(logits, text_, drawn_);
}

Result<bool> BatchJob::Advance() {
  KV_RETURN_IF_ERROR(draw_status_);
  if (n_generated() >= request->n_tokens) {
    outcome_.finish = "length";
    return true;
  }
  const int32_t token = drawn_;
  last_token = Clock::now();
  if (n_generated() == 0) first_token = last_token;
  // A constraint allows the end where the text is whole; nothing could follow it.
  if ((constraint_ || !request->ignore_eos) && model_->IsEndOfGeneration(token)) {
    Tell(stream_.Flush(), true);
    outcome_.finish = "stop";
    outcome_.eos = true;
    return true;
  }
  if (constraint_) KV_RETURN_IF_ERROR(constraint_->Accept(token));
  if (drawn_record_) {
    const auto n = static_cast<int64_t>(drawn_record_->bytes.size());
    held_.emplace_back(n_bytes_, *std::exchange(drawn_record_, {}));
    n_bytes_ += n;
  }
  std::string out = stream_.Push(text_, token);
  text_.push_back(token);
  const bool full =
      n_generated() >= request->n_tokens || static_cast<int64_t>(text_.size()) >= spec->ctx;
  if (stream_.stopped()) {
    Tell(std::move(out), false);
    outcome_.finish = "stop";
    outcome_.stop_text = *stream_.stopped_by();
    return true;
  }
  const bool whole = constraint_ && constraint_->finished();
  if (full || whole) out += stream_.Flush();
  // Flushing may find a stop text only where a character was cut: there is none in such an end.
  Tell(std::move(out), full || whole);
  if (whole) {
    outcome_.finish = "stop";
    outcome_.eos = true;
    return true;
  }
  if (!full) return false;
  outcome_.finish = "length";
  if (n_generated() < request->n_tokens) {
    outcome_.warnings.push_back(
        fmt::format("the context of {} tokens is full; --ctx N gives more room", spec->ctx));
  }
  return true;
}

void BatchJob::EndFor(std::string warning) {
  Tell(stream_.Flush(), true);
  outcome_.finish = "length";
  outcome_.warnings.push_back(std::move(warning));
}

void BatchJob::NoteFigures(BatchOutcome& outcome) const {
  outcome.n_prompt = n_prompt();
  outcome.first_of_prompt = answer == 0;
  outcome.n_cached = n_cached;
  outcome.reuse = reuse;
  outcome.n_generated = n_generated();
  outcome.n_preempted = n_preempted;
  outcome.times = {.queue_ms = Ms(admitted - submitted),
                   .prompt_ms = Ms(prompt_read - admitted),
                   .first_token_ms = n_generated() > 0 ? Ms(first_token - submitted) : 0,
                   .decode_ms = n_generated() > 0 ? Ms(last_token - first_token) : 0,
                   .total_ms = Ms(Clock::now() - submitted)};
}

void BatchJob::NoteCache(const Sequence& held) {
  outcome_.kv = held.Report();
  outcome_.n_evicted = std::max<int64_t>(0, held.n_evicted() - evicted_before);
}

void BatchJob::NoteEnd(const Sequence& held, int in_slot) {
  NoteFigures(outcome_);
  NoteCache(held);
  outcome_.slot = in_slot;
  outcome_.kept_map = KeptMap(held, request->kept_bins);
}

void BatchJob::TellDone() {
  (*on_event_)({.kind = BatchEvent::Kind::kDone,
                .answer = answer,
                .n_generated = n_generated(),
                .ids = TakeIds(),
                .outcome = outcome_});
}

void BatchJob::TellError(BatchError error) {
  (*on_event_)({.kind = BatchEvent::Kind::kError, .answer = answer, .error = std::move(error)});
}

}  // namespace kvasir
