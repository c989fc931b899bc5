// CharsMap: SentencePiece's precompiled character map (a double-array trie of what to replace and
// a table of what to put there). Untrusted: every index is checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

class CharsMap {
 public:
  static Result<CharsMap> Parse(std::string_view blob);

  // Replaces, from left to right, the longest sequence the map knows; the rest stays.
  std::string Apply(std::string_view text) const;

 private:
  struct Match {
    size_t length = 0;  // bytes; 0: none
    uint32_t offset = 0;
  };
  Match Longest(std::string_view text) const;

  std::vector<uint32_t> units_;  // the trie
  std::string strings_;          // replacements, each ended by a zero byte
};

}  // namespace kvasir
