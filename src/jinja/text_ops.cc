#include "jinja/text_ops.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

bool IsLineEnd(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

// ASCII for the digits of any script.
std::string PlainDigits(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    const int digit = c < 0x80 ? -1 : DigitValue(c);
    AppendChar(out, digit < 0 ? c : static_cast<char32_t>('0' + digit));
  }
  return out;
}

// Digits of a number without its underscores; false where they are not single and inside.
bool DropUnderscores(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto word = [&](size_t k) {
      return k < text.size() && text[k] != '_' && text[k] != '+' && text[k] != '-';
    };
    if (i == 0 || !word(i - 1) || !word(i + 1)) return false;
  }
  return true;
}

}  // namespace

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t c = NextChar(text, at);
    if (!IsLineEnd(c)) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(start, (keep_ends ? at : end) - start));
    start = at;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

Result<std::string> ReplaceAll(Heap& heap, std::string_view text, std::string_view from,
                               std::string_view to, Int count) {
  std::string out;
  size_t at = 0;
  KV_RETURN_IF_ERROR(heap.Step(static_cast<int64_t>(text.size()) >> 4));
  const auto room = [&]() { return heap.Fits(static_cast<Int>(out.size()) + to.size()); };
  if (from.empty()) {  // between all characters, and at both ends
    while (count != 0) {
      KV_RETURN_IF_ERROR(room());
      out += to;
      --count;
      if (at >= text.size()) return out;
      const size_t start = at;
      NextChar(text, at);
      out += text.substr(start, at - start);
    }
  }
  while (count != 0 && !from.empty()) {
    const size_t hit = text.find(from, at);
    if (hit == std::string_view::npos) break;
    KV_RETURN_IF_ERROR(room());
    out += text.substr(at, hit - at);
    out += to;
    at = hit + from.size();
    --count;
  }
  out += text.substr(at);
  return out;
}

Result<std::string> Pad(Heap& heap, std::string_view text, int64_t length, Int width, Align align,
                        char32_t fill) {
  if (width <= length) return std::string(text);
  if (width > kMaxWidth) return Fail("limit exceeded: a width of more than {}", kMaxWidth);
  KV_RETURN_IF_ERROR(heap.Fits(static_cast<Int>(text.size()) + width * 4));
  const auto missing = static_cast<int64_t>(width) - length;
  int64_t before = align == Align::kRight ? missing : 0;
  // Python's choice of side for the odd one.
  if (align == Align::kCenter) before = missing / 2 + (missing & static_cast<int64_t>(width) & 1);
  std::string out;
  for (int64_t i = 0; i < before; ++i) AppendChar(out, fill);
  out += text;
  for (int64_t i = before; i < missing; ++i) AppendChar(out, fill);
  return out;
}

Result<std::optional<Int>> ParseInt(std::string_view text, Int base) {
  if (base != 0 && (base < 2 || base > 36)) return Fail("int() base must be >= 2 and <= 36, or 0");
  const std::string plain = PlainDigits(Strip(text, Side::kBoth));
  std::string digits;
  text = plain;
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    const int prefixed = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == 0 || base == prefixed)) {
      base = prefixed;
      text.remove_prefix(text[2] == '_' ? 3 : 2);
    }
  }
  const bool guessed = base == 0;
  if (guessed) base = 10;
  if (text.empty() || !DropUnderscores(text, digits)) return std::nullopt;
  if (guessed && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
    return std::nullopt;
  }
  Int value = 0;
  for (const char c : digits) {
    const char lower = static_cast<char>(c | 0x20);
    const int digit = c >= '0' && c <= '9'           ? c - '0'
                      : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                                     : 99;
    if (digit >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, base, &value) ||
        __builtin_add_overflow(value, Int{digit}, &value)) {
      return Fail("integer overflow: more than 127 bits are not supported");
    }
  }
  return negative ? -value : value;
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::string plain = PlainDigits(Strip(text, Side::kBoth));
  text = plain;
  std::string clean;
  if (text.empty() || !DropUnderscores(text, clean)) return std::nullopt;
  const bool negative = clean[0] == '-';
  if (clean[0] == '+' || clean[0] == '-') clean.erase(0, 1);
  const std::string lower = Lower(clean);
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (lower == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    const bool starts = !clean.empty() && (clean[0] == '.' || (clean[0] >= '0' && clean[0] <= '9'));
    if (!starts || lower.find_first_not_of("0123456789.e+-") != std::string::npos) {
      return std::nullopt;
    }
    const char* end = clean.data() + clean.size();
    const auto parsed = std::from_chars(clean.data(), end, value);
    if (parsed.ptr != end) return std::nullopt;
    if (parsed.ec == std::errc::result_out_of_range) value = std::strtod(clean.c_str(), nullptr);
    if (parsed.ec == std::errc::invalid_argument) return std::nullopt;
  }
  return negative ? -value : value;
}

}  // namespace kvasir::jinja
