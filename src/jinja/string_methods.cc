// Methods of str that make text or judge it.
#include <algorithm>

#include "jinja/builtin.h"
#include "jinja/escape.h"
#include "jinja/format.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

// Text of the same kind (plain or markup) as the object.
Result<Value> Same(Call& call, std::string text) {
  return call.heap.MakeText(std::move(text), call[0].text().markup);
}

// An argument that becomes part of the text: escaped if the object is markup and it is not.
Result<std::string> Part(Call& call, size_t i) {
  KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(i));
  const bool escapes = call[0].text().markup && !call[i].text().markup;
  return escapes ? EscapeHtml(text) : std::string(text);
}

template <std::string (*convert)(std::string_view)>
Result<Value> Convert(Call& call) {
  const std::string_view text = call[0].str();
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 4));
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(text.size()) * 8));
  return Same(call, convert(text));
}

template <Side side>
Result<Value> StripMethod(Call& call) {
  if (!call.given(1)) return Same(call, std::string(Strip(call[0].str(), side)));
  KV_ASSIGN_OR_RETURN(const std::string_view chars, call.String(1));
  return Same(call, std::string(Strip(call[0].str(), chars, side)));
}

Result<Value> Replace(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string from, Part(call, 1));
  KV_ASSIGN_OR_RETURN(const std::string to, Part(call, 2));
  KV_ASSIGN_OR_RETURN(const Int count, call.has(3) ? call.Integer(3) : Result<Int>(-1));
  KV_ASSIGN_OR_RETURN(std::string out, ReplaceAll(call.heap, call[0].str(), from, to, count));
  return Same(call, std::move(out));
}

Result<Value> Join(Call& call) {
  if (call[1].is_undefined()) return Same(call, "");
  KV_ASSIGN_OR_RETURN(const ListRef list, Iterate(call.heap, call[1]));
  const bool markup = call[0].text().markup;
  std::string out;
  for (size_t i = 0; i < list->items.size(); ++i) {
    const Value& item = list->items[i];
    if (!item.is_string() && !markup) {
      return Fail("sequence item {}: expected str instance, {} found", i, TypeName(item));
    }
    if (i > 0) out += call[0].str();
    KV_ASSIGN_OR_RETURN(const std::string text, Str(call.heap, item));
    out += markup && !(item.is_string() && item.text().markup) ? EscapeHtml(text) : text;
    KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(out.size())));
  }
  return Same(call, std::move(out));
}

template <Align align>
Result<Value> PadMethod(Call& call) {
  KV_ASSIGN_OR_RETURN(const Int width, call.Integer(1));
  char32_t fill = ' ';
  if (call.has(2)) {
    KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(2));
    if (CodePoints(text) != 1) return Fail("The fill character must be exactly one character long");
    size_t at = 0;
    fill = NextChar(text, at);
  }
  KV_ASSIGN_OR_RETURN(std::string out,
                      Pad(call.heap, call[0].str(), call[0].text().length, width, align, fill));
  return Same(call, std::move(out));
}

Result<Value> ZFill(Call& call) {
  KV_ASSIGN_OR_RETURN(const Int width, call.Integer(1));
  std::string_view text = call[0].str();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  KV_ASSIGN_OR_RETURN(
      std::string out,
      Pad(call.heap, text.substr(sign ? 1 : 0), call[0].text().length - (sign ? 1 : 0),
          width < kMinInt / 2 ? 0 : width - (sign ? 1 : 0), Align::kRight, '0'));
  return Same(call, sign ? text[0] + out : out);
}

Result<Value> ExpandTabs(Call& call) {
  KV_ASSIGN_OR_RETURN(const Int size, call.Integer(1, 8));
  if (size > 1000) return Fail("limit exceeded: tabs of more than 1000 columns");
  const auto tab = static_cast<int64_t>(std::max<Int>(size, 0));
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(call[0].str().size()) * (tab + 1)));
  std::string out;
  int64_t column = 0;
  for (const char32_t c : Decode(call[0].str())) {
    if (c == '\t') {
      const int64_t n = tab > 0 ? tab - column % tab : 0;
      out.append(static_cast<size_t>(n), ' ');
      column += n;
    } else {
      AppendChar(out, c);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return Same(call, std::move(out));
}

template <bool prefix>
Result<Value> RemoveEnd(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view end, call.String(1));
  std::string_view text = call[0].str();
  if (prefix && text.substr(0, end.size()) == end) text.remove_prefix(end.size());
  if (!prefix && !end.empty() && text.size() >= end.size() &&
      text.substr(text.size() - end.size()) == end) {
    text.remove_suffix(end.size());
  }
  return Same(call, std::string(text));
}

