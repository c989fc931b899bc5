#include <algorithm>
#include <chrono>

#include "engine/text_stream.h"
#include "kvasir/kvasir.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

double Ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

}  // namespace

Result<Generation> Generate(Session& session, const GenerateOptions& options) {
  if (session.logits().empty()) {
    return Fail("nothing to continue: feed the session at least one token first");
  }
  const Model& model = session.model();
  Sampler sampler(options.sampling);
  TextStream stream(model, options.stop);
  Generation result;
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
    const int32_t id = sampler.Sample(session.logits(), session.tokens(), result.ids.size());
    last = Clock::now();
    if (result.ids.empty()) first = last;
    if (!options.ignore_eos && model.IsEndOfGeneration(id)) {
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
  const auto n_decoded = static_cast<double>(result.ids.size()) - (result.stop_reason != "eos");
  if (decode_ms > 0) result.decode_tok_s = 1000 * std::max(0.0, n_decoded) / decode_ms;
  return result;
}

}  // namespace kvasir
