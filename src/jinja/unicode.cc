#include "jinja/unicode.h"

#include <algorithm>
#include <span>

namespace kvasir::jinja {
namespace {

using unicode::CaseRange;
using unicode::CaseSpecial;
using Ranges = std::span<const CaseRange>;
using Specials = std::span<const CaseSpecial>;

Ranges UpperRanges() { return {unicode::kUpperRanges, size_t(unicode::kUpperRangeCount)}; }
Ranges LowerRanges() { return {unicode::kLowerRanges, size_t(unicode::kLowerRangeCount)}; }
Specials UpperSpecials() { return {unicode::kUpperSpecials, size_t(unicode::kUpperSpecialCount)}; }
Specials LowerSpecials() { return {unicode::kLowerSpecials, size_t(unicode::kLowerSpecialCount)}; }
Specials TitleSpecials() { return {unicode::kTitleSpecials, size_t(unicode::kTitleSpecialCount)}; }
Specials FoldSpecials() { return {unicode::kFoldSpecials, size_t(unicode::kFoldSpecialCount)}; }

bool AppendSpecial(std::string& out, char32_t c, Specials specials) {
  const auto at = std::lower_bound(specials.begin(), specials.end(), c,
                                   [](const CaseSpecial& s, char32_t x) { return s.from < x; });
  if (at == specials.end() || at->from != c) return false;
  for (const uint32_t to : at->to) {
    if (to != 0) AppendChar(out, to);
  }
  return true;
}

void AppendMapped(std::string& out, char32_t c, Ranges ranges) {
  const auto at = std::lower_bound(ranges.begin(), ranges.end(), c,
                                   [](const CaseRange& r, char32_t x) { return r.last < x; });
  const bool hit = at != ranges.end() && c >= at->first && (c - at->first) % at->stride == 0;
  AppendChar(out, hit ? static_cast<char32_t>(static_cast<int64_t>(c) + at->delta) : c);
}

void AppendUpper(std::string& out, char32_t c) {
  if (!AppendSpecial(out, c, UpperSpecials())) AppendMapped(out, c, UpperRanges());
}

void AppendTitle(std::string& out, char32_t c) {
  if (!AppendSpecial(out, c, TitleSpecials())) AppendUpper(out, c);
}

// The lowercase of a sigma depends on whether it ends a word (Unicode's Final_Sigma).
bool IsFinalSigma(std::u32string_view text, size_t at) {
  size_t before = at, after = at + 1;
  while (before > 0 && Has(text[before - 1], kCaseIgnorable)) --before;
  if (before == 0 || !Has(text[before - 1], kCased)) return false;
  while (after < text.size() && Has(text[after], kCaseIgnorable)) ++after;
  return after == text.size() || !Has(text[after], kCased);
}

void AppendLower(std::string& out, std::u32string_view text, size_t at) {
  const char32_t c = text[at];
  if (c == U'\u03a3') return AppendChar(out, IsFinalSigma(text, at) ? U'\u03c2' : U'\u03c3');
  if (!AppendSpecial(out, c, LowerSpecials())) AppendMapped(out, c, LowerRanges());
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<uint8_t>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || bytes.size() - i < n) return false;
    uint32_t c = lead & (0x7fu >> n);
    for (size_t k = 1; k < n; ++k) {
      const auto next = static_cast<uint8_t>(bytes[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      c = c << 6 | (next & 0x3fu);
    }
    const bool overlong = (n == 3 && c < 0x800) || (n == 4 && c < 0x10000);
    if (overlong || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    i += n;
  }
  return true;
}

int64_t CodePoints(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(),
                       [](char b) { return (static_cast<uint8_t>(b) & 0xc0) != 0x80; });
}

char32_t NextChar(std::string_view bytes, size_t& at) {
  const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[k])); };
  const uint32_t lead = byte(at++);
  if (lead < 0x80) return lead;
  const int n = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  uint32_t c = lead & (0x3fu >> n);
  for (int k = 0; k < n && at < bytes.size(); ++k) c = c << 6 | (byte(at++) & 0x3fu);
  return c;
}

