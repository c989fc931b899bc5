#include "engine/generator.h"

namespace kvasir {
namespace {

double Milliseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

Generator::Generator(const Session& session, const GenerateOptions& options)
    : session_(&session),
      options_(options),
      sampler_(options.sampling),
      stream_(session.model(), options.stop) {
  answer_.stop_reason = "length";
}

Result<int32_t> Generator::Draw() {
  Constraint* const constraint = options_.constraint;
  std::span<const float> logits = session_->logits();
  if (constraint != nullptr) {
    masked_.assign(logits.begin(), logits.end());
    KV_RETURN_IF_ERROR(constraint->Mask(masked_));
    logits = masked_;
  }
  const int32_t id = sampler_.Sample(logits, session_->tokens(), answer_.ids.size());
  if (constraint != nullptr) KV_RETURN_IF_ERROR(constraint->Accept(id));
  return id;
}

bool Generator::Emit(const std::string& text) {
  answer_.text += text;
  return text.empty() || !options_.on_text || options_.on_text(text);
}

Result<std::optional<int32_t>> Generator::Next() {
  if (session_->logits().empty()) {
    return Fail("nothing to continue: feed the session at least one token first");
  }
  if (ended_ || std::ssize(answer_.ids) >= options_.n_tokens) return std::nullopt;
  if (std::ssize(session_->tokens()) >= session_->ctx()) {
    answer_.context_full = true;
    return std::nullopt;
  }
  Constraint* const constraint = options_.constraint;
  if (constraint != nullptr && constraint->finished()) {
    answer_.stop_reason = "eos";
    return std::nullopt;
  }
  KV_ASSIGN_OR_RETURN(const int32_t id, Draw());
  last_ = Clock::now();
  if (n_sampled_++ == 0) first_ = last_;
  const bool heed_eos = !options_.ignore_eos || constraint != nullptr;
  if (heed_eos && session_->model().IsEndOfGeneration(id)) {
    answer_.stop_reason = "eos";
    return std::nullopt;
  }
  answer_.ids.push_back(id);
  const bool go_on = Emit(stream_.Push(session_->tokens(), id));
  ended_ = stream_.stopped() || !go_on;
  if (ended_) answer_.stop_reason = stream_.stopped() ? "stop" : "interrupted";
  return id;
}

Generation Generator::Take() {
  Emit(stream_.Flush());
  answer_.first_token_ms = Milliseconds(first_ - start_);
  const double decode_ms = Milliseconds(last_ - first_);
  if (decode_ms > 0) {
    answer_.decode_tok_s = 1000 * static_cast<double>(n_sampled_ - 1) / decode_ms;
  }
  return std::move(answer_);
}

Result<Generation> Generate(Session& session, const GenerateOptions& options) {
  Generator generator(session, options);
  while (true) {
    KV_ASSIGN_OR_RETURN(const std::optional<int32_t> id, generator.Next());
    if (!id) return generator.Take();
    if (const Status read = session.Step(*id); !read) {
      Generation answer = generator.Take();
      answer.stop_reason = "error";
      answer.error = read.error().message;
      return answer;
    }
  }
}

}  // namespace kvasir
