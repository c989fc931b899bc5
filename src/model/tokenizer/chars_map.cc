#include "model/tokenizer/chars_map.h"

#include <algorithm>
#include <cstring>

#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

// A unit of the trie (darts-clone): a leaf holds a value of 31 bits; any other holds the byte that
// leads to it (bits 0-7, and bit 31, which no byte has: leaves match none), whether a leaf hangs
// on it (bit 8) and the offset of its children (bits 10-30, times 256 where bit 9 is set).
uint32_t Label(uint32_t unit) { return unit & 0x800000ffu; }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit >> 9 & 1) * 8); }

}  // namespace

Result<CharsMap> CharsMap::Parse(std::string_view blob) {
  uint32_t trie_bytes = 0;
  if (blob.size() < sizeof(trie_bytes)) {
    return Fail("character map: {} bytes, expected at least 4", blob.size());
  }
  std::memcpy(&trie_bytes, blob.data(), sizeof(trie_bytes));
  blob.remove_prefix(sizeof(trie_bytes));
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > blob.size()) {
    return Fail("character map: a trie of {} bytes in {}: expected a multiple of 4 inside",
                trie_bytes, blob.size());
  }
  CharsMap map;
  map.units_.resize(trie_bytes / 4);
  std::memcpy(map.units_.data(), blob.data(), trie_bytes);
  map.strings_.assign(blob.substr(trie_bytes));
  return map;
}

CharsMap::Match CharsMap::Longest(std::string_view text) const {
  Match best;
  uint32_t at = Offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || Label(units_[at]) != byte) break;
    const uint32_t unit = units_[at];
    at ^= Offset(unit);
    if (!HasLeaf(unit)) continue;
    if (at >= units_.size()) break;
    best = {i + 1, units_[at] & 0x7fffffffu};
  }
  return best.offset < strings_.size() ? best : Match{};
}

std::string CharsMap::Apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Match match = Longest(text);
    if (match.length > 0) {
      out += std::string_view(strings_.c_str() + match.offset);
      text.remove_prefix(match.length);
      continue;
    }
    const size_t n = static_cast<size_t>(std::max(1, DecodeUtf8(text).length));
    out.append(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}

}  // namespace kvasir
