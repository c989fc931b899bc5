#include <algorithm>
#include <chrono>

#include "kvasir/kvasir.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

double Ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

// Lets text out up to a stop text, and holds back an end that may become one.
class StopFilter {
 public:
  explicit StopFilter(const std::vector<std::string>& stop) {
    for (const std::string& text : stop) {
      if (!text.empty()) stop_.push_back(text);
    }
  }

  std::string Push(std::string_view text) {
    held_ += text;
    size_t end = std::string::npos;
    for (const std::string& stop : stop_) end = std::min(end, held_.find(stop));
    stopped_ = end != std::string::npos;
    if (!stopped_) end = held_.size() - MaybeStart();
    std::string out = held_.substr(0, end);
    held_.erase(0, end);
    return out;
  }
  std::string Flush() { return stopped_ ? std::string() : std::exchange(held_, {}); }
  bool stopped() const { return stopped_; }

 private:
  // Length of the longest end of held_ that begins a stop text.
  size_t MaybeStart() const {
    size_t longest = 0;
    for (const std::string& stop : stop_) {
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
        if (held_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
      }
    }
    return longest;
  }

  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

// The bytes that a token adds after the one before it: the first token of a text may lose a space.
std::string BytesAfter(const Model& model, std::span<const int32_t> before, int32_t id) {
  std::vector<int32_t> ids(before.end() - std::min<size_t>(before.size(), 1), before.end());
  const size_t known = model.Detokenize(ids).size();
  ids.push_back(id);
  const std::string all = model.Detokenize(ids);
  return all.substr(std::min(known, all.size()));
}

// `masked` is room for the logits that a constraint leaves.
Result<int32_t> NextToken(const Session& session, Constraint* constraint, Sampler& sampler,
                          std::vector<float>& masked) {
  std::span<const float> logits = session.logits();
  if (constraint != nullptr) {
    masked.assign(logits.begin(), logits.end());
    KV_RETURN_IF_ERROR(constraint->Mask(masked));
    logits = masked;
  }
  const int32_t id = sampler.Sample(logits, session.tokens());
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
  Utf8Stream characters;
  StopFilter filter(options.stop);
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
    KV_ASSIGN_OR_RETURN(const int32_t id, NextToken(session, constraint, sampler, masked));
    last = Clock::now();
    if (n_sampled++ == 0) first = last;
    const bool heed_eos = !options.ignore_eos || constraint != nullptr;
    if (heed_eos && model.IsEndOfGeneration(id)) {
      result.stop_reason = "eos";
      break;
    }
    result.ids.push_back(id);
    const std::string bytes = BytesAfter(model, session.tokens(), id);
    const bool go_on = emit(filter.Push(characters.Push(bytes)));
    // Every token of the answer is read, the last too: what follows continues from all of it.
    KV_RETURN_IF_ERROR(session.Step(id));
    if (filter.stopped() || !go_on) {
      result.stop_reason = filter.stopped() ? "stop" : "interrupted";
      break;
    }
  }
  if (!filter.stopped()) {
    emit(filter.Push(characters.Flush()));
    emit(filter.Flush());
  }
  result.first_token_ms = Ms(first - start);
  const double decode_ms = Ms(last - first);
  if (decode_ms > 0) {
    result.decode_tok_s = 1000 * static_cast<double>(n_sampled - 1) / decode_ms;
  }
  return result;
}

}  // namespace kvasir
