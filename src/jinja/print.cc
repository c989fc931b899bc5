#include "jinja/print.h"

#include <charconv>
#include <cmath>

#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

Status AppendItems(Heap& heap, const List& list, std::string& out) {
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out += ", ";
    KV_RETURN_IF_ERROR(AppendRepr(heap, list.items[i], out));
  }
  return {};
}

Status AppendList(Heap& heap, const List& list, std::string& out) {
  std::string_view open = "[", close = "]";
  switch (list.flavor) {
    case Flavor::kList:
      break;
    case Flavor::kTuple:
    case Flavor::kGroup:
      open = "(";
      close = list.items.size() == 1 ? ",)" : ")";
      break;
    case Flavor::kRange:
      if (list.label.empty())
        return Fail("printing a slice of a range is not supported: add | list");
      out += list.label;
      return {};
    case Flavor::kKeys:
      open = "dict_keys([", close = "])";
      break;
    case Flavor::kValues:
      open = "dict_values([", close = "])";
      break;
    case Flavor::kItems:
      open = "dict_items([", close = "])";
      break;
  }
  out += open;
  KV_RETURN_IF_ERROR(AppendItems(heap, list, out));
  out += close;
  return {};
}

Status AppendDict(Heap& heap, const Dict& dict, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) out += ", ";
    first = false;
    KV_RETURN_IF_ERROR(AppendRepr(heap, key, out));
    out += ": ";
    KV_RETURN_IF_ERROR(AppendRepr(heap, value, out));
  }
  out += '}';
  return {};
}

}  // namespace

std::string IntText(Int value) { return fmt::format("{}", value); }

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + 1;
  std::from_chars(digits + (*digits == '+' ? 1 : 0), text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02}", text.substr(0, e), exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  char fixed[64];
  const auto fixed_end =
      std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed);
  std::string out(fixed, fixed_end.ptr);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

std::string QuotedRepr(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      AppendChar(out, c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (Has(c, kPrintable)) {
      AppendChar(out, c);
    } else {
      const auto code = static_cast<uint32_t>(c);
      out += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    }
  }
  out += quote;
  return out;
}

Status AppendStr(Heap& heap, const Value& value, std::string& out) {
  if (value.is_string()) {
    out += value.str();
    return heap.Fits(static_cast<Int>(out.size()));
  }
  if (value.is_undefined()) return {};
  return AppendRepr(heap, value, out);
}

// Recursion is bounded by the depth of values, and for objects by their own Print.
Status AppendRepr(Heap& heap, const Value& value, std::string& out) {
  KV_RETURN_IF_ERROR(heap.Step());
  KV_RETURN_IF_ERROR(heap.Fits(static_cast<Int>(out.size())));
  if (value.is_string()) {
    KV_RETURN_IF_ERROR(heap.Step(static_cast<int64_t>(value.str().size()) >> 4));
    const std::string quoted = QuotedRepr(value.str());
    out += value.text().markup ? "Markup(" + quoted + ")" : quoted;
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.is_none()) {
    out += "None";
  } else if (value.is_bool()) {
    out += value.boolean() ? "True" : "False";
  } else if (value.is_int()) {
    out += IntText(value.integer());
  } else if (value.is_float()) {
    out += FloatRepr(value.number());
  } else if (value.is_list()) {
    return AppendList(heap, value.list(), out);
  } else if (value.is_dict()) {
    return AppendDict(heap, value.dict(), out);
  } else {
    return value.object()->Print(heap, out);
  }
  return {};
}

Result<std::string> Str(Heap& heap, const Value& value) {
  std::string out;
  KV_RETURN_IF_ERROR(AppendStr(heap, value, out));
  return out;
}

Result<std::string> Repr(Heap& heap, const Value& value) {
  std::string out;
  KV_RETURN_IF_ERROR(AppendRepr(heap, value, out));
  return out;
}

}  // namespace kvasir::jinja
