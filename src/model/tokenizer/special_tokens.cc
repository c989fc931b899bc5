#include "model/tokenizer/special_tokens.h"

#include <algorithm>
#include <utility>

#include "model/tokenizer/regex.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

// The character that ends just before `at`; length 0 where none does.
Utf8Char CharacterBefore(std::string_view text, size_t at) {
  for (size_t n = 1; n <= 4 && n <= at; ++n) {
    const Utf8Char c = DecodeUtf8(text.substr(at - n, n));
    if (c.length == static_cast<int>(n)) return c;
  }
  return {};
}

// The text starts with a character of `length` bytes (0: with none) that is Rust's \w.
bool StartsWord(std::string_view text, int length) {
  static const Regex kWord =
      std::move(Regex::Compile(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])").value());
  if (length <= 0) return false;
  const std::string_view character = text.substr(0, static_cast<size_t>(length));
  bool is_word = false;
  RegexMatcher(kWord, character.size()).ForEach(character, [&](size_t, size_t) { is_word = true; });
  return is_word;
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  const int before = CharacterBefore(text, begin).length;
  if (StartsWord(text.substr(begin - static_cast<size_t>(before)), before)) return false;
  const std::string_view after = text.substr(end);
  return after.empty() || !StartsWord(after, DecodeUtf8(after).length);
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary, std::span<const SpecialRule> rules,
                             const Normalizer* normalizer)
    : vocabulary_(&vocabulary), rules_(rules.begin(), rules.end()) {
  std::ranges::stable_sort(rules_, {}, &SpecialRule::id);
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.IsSpecial(id) || RuleOf(id).normalized != (normalizer != nullptr)) continue;
    const std::string& piece = vocabulary.piece(id);
    std::string spelling = normalizer == nullptr ? piece : normalizer->Apply(piece, true);
    if (spelling.empty()) continue;
    starts_[static_cast<uint8_t>(spelling[0])] = true;
    spellings_.push_back(std::move(spelling));
    ids.push_back(id);
  }
  std::vector<PrefixIndex::Entry> entries;
  for (size_t i = 0; i < ids.size(); ++i) entries.push_back({spellings_[i], ids[i]});
  index_ = PrefixIndex(std::move(entries));
}

const SpecialRule& SpecialTokens::RuleOf(int32_t id) const {
  static constexpr SpecialRule kNone;
  const auto it = std::ranges::lower_bound(rules_, id, {}, &SpecialRule::id);
  return it != rules_.end() && it->id == id ? *it : kNone;
}

SpecialTokens::Match SpecialTokens::LongestAt(std::string_view text, size_t at,
                                              bool control) const {
  Match match;
  index_.ForEach(text.substr(at), [&](size_t length, int32_t id) {
    if (!control && vocabulary_->type(id) != TokenType::kUserDefined) return;
    match = {at + length, id};
  });
  return match;
}

std::vector<SpecialTokens::Part> SpecialTokens::Split(std::string_view text, bool control) const {
  std::vector<Part> parts;
  size_t plain = 0;  // start of the plain text not yet in `parts`
  for (size_t at = 0; at < text.size() && !index_.empty();) {
    if (!starts_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const Match match = LongestAt(text, at, control);
    if (match.id < 0) {
      ++at;
      continue;
    }
    const SpecialRule& rule = RuleOf(match.id);
    if (rule.single_word && !StandsAlone(text, at, match.end)) {
      at = match.end;
      continue;
    }
    if (rule.lstrip && match.end <= plain) {  // white space that the token before has swallowed
      at = match.end;
      continue;
    }
    size_t plain_end = at;
    while (rule.lstrip && plain_end > plain) {
      const Utf8Char c = CharacterBefore(text.substr(plain), plain_end - plain);
      if (c.length == 0 || !IsWhiteSpace(c.code)) break;
      plain_end -= static_cast<size_t>(c.length);
    }
    if (plain_end > plain) parts.push_back({plain, plain_end, -1});
    parts.push_back({at, match.end, match.id});
    plain = match.end;
    while (rule.rstrip && plain < text.size()) {
      const Utf8Char c = DecodeUtf8(text.substr(plain));
      if (c.length <= 0 || !IsWhiteSpace(c.code)) break;
      plain += static_cast<size_t>(c.length);
    }
    at = match.end;  // white space that was swallowed may still be a token
  }
  if (plain < text.size()) parts.push_back({plain, text.size(), -1});
  return parts;
}

}  // namespace kvasir