std::u32string Decode(std::string_view bytes) {
  std::u32string chars;
  chars.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) chars.push_back(NextChar(bytes, at));
  return chars;
}

void AppendChar(std::string& out, char32_t c) {
  const auto put = [&](char32_t b) { out.push_back(static_cast<char>(b)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xe0 | c >> 12);
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3f));
    }
    put(0x80 | (c >> 6 & 0x3f));
  }
  put(0x80 | (c & 0x3f));
}

std::string Encode(std::u32string_view chars) {
  std::string out;
  out.reserve(chars.size());
  for (const char32_t c : chars) AppendChar(out, c);
  return out;
}

size_t ByteOffset(std::string_view bytes, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < bytes.size(); --index) NextChar(bytes, at);
  return at;
}

uint32_t CharProperties(char32_t c) {
  const std::span<const uint32_t> runs(unicode::kRuns, size_t(unicode::kRunCount));
  const auto after = std::upper_bound(runs.begin(), runs.end(), c << 10 | 0x3ff);
  return after == runs.begin() ? 0 : *(after - 1) & 0x3ff;
}

int DigitValue(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9' ? static_cast<int>(c - '0') : -1;
  if (!Has(c, kDecimal)) return -1;
  char32_t zero = c;  // scripts have their ten digits in a row, mathematical ones several rows
  while (Has(zero - 1, kDecimal)) --zero;
  return static_cast<int>((c - zero) % 10);
}

std::string Upper(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) AppendUpper(out, NextChar(bytes, at));
  return out;
}

std::string Lower(std::string_view bytes) {
  const std::u32string text = Decode(bytes);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) AppendLower(out, text, i);
  return out;
}

std::string Capitalize(std::string_view bytes) {
  const std::u32string text = Decode(bytes);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 0) {
      AppendTitle(out, text[i]);
    } else {
      AppendLower(out, text, i);
    }
  }
  return out;
}

std::string TitleCase(std::string_view bytes) {
  const std::u32string text = Decode(bytes);
  std::string out;
  bool inside = false;  // of a run of cased characters
  for (size_t i = 0; i < text.size(); ++i) {
    if (inside) {
      AppendLower(out, text, i);
    } else {
      AppendTitle(out, text[i]);
    }
    inside = Has(text[i], kCased);
  }
  return out;
}

std::string SwapCase(std::string_view bytes) {
  const std::u32string text = Decode(bytes);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (Has(text[i], kUpper)) {
      AppendLower(out, text, i);
    } else if (Has(text[i], kLower)) {
      AppendUpper(out, text[i]);
    } else {
      AppendChar(out, text[i]);
    }
  }
  return out;
}

std::string CaseFold(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const char32_t c = NextChar(bytes, at);
    if (AppendSpecial(out, c, FoldSpecials())) continue;
    if (!AppendSpecial(out, c, LowerSpecials())) AppendMapped(out, c, LowerRanges());
  }
  return out;
}

namespace {

template <class IsIn>
std::string_view StripIf(std::string_view bytes, Side side, IsIn is_in) {
  const int sides = static_cast<int>(side);
  size_t first = 0, last = bytes.size();
  while ((sides & static_cast<int>(Side::kLeft)) != 0 && first < last) {
    size_t next = first;
    if (!is_in(NextChar(bytes, next))) break;
    first = next;
  }
  while ((sides & static_cast<int>(Side::kRight)) != 0 && last > first) {
    size_t start = last - 1;
    while (start > first && (static_cast<uint8_t>(bytes[start]) & 0xc0) == 0x80) --start;
    size_t at = start;
    if (!is_in(NextChar(bytes, at))) break;
    last = start;
  }
  return bytes.substr(first, last - first);
}

}  // namespace

std::string_view Strip(std::string_view bytes, Side side) {
  return StripIf(bytes, side, [](char32_t c) { return Has(c, kSpace); });
}

std::string_view Strip(std::string_view bytes, std::string_view chars, Side side) {
  const std::u32string set = Decode(chars);
  return StripIf(bytes, side, [&](char32_t c) { return set.find(c) != std::u32string::npos; });
}

}  // namespace kvasir::jinja
