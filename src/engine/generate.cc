#include <algorithm>
#include <chrono>

#include "engine/text_stream.h"
#include "kvasir/kvasir.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

double Ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

// `masked` is room for the logits that a constraint leaves.
Result<int32_t> NextToken(const Session& session, size_t n_generated, Constraint* constraint,
                          Sampler& sampler, std::vector<float>& masked) {
  std::span<const float> logits = session.logits();
  if (constraint != nullptr) {
    masked.assign(logits.begin(), logits.end());
    KV_RETURN_IF_ERROR(constraint->Mask(masked));
    logits = masked;
  }
  const int32_t id = sampler.Sample(logits, session.tokens(), n_generated);
  if (constraint != nullptr) KV_RETURN_IF_ERROR(constraint->Accept(id));
  return id;
}

}  // namespace

Result<Generation> Generate(Session& session, const GenerateOptions& options) {
  if (session.logits().empty()) {
    return Fail("nothing to continue: feed the session at least one token first");
  }
  const Model& model = session.model();
  Sampler sampler(options.sampling);
  TextStream stream(model, options.stop);
  Generation result;
  std::vector<float> masked;
  int64_t n_sampled = 0;
  const Clock::time_point start = Clock::now();
  Clock::time_point first = start, last = start;

  const auto emit = [&](const std::string& text) {
    result.text += text;
    return text.empty() || !options.on_text || options.on_text(text);
  };
  result.stop_reason = "length";
  while (static_cast<int64_t>(result.ids.size()) < options.n_tokens) {
    if (static_cast<int64_t>(session.tokens().size()) >= session.ctx()) {
      result.context_full = true;
      break;
    }
    Constraint* const constraint = options.constraint;
    if (constraint != nullptr && constraint->finished()) {
      result.stop_reason = "eos";
      break;
    }
    KV_ASSIGN_OR_RETURN(const int32_t id,
                        NextToken(session, result.ids.size(), constraint, sampler, masked));
    last = Clock::now();
    if (n_sampled++ == 0) first = last;
    const bool heed_eos = !options.ignore_eos || constraint != nullptr;
    if (heed_eos && model.IsEndOfGeneration(id)) {
      result.stop_reason = "eos";
      break;
    }
    result.ids.push_back(id);
    const bool go_on = emit(stream.Push(session.tokens(), id));
    // Every token of the answer is read, the last too: what follows continues from all of it.
    KV_RETURN_IF_ERROR(session.Step(id));
    if (stream.stopped() || !go_on) {
      result.stop_reason = stream.stopped() ? "stop" : "interrupted";
      break;
    }
  }
  emit(stream.Flush());
  result.first_token_ms = Ms(first - start);
  const double decode_ms = Ms(last - first);
  if (decode_ms > 0) {
    result.decode_tok_s = 1000 * static_cast<double>(n_sampled - 1) / decode_ms;
  }
  return result;
}

}  // namespace kvasir
