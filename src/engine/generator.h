// Generator: one answer on its way. It draws tokens from a session's logits and tells their text;
// who reads them into the session, alone or with others, is its caller.
#pragma once

#include <chrono>
#include <optional>

#include "engine/text_stream.h"
#include "kvasir/kvasir.h"

namespace kvasir {

class Generator {
 public:
  Generator(const Session& session, const GenerateOptions& options);
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // The answer's next token, for the session to read before the next call; nullopt: it has ended.
  // Every token of the answer is read, the last too: what follows continues from all of it.
  Result<std::optional<int32_t>> Next();
  Generation Take();  // once it has ended

 private:
  using Clock = std::chrono::steady_clock;

  Result<int32_t> Draw();
  bool Emit(const std::string& text);  // false: who listens wants no more

  const Session* session_;
  const GenerateOptions options_;
  Sampler sampler_;
  TextStream stream_;
  Generation answer_;
  bool ended_ = false;
  int64_t n_sampled_ = 0;
  std::vector<float> masked_;  // the logits that a constraint leaves
  const Clock::time_point start_ = Clock::now();
  Clock::time_point first_ = start_, last_ = start_;
};

}  // namespace kvasir
