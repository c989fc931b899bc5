#include "server/reasoning.h"

#include <algorithm>
#include <utility>

namespace kvasir::server {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kBlank = " \t\r\n";

// Bytes at the end of the text that may begin a mark.
size_t BeginsMark(std::string_view text, std::string_view mark) {
  for (size_t n = std::min(text.size(), mark.size() - 1); n > 0; --n) {
    if (text.ends_with(mark.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

ReasoningSplitter::Piece ReasoningSplitter::Push(std::string_view text) {
  Piece piece;
  if (state_ == State::kContent) {
    piece.content = text;
    return piece;
  }
  held_ += text;
  if (state_ == State::kStart) {
    const size_t start = std::min(held_.find_first_not_of(kBlank), held_.size());
    const std::string_view rest = std::string_view(held_).substr(start);
    if (rest.size() < kOpen.size() && kOpen.starts_with(rest)) return piece;
    if (!rest.starts_with(kOpen)) {
      state_ = State::kContent;
      piece.content = std::exchange(held_, {});
      return piece;
    }
    held_.erase(0, start + kOpen.size());
    state_ = State::kInside;
  }
  if (state_ == State::kInside) {
    if (!told_) held_.erase(0, std::min(held_.find_first_not_of(kBlank), held_.size()));
    const size_t close = held_.find(kClose);
    // White space that ends what is there waits for what follows.
    const std::string_view sure = std::string_view(held_).substr(
        0, std::min(close, held_.size() - BeginsMark(held_, kClose)));
    const size_t n = sure.find_last_not_of(kBlank) + 1;  // npos + 1 is 0
    piece.reasoning = held_.substr(0, n);
    told_ = told_ || n > 0;
    held_.erase(0, close == std::string::npos ? n : close + kClose.size());
    if (close == std::string::npos) return piece;
    state_ = State::kAfter;
  }
  const size_t start = held_.find_first_not_of(kBlank);
  if (start == std::string::npos) return piece;
  state_ = State::kContent;
  piece.content = held_.substr(start);
  held_.clear();
  return piece;
}

ReasoningSplitter::Piece ReasoningSplitter::Finish() {
  Piece piece;
  if (state_ == State::kStart) piece.content = std::exchange(held_, {});
  if (state_ == State::kInside && held_.find_first_not_of(kBlank) != std::string::npos) {
    piece.reasoning = std::exchange(held_, {});
  }
  return piece;
}

bool OpensReasoning(std::string_view prompt) {
  return prompt.substr(0, prompt.find_last_not_of(kBlank) + 1).ends_with(kOpen);
}

}  // namespace kvasir::server
