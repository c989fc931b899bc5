#include "jinja/field_spec.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "jinja/limits.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

constexpr Int kMaxPrecision = 1000;  // digits of a number

bool IsAlign(char32_t c) { return c == '<' || c == '>' || c == '^' || c == '='; }

Result<Int> TakeNumber(std::string_view& text) {
  Int value = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    value = value * 10 + (text[0] - '0');
    if (value > kMaxWidth) return Fail("limit exceeded: a width of more than {}", kMaxWidth);
    text.remove_prefix(1);
  }
  return value;
}

// Separators between groups of `size` digits, counted from the right.
std::string Grouped(std::string_view digits, char separator, size_t size) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out += separator;
    out += digits[i];
  }
  return out;
}

// Sign, prefix and digits, padded; zeros go between prefix and digits.
Result<std::string> PadNumber(Heap& heap, bool negative, std::string_view prefix,
                              std::string digits, std::string_view tail, size_t group_size,
                              const FieldSpec& spec) {
  std::string head = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  head += prefix;
  const char align = spec.align != 0 ? spec.align : spec.zero ? '=' : '>';
  const char32_t fill = spec.zero && spec.align == 0 ? U'0' : spec.fill;
  if (spec.grouping != 0) {
    // Zero padding is grouped too: digits are added until the width is reached.
    if (align == '=' && fill == '0') {
      const auto length = [&] {
        return static_cast<Int>(head.size() + tail.size() + digits.size() +
                                (digits.size() - 1) / group_size);
      };
      if (spec.width > kMaxWidth) return Fail("limit exceeded: a width of more than {}", kMaxWidth);
      while (length() < spec.width) digits.insert(digits.begin(), '0');
    }
    digits = Grouped(digits, spec.grouping, group_size);
  }
  const std::string body = digits + std::string(tail);
  const auto length = static_cast<int64_t>(head.size() + body.size());
  if (align == '=') {
    KV_ASSIGN_OR_RETURN(const std::string padded,
                        Pad(heap, body, static_cast<int64_t>(body.size()),
                            spec.width - static_cast<Int>(head.size()), Align::kRight, fill));
    return head + padded;
  }
  const Align side = align == '<' ? Align::kLeft : align == '^' ? Align::kCenter : Align::kRight;
  if (side != Align::kCenter) return Pad(heap, head + body, length, spec.width, side, fill);
  // format() puts the odd space of a centered field after it, unlike str.center().
  KV_ASSIGN_OR_RETURN(const std::string left,
                      Pad(heap, head + body, length,
                          length + std::max<Int>(spec.width - length, 0) / 2, Align::kRight, fill));
  return Pad(heap, left, CodePoints(left), spec.width, Align::kLeft, fill);
}

// repr-like digits with a precision: what a float's empty type means.
std::string GeneralWithPoint(double value, int precision) {
  precision = std::max(precision, 1);
  std::string text = fmt::format("{:.{}e}", value, precision - 1);
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + 1;
  std::from_chars(digits + (*digits == '+' ? 1 : 0), text.data() + text.size(), exponent);
  const auto drop_zeros = [](std::string& number) {
    if (number.find('.') == std::string::npos) return;
    number.erase(number.find_last_not_of('0') + 1);
    if (number.back() == '.') number.pop_back();
  };
  const int point = exponent + 1;
  if (point <= -4 || point > precision - 1) {
    std::string mantissa = text.substr(0, e);
    drop_zeros(mantissa);
    return mantissa + text.substr(e);
  }
  std::string fixed = fmt::format("{:.{}f}", value, std::max(precision - point, 1));
  drop_zeros(fixed);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

// With "#": the point stays where nothing follows it, and zeros after it stay in a 'g'.
std::string AlternateDigits(double magnitude, char type, int precision) {
  const char format[] = {'%', '#', '.', '*', type, '\0'};
  const int length = std::snprintf(nullptr, 0, format, precision, magnitude);
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, precision, magnitude);
  text.pop_back();
  return text;
}

std::string FloatDigits(double magnitude, const FieldSpec& spec) {
  const bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  if (std::isnan(magnitude)) return upper ? "NAN" : "nan";
  if (std::isinf(magnitude)) return upper ? "INF" : "inf";
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  if (spec.alternate) {
    const bool is_percent = spec.type == '%';
    const char type = is_percent ? 'f' : spec.type == 'n' ? 'g' : spec.type;
    return AlternateDigits(is_percent ? magnitude * 100 : magnitude, type, precision);
  }
  switch (spec.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", magnitude, precision);
    case 'e':
      return fmt::format("{:.{}e}", magnitude, precision);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, precision);
    case 'g':
    case 'n':
      return fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
    case 'G':
      return fmt::format("{:.{}G}", magnitude, std::max(precision, 1));
    case '%':
      return fmt::format("{:.{}f}", magnitude * 100, precision);
    default:
      return spec.precision < 0 ? FloatRepr(magnitude) : GeneralWithPoint(magnitude, precision);
  }
}

}  // namespace

