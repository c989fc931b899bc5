#include "grammar/char_set.h"

#include <algorithm>

namespace kvasir::grammar {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

// Splits until all characters of a range have the same length and each byte ranges independently.
void SplitRange(char32_t first, char32_t last, std::vector<ByteSequence>& out) {
  for (const char32_t longest : {0x7F, 0x7FF, 0xFFFF}) {
    if (first <= longest && longest < last) {
      SplitRange(first, longest, out);
      SplitRange(longest + 1, last, out);
      return;
    }
  }
  if (last > 0x7F) {
    for (int i = 1; i < 4; ++i) {
      const char32_t low = (char32_t{1} << (6 * i)) - 1;  // bits of the last i bytes
      if ((first & ~low) == (last & ~low)) continue;
      if ((first & low) != 0) {
        SplitRange(first, first | low, out);
        SplitRange((first | low) + 1, last, out);
        return;
      }
      if ((last & low) != low) {
        SplitRange(first, (last & ~low) - 1, out);
        SplitRange(last & ~low, last, out);
        return;
      }
    }
  }
  std::string a, b;
  AppendUtf8(first, a);
  AppendUtf8(last, b);
  ByteSequence sequence;
  sequence.length = static_cast<int>(a.size());
  for (size_t i = 0; i < a.size(); ++i)
    sequence.bytes[i] = {static_cast<uint8_t>(a[i]), static_cast<uint8_t>(b[i])};
  out.push_back(sequence);
}

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) : ranges_(ranges), normal_(false) {}

void CharSet::Add(CharRange range) {
  ranges_.push_back(range);
  normal_ = false;
}

void CharSet::Add(const CharSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normal_ = false;
}

void CharSet::Normalise() const {
  std::erase_if(ranges_, [](const CharRange& r) { return r.first > r.last; });
  std::sort(ranges_.begin(), ranges_.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  std::vector<CharRange> merged;
  for (const CharRange& r : ranges_) {
    if (!merged.empty() && r.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, r.last);
    } else {
      merged.push_back(r);
    }
  }
  ranges_ = std::move(merged);
  normal_ = true;
}

std::span<const CharRange> CharSet::ranges() const {
  if (!normal_) Normalise();
  return ranges_;
}

CharSet CharSet::Complement() const {
  CharSet out;
  char32_t next = 0;
  for (const CharRange& r : ranges()) {
    if (r.first > next) out.Add({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kMaxCodePoint) out.Add({next, kMaxCodePoint});
  return out;
}

CharSet CharSet::Intersect(const CharSet& other) const {
  CharSet outside = Complement();
  outside.Add(other.Complement());
  return outside.Complement();
}

bool CharSet::Contains(char32_t c) const {
  return std::ranges::any_of(ranges_,
                             [c](const CharRange& r) { return r.first <= c && c <= r.last; });
}

std::vector<ByteSequence> Utf8Sequences(const CharSet& set) {
  std::vector<ByteSequence> out;
  for (const CharRange& r : set.ranges()) {
    if (r.first < kFirstSurrogate) {
      SplitRange(r.first, std::min<char32_t>(r.last, kFirstSurrogate - 1), out);
    }
    if (r.last > kLastSurrogate) {
      SplitRange(std::max<char32_t>(r.first, kLastSurrogate + 1), std::min(r.last, kMaxCodePoint),
                 out);
    }
  }
  return out;
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool TakeUtf8(std::string_view& text, char32_t& c) {
  if (text.empty()) return false;
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0 || length > text.size()) return false;
  char32_t code = length == 1 ? lead : lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xC0) != 0x80) return false;
    code = code << 6 | (byte & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > kMaxCodePoint || (code >= kFirstSurrogate && code <= kLastSurrogate))
    return false;
  text.remove_prefix(length);
  c = code;
  return true;
}

}  // namespace kvasir::grammar
