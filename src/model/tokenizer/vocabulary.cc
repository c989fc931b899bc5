#include "model/tokenizer/vocabulary.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "model/tokenizer/byte_level.h"

namespace kvasir {
namespace {

constexpr size_t kMaxPieces = 1 << 24;

std::optional<uint8_t> ParseByteToken(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
  return byte;
}

Status CheckIds(const TokenizerData& data) {
  const auto n = static_cast<int64_t>(data.pieces.size());
  const std::pair<const char*, int32_t> ids[] = {{"bos", data.bos}, {"eos", data.eos},
                                                 {"eot", data.eot}, {"eom", data.eom},
                                                 {"unk", data.unk}, {"pad", data.pad}};
  for (const auto& [name, id] : ids) {
    if (id < -1 || id >= n) {
      return Fail("tokenizer: {} token {}: the vocabulary has {} tokens", name, id, n);
    }
  }
  const auto in_range = [n](int32_t id) { return id >= 0 && id < n; };
  for (const auto* list : {&data.more_eog, &data.prefix_ids, &data.suffix_ids}) {
    if (!std::ranges::all_of(*list, in_range)) {
      return Fail("tokenizer: a special token's id is outside of the {} tokens", n);
    }
  }
  if (!data.in_model.empty() && std::ssize(data.in_model) != n) {
    return Fail("tokenizer: {} marks of the model for {} tokens", data.in_model.size(), n);
  }
  for (const SpecialRule& rule : data.special_rules) {
    if (!in_range(rule.id)) {
      return Fail("tokenizer: added token {}: the vocabulary has {} tokens", rule.id, n);
    }
  }
  return {};
}

}  // namespace

bool Vocabulary::IsSpecial(int32_t id) const {
  const TokenType t = type(id);
  return t == TokenType::kControl || t == TokenType::kUserDefined || t == TokenType::kUnknown;
}

int32_t Vocabulary::FindText(std::string_view piece) const {
  if (piece.size() > max_text_piece_) return -1;
  const auto it = text_ids_.find(piece);
  return it == text_ids_.end() ? -1 : it->second;
}

int32_t Vocabulary::Find(std::string_view piece) const {
  const auto it = other_ids_.find(piece);
  return it == other_ids_.end() ? FindText(piece) : it->second;
}

Status CheckTokenizerData(TokenizerData& data) {
  const size_t n = data.pieces.size();
  if (n == 0 || n > kMaxPieces) {
    return Fail("tokenizer: {} tokens, expected 1 to {}", n, kMaxPieces);
  }
  if (data.types.empty()) data.types.assign(n, TokenType::kNormal);
  if (data.types.size() != n) {
    return Fail("tokenizer: {} token types for {} tokens", data.types.size(), n);
  }
  if (!data.scores.empty() && data.scores.size() != n) {
    return Fail("tokenizer: {} scores for {} tokens", data.scores.size(), n);
  }
  for (size_t i = 0; i < data.scores.size(); ++i) {
    if (!std::isfinite(data.scores[i]))
      return Fail("tokenizer: the score of token {} is {}: expected a finite number", i,
                  data.scores[i]);
  }
  return CheckIds(data);
}

Result<Vocabulary> Vocabulary::Make(TokenizerData& data) {
  const size_t n = data.pieces.size();
  Vocabulary made;
  made.pieces_ = std::move(data.pieces);
  made.scores_ = std::move(data.scores);
  made.types_ = std::move(data.types);
  made.unknown_ = data.unk;
  made.byte_tokens_.fill(-1);
  made.is_text_.assign(n, false);
  made.text_ids_.reserve(n);
  const bool byte_level = data.kind == TokenizerKind::kByteLevelBpe;
  std::string bytes;
  for (int32_t id = 0; id < static_cast<int32_t>(n); ++id) {
    const auto at = static_cast<size_t>(id);
    std::string& piece = made.pieces_[at];
    const TokenType type = made.type(id);
    if (type == TokenType::kByte && !byte_level) {
      const std::optional<uint8_t> byte = ParseByteToken(piece);
      if (!byte) return Fail("tokenizer: byte token {} is not written <0xXX>", id);
      piece.assign(1, static_cast<char>(*byte));
      made.byte_tokens_[*byte] = id;
      continue;
    }
    const bool is_user_defined = type == TokenType::kUserDefined;
    const bool is_plain = type == TokenType::kNormal || type == TokenType::kByte;
    made.is_text_[at] = data.in_model.empty() ? is_plain || is_user_defined : data.in_model[at];
    if (!made.is_text_[at]) {
      made.other_ids_[piece] = id;
      continue;
    }
    std::string_view text = piece;
    if (byte_level && (!is_user_defined || !data.in_model.empty())) {
      bytes.clear();
      if (!AppendBytesOfPiece(piece, bytes)) {
        // Outside the alphabet: it cannot come of text, and decodes to its spelling.
        made.is_text_[at] = false;
        made.other_ids_[piece] = id;
        continue;
      }
      // A special token is written as it is spelled, whatever its bytes mean to the model.
      text = is_plain ? piece = bytes : made.texts_.emplace_back(bytes);
      if (text.size() == 1) made.byte_tokens_[static_cast<uint8_t>(text[0])] = id;
    }
    if (is_user_defined) {
      made.text_ids_.try_emplace(text, id);  // a normal piece of that spelling goes first
    } else {
      made.text_ids_[text] = id;
    }
    made.max_text_piece_ = std::max(made.max_text_piece_, text.size());
  }
  return made;
}

}  // namespace kvasir
