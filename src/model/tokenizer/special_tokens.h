// SpecialTokens: finds the tokens that stand in a text by their spelling. Immutable; serves all
// threads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/tokenizer/prefix_index.h"
#include "model/tokenizer/tokenizer_data.h"
#include "model/tokenizer/vocabulary.h"

namespace kvasir {

class SpecialTokens {
 public:
  // Those of `vocabulary` whose rule says `normalized`, or does not. Both must outlive this.
  SpecialTokens(const Vocabulary& vocabulary, std::span<const SpecialRule> rules, bool normalized);

  // A stretch of the text: a token, or (id -1) plain text. Never empty.
  struct Part {
    size_t begin, end;
    int32_t id;
  };
  // The text as an unbroken row of parts; what lstrip and rstrip swallow is in none. From left to
  // right, the longest token at a place; without `control` only user-defined ones.
  std::vector<Part> Split(std::string_view text, bool control) const;

 private:
  struct Match {
    size_t end = 0;
    int32_t id = -1;
  };
  Match LongestAt(std::string_view text, size_t at, bool control) const;
  const SpecialRule& RuleOf(int32_t id) const;

  const Vocabulary* vocabulary_;
  std::vector<SpecialRule> rules_;  // sorted by id
  PrefixIndex index_;
  std::array<bool, 256> starts_{};  // [byte]: some token starts with it
};

}  // namespace kvasir
