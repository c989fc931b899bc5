// CharSet: a set of Unicode code points, and how it reads as UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::grammar {

inline constexpr char32_t kMaxCodePoint = 0x10FFFF;

struct CharRange {
  char32_t first, last;  // both belong to it
  bool operator==(const CharRange&) const = default;
};

class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);
  static CharSet All() { return {{0, kMaxCodePoint}}; }

  void Add(CharRange range);
  void Add(const CharSet& other);
  CharSet Complement() const;
  CharSet Intersect(const CharSet& other) const;
  bool Contains(char32_t c) const;
  bool empty() const { return ranges().empty(); }
  // Ascending, disjoint, not touching.
  std::span<const CharRange> ranges() const;

 private:
  void Normalise() const;

  mutable std::vector<CharRange> ranges_;
  mutable bool normal_ = true;
};

// The bytes of a character: each in its range, independently of the others.
struct ByteSequence {
  struct Range {
    uint8_t first, last;
  };
  std::array<Range, 4> bytes;
  int length = 0;
};

// The UTF-8 of a set as sequences of byte ranges; surrogates, which UTF-8 lacks, are left out.
std::vector<ByteSequence> Utf8Sequences(const CharSet& set);

void AppendUtf8(char32_t c, std::string& out);
// Reads the character at the front and removes it; false: no valid UTF-8 there (nothing removed).
bool TakeUtf8(std::string_view& text, char32_t& c);

}  // namespace kvasir::grammar