Result<FieldSpec> FieldSpec::Parse(std::string_view text) {
  FieldSpec spec;
  size_t after_fill = 0;
  bool has_fill = false;
  if (!text.empty()) {
    const char32_t first = NextChar(text, after_fill);
    if (after_fill < text.size() && IsAlign(static_cast<unsigned char>(text[after_fill]))) {
      spec.fill = first;
      has_fill = true;
      spec.align = text[after_fill];
      text.remove_prefix(after_fill + 1);
    } else if (IsAlign(first)) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
  }
  const auto take = [&](std::string_view any) -> char {
    if (text.empty() || any.find(text[0]) == std::string_view::npos) return 0;
    const char c = text[0];
    text.remove_prefix(1);
    return c;
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  if (take("z")) return Fail("the format option 'z' is not supported");
  spec.alternate = take("#") != 0;
  spec.zero = take("0") != 0;
  if (spec.zero && !has_fill) spec.fill = '0';
  KV_ASSIGN_OR_RETURN(spec.width, TakeNumber(text));
  spec.grouping = take(",_");
  if (take(".")) {
    if (text.empty() || text[0] < '0' || text[0] > '9') {
      return Fail("Format specifier missing precision");
    }
    KV_ASSIGN_OR_RETURN(spec.precision, TakeNumber(text));
  }
  if (text.size() > 1) return Fail("Invalid format specifier");
  if (!text.empty()) spec.type = text[0];
  return spec;
}

Result<std::string> FormatText(Heap& heap, std::string_view text, const FieldSpec& spec) {
  if (spec.precision >= 0 && spec.precision <= kMaxWidth) {
    text = text.substr(0, ByteOffset(text, static_cast<int64_t>(spec.precision)));
  }
  const char32_t fill = spec.zero && spec.align == 0 ? U'0' : spec.fill;
  const int64_t length = CodePoints(text);
  if (spec.align == '>') return Pad(heap, text, length, spec.width, Align::kRight, fill);
  if (spec.align != '^') return Pad(heap, text, length, spec.width, Align::kLeft, fill);
  const Int before = std::max<Int>(spec.width - length, 0) / 2;
  KV_ASSIGN_OR_RETURN(const std::string left,
                      Pad(heap, text, length, length + before, Align::kRight, fill));
  return Pad(heap, left, CodePoints(left), spec.width, Align::kLeft, fill);
}

Result<std::string> FormatInt(Heap& heap, Int value, const FieldSpec& spec) {
  if (value == kMinInt) return Fail("integer overflow: more than 127 bits are not supported");
  const bool negative = value < 0;
  Int rest = negative ? -value : value;
  const int base = spec.type == 'b'            ? 2
                   : spec.type == 'o'          ? 8
                   : (spec.type | 0x20) == 'x' ? 16
                                               : 10;
  std::string digits;
  do {
    const int digit = static_cast<int>(rest % base);
    digits +=
        static_cast<char>(digit < 10 ? '0' + digit : (spec.type == 'X' ? 'A' : 'a') + digit - 10);
    rest /= base;
  } while (rest != 0);
  std::reverse(digits.begin(), digits.end());
  if (spec.precision > static_cast<Int>(digits.size())) {  // of percent formatting
    if (spec.precision > kMaxPrecision) {
      return Fail("limit exceeded: a precision of more than {}", kMaxPrecision);
    }
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  std::string_view prefix;
  if (spec.alternate && base != 10) {
    prefix = base == 2 ? "0b" : base == 8 ? "0o" : spec.type == 'X' ? "0X" : "0x";
  }
  return PadNumber(heap, negative, prefix, std::move(digits), "", base == 10 ? 3 : 4, spec);
}

Result<std::string> FormatFloat(Heap& heap, double value, const FieldSpec& spec) {
  if (spec.precision > kMaxPrecision) {
    return Fail("limit exceeded: a precision of more than {}", kMaxPrecision);
  }
  if (spec.alternate && spec.type == 0) {
    return Fail("'#' in the format of a float is supported with one of e, f, g and % only");
  }
  const bool negative = std::signbit(value) && !std::isnan(value);
  const std::string text = FloatDigits(std::abs(value), spec);
  const size_t whole = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string tail = text.substr(whole);
  if (spec.type == '%') tail += '%';
  std::string digits = text.substr(0, whole);
  if (digits.empty()) {  // inf, nan: neither grouped nor filled with zeros inside
    FieldSpec plain = spec;
    plain.grouping = 0;
    return PadNumber(heap, negative, "", std::move(tail), "", 3, plain);
  }
  return PadNumber(heap, negative, "", std::move(digits), tail, 3, spec);
}

Result<std::string> FormatField(Heap& heap, const Value& value, const FieldSpec& spec) {
  const std::string_view type = TypeName(value);
  const auto unknown = [&]() {
    return Fail("Unknown format code '{}' for object of type '{}'", spec.type, type);
  };
  if (value.is_string()) {
    if (spec.type != 0 && spec.type != 's') return unknown();
    if (spec.align == '=') return Fail("'=' alignment not allowed in string format specifier");
    if (spec.sign != '-' || spec.grouping != 0 || spec.alternate) {
      return Fail("signs, grouping and '#' are not allowed in string format specifiers");
    }
    return FormatText(heap, value.str(), spec);
  }
  const bool float_type =
      spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is_float() || (value.is_integral() && float_type)) {
    if (spec.type != 0 && spec.type != 'n' && !float_type) return unknown();
    return FormatFloat(heap, value.number(), spec);
  }
  if (value.is_integral()) {
    if (spec.precision >= 0) return Fail("Precision not allowed in integer format specifier");
    if (spec.type == 'c') {
      const Int code = value.integer();
      if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        return Fail("%c arg not in range(0x110000)");
      }
      FieldSpec text = spec;
      if (text.align == 0) text.align = '>';
      std::string out;
      AppendChar(out, static_cast<char32_t>(code));
      return FormatText(heap, out, text);
    }
    if (spec.type != 0 && std::string_view("bdnoxX").find(spec.type) == std::string_view::npos) {
      return unknown();
    }
    return FormatInt(heap, value.integer(), spec);
  }
  return Fail("unsupported format string passed to {}.__format__", type);
}

}  // namespace kvasir::jinja