Result<Value> Format(Call& call) {
  return StrFormat(call.in, call[0].text(), call.rest, call.named);
}

Result<Value> FormatMap(Call& call) {
  if (!call[1].is_dict()) return Fail("format_map() needs a dict, not '{}'", TypeName(call[1]));
  std::vector<std::pair<std::string, Value>> named;
  for (const auto& [key, value] : call[1].dict().entries()) {
    if (key.is_string()) named.emplace_back(std::string(key.str()), value);
  }
  return StrFormat(call.in, call[0].text(), {}, named);
}

// Whether all characters have one of the properties; `of_empty` for the empty string.
template <uint32_t bits, bool of_empty>
Result<Value> All(Call& call) {
  const std::string_view text = call[0].str();
  for (size_t at = 0; at < text.size();) {
    if (!Has(NextChar(text, at), bits)) return Value::Bool(false);
  }
  return Value::Bool(!text.empty() || of_empty);
}

template <uint32_t wanted>
Result<Value> IsCase(Call& call) {
  const std::string_view text = call[0].str();
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    if (!Has(c, kCased)) continue;
    if (!Has(c, wanted)) return Value::Bool(false);
    any = true;
  }
  return Value::Bool(any);
}

Result<Value> IsTitle(Call& call) {
  const std::string_view text = call[0].str();
  bool any = false, inside = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    const bool upper = Has(c, kUpper | kTitle), lower = Has(c, kLower);
    if ((upper && inside) || (lower && !inside)) return Value::Bool(false);
    inside = upper || lower;
    any |= inside;
  }
  return Value::Bool(any);
}

Result<Value> IsAscii(Call& call) {
  return Value::Bool(call[0].text().length == static_cast<int64_t>(call[0].str().size()));
}

Result<Value> IsIdentifier(Call& call) {
  const std::string_view text = call[0].str();
  for (size_t at = 0; at < text.size();) {
    const bool first = at == 0;
    const char32_t c = NextChar(text, at);
    const bool starts = c == '_' || Has(c, kAlpha);
    if (!starts && (first || !Has(c, kDecimal))) return Value::Bool(false);
  }
  return Value::Bool(!text.empty());
}

constexpr Builtin kMethods[] = {
    {"capitalize", "self", Convert<Capitalize>},
    {"casefold", "self", Convert<CaseFold>},
    {"center", "self width fillchar?", PadMethod<Align::kCenter>},
    {"expandtabs", "self tabsize?", ExpandTabs},
    {"format", "self *args **kwargs", Format},
    {"format_map", "self mapping", FormatMap},
    {"isalnum", "self", All<kWord, false>},
    {"isalpha", "self", All<kAlpha, false>},
    {"isascii", "self", IsAscii},
    {"isdecimal", "self", All<kDecimal, false>},
    {"isdigit", "self", All<kDigit, false>},
    {"isidentifier", "self", IsIdentifier},
    {"islower", "self", IsCase<kLower>},
    {"isnumeric", "self", All<kNumeric, false>},
    {"isprintable", "self", All<kPrintable, true>},
    {"isspace", "self", All<kSpace, false>},
    {"istitle", "self", IsTitle},
    {"isupper", "self", IsCase<kUpper>},
    {"join", "self iterable", Join},
    {"ljust", "self width fillchar?", PadMethod<Align::kLeft>},
    {"lower", "self", Convert<Lower>},
    {"lstrip", "self chars?", StripMethod<Side::kLeft>},
    {"removeprefix", "self prefix", RemoveEnd<true>},
    {"removesuffix", "self suffix", RemoveEnd<false>},
    {"replace", "self old new count?", Replace},
    {"rjust", "self width fillchar?", PadMethod<Align::kRight>},
    {"rstrip", "self chars?", StripMethod<Side::kRight>},
    {"strip", "self chars?", StripMethod<Side::kBoth>},
    {"swapcase", "self", Convert<SwapCase>},
    {"title", "self", Convert<TitleCase>},
    {"upper", "self", Convert<Upper>},
    {"zfill", "self width", ZFill},
};

}  // namespace

std::span<const Builtin> StringMethods() { return kMethods; }

}  // namespace kvasir::jinja
