// Splits an answer into what a model thinks and what it says: "<think>…</think>…", as Qwen3,
// DeepSeek-R1 and their kin write it, at the answer's start only. White space around either is of
// their form and is left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir::server {

class ReasoningSplitter {
 public:
  struct Piece {
    std::string reasoning, content;
  };
  // inside: the prompt opened the thinking already.
  explicit ReasoningSplitter(bool inside) : state_(inside ? State::kInside : State::kStart) {}

  // Text in any pieces; what may still be part of a mark is held back.
  Piece Push(std::string_view text);
  Piece Finish();

 private:
  enum class State : uint8_t { kStart, kInside, kAfter, kContent };

  State state_;
  std::string held_;   // not told yet
  bool told_ = false;  // some of the reasoning
};

// The model goes on from this prompt with what it thinks.
bool OpensReasoning(std::string_view prompt);

}  // namespace kvasir::server
