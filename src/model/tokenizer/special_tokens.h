// SpecialTokens: finds the tokens that stand in a text by their spelling. Immutable; serves all
// threads.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/prefix_index.h"
#include "model/tokenizer/tokenizer_data.h"
#include "model/tokenizer/vocabulary.h"

namespace kvasir {

class SpecialTokens {
 public:
  // Those of `vocabulary` whose rule says `normalized`, spelled as `normalizer` spells them; or,
  // without one, the others. `vocabulary` must outlive this.
  SpecialTokens(const Vocabulary& vocabulary, std::span<const SpecialRule> rules,
                const Normalizer* normalizer);

  // A stretch of the text: a token, or (id -1) plain text. Never empty.
  struct Part {
    size_t begin, end;
    int32_t id;
  };
  // The text in parts, from left to right, the longest token at a place; what lstrip and rstrip
  // swallow is in none. Without `control` only user-defined tokens are found.
  std::vector<Part> Split(std::string_view text, bool control) const;

 private:
  struct Match {
    size_t end = 0;
    int32_t id = -1;
  };
  Match LongestAt(std::string_view text, size_t at, bool control) const;
  const SpecialRule& RuleOf(int32_t id) const;

  const Vocabulary* vocabulary_;
  std::vector<SpecialRule> rules_;      // sorted by id
  std::vector<std::string> spellings_;  // what index_ points into
  PrefixIndex index_;
  std::array<bool, 256> starts_{};  // [byte]: some token starts with it
};

}  // namespace kvasir
