// Vocabulary: the pieces of a tokenizer as bytes, and the ways to find one. Immutable.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/tokenizer_data.h"

namespace kvasir {

// Sizes and ids must fit each other; types that are missing become normal ones.
Status CheckTokenizerData(TokenizerData& data);

class Vocabulary {
 public:
  // Takes pieces, scores and types out of `data`. REQUIRES: data is checked.
  static Result<Vocabulary> Make(TokenizerData& data);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  int32_t size() const { return static_cast<int32_t>(pieces_.size()); }
  bool Has(int32_t id) const { return id >= 0 && id < size(); }
  // REQUIRES for all of these: Has(id).
  const std::string& piece(int32_t id) const { return pieces_[static_cast<size_t>(id)]; }
  TokenType type(int32_t id) const { return types_[static_cast<size_t>(id)]; }
  double score(int32_t id) const {
    return scores_.empty() ? 0.0 : scores_[static_cast<size_t>(id)];
  }
  // The model may make this token of text.
  bool IsText(int32_t id) const { return is_text_[static_cast<size_t>(id)]; }
  // Control, user-defined or unknown: found in text by its spelling.
  bool IsSpecial(int32_t id) const;

  // The token that text may become: one with IsText. -1: none.
  int32_t FindText(std::string_view piece) const;
  // Any token of this spelling. -1: none.
  int32_t Find(std::string_view piece) const;
  // The token of one byte, -1: none. Byte-level: a piece of one byte; else the one written <0xXX>.
  int32_t ByteToken(uint8_t byte) const { return byte_tokens_[byte]; }
  int32_t unknown() const { return unknown_; }
  size_t max_text_piece() const { return max_text_piece_; }  // bytes

 private:
  Vocabulary() = default;

  std::vector<std::string> pieces_;  // byte-level ones decoded, byte tokens as their byte
  std::vector<double> scores_;
  std::vector<TokenType> types_;
  std::vector<bool> is_text_;
  std::deque<std::string> texts_;  // of pieces that are not spelled as the text that they are
  std::unordered_map<std::string_view, int32_t> text_ids_;   // views of pieces_ and texts_
  std::unordered_map<std::string_view, int32_t> other_ids_;  // all others
  std::array<int32_t, 256> byte_tokens_{};
  int32_t unknown_ = -1;
  size_t max_text_piece_ = 0;
};

}  // namespace kvasir
