// A sample as tokens: the chat template around it, where it is split, which tokens hold the answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/sample.h"
#include "kvasir/kvasir.h"

namespace kvasir::eval {

struct TokenSpan {
  int64_t begin = 0, end = 0;
};

// What the template puts around the user's words.
struct Frame {
  std::string head;     // before them
  std::string suffix;   // the end of the user's turn and the assistant's header
  std::string between;  // the end of the assistant's turn and the user's next header
};
Result<Frame> FrameOf(const Model& model, Wrap wrap);

// Whether a sample's turns are one conversation: where the methods see the context alone, each
// question is asked of it by itself.
inline bool IsConversation(const Sample& sample, Scope scope) {
  return sample.history && scope != Scope::kContext;
}

// A question of a sample. The left part (head and context), the question, and the suffix with the
// answer's first words are tokenised each by itself, so no token spans a seam and the context's
// tokens are the same whatever is asked.
struct PromptParts {
  std::vector<int32_t> read;        // read as a prompt: what the methods compress
  std::vector<int32_t> rest;        // then read as it stands, up to where the answer begins
  std::vector<TokenSpan> evidence;  // of `read`; empty where tokens do not spell the text
  int64_t n_tokens() const { return static_cast<int64_t>(read.size() + rest.size()); }
};
// REQUIRES: turn < sample.turns.size()
Result<PromptParts> PromptOf(const Model& model, const Sample& sample, size_t turn, Scope scope);

// Where bytes of a text lie among its tokens; empty where the tokens do not spell the text.
std::vector<TokenSpan> TokensOfBytes(const Model& model, std::string_view text,
                                     std::span<const int32_t> ids, std::span<const Span> bytes);

}  // namespace kvasir::eval
