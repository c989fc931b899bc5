// Filters from text to text.
#include "jinja/builtin.h"
#include "jinja/escape.h"
#include "jinja/format.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

bool IsMarkup(const Value& value) { return value.is_string() && value.text().markup; }

template <std::string (*convert)(std::string_view)>
Result<Value> Convert(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 4));
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(text.size()) * 8));
  return call.heap.MakeText(convert(text), IsMarkup(call[0]));
}

// Jinja's title() starts words after spaces and brackets only, unlike str.title().
std::string JinjaTitle(std::string_view text) {
  const auto starts_word = [](char32_t c) {
    return Has(c, kSpace) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const bool separator = starts_word(NextChar(text, at));
    size_t end = at;
    while (end < text.size()) {
      size_t next = end;
      if (starts_word(NextChar(text, next)) != separator) break;
      end = next;
    }
    // The first character of separators too: it has no case.
    out += Upper(text.substr(start, at - start));
    out += Lower(text.substr(at, end - at));
    at = end;
  }
  return out;
}

Result<Value> Trim(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  if (!call.given(1)) {
    return call.heap.MakeText(std::string(Strip(text, Side::kBoth)), IsMarkup(call[0]));
  }
  KV_ASSIGN_OR_RETURN(const std::string_view chars, call.String(1));
  return call.heap.MakeText(std::string(Strip(text, chars, Side::kBoth)), IsMarkup(call[0]));
}

Result<Value> Replace(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  KV_ASSIGN_OR_RETURN(const std::string from, call.Str(1));
  KV_ASSIGN_OR_RETURN(const std::string to, call.Str(2));
  KV_ASSIGN_OR_RETURN(const Int count, call.Integer(3, -1));
  KV_ASSIGN_OR_RETURN(std::string out, ReplaceAll(call.heap, text, from, to, count));
  return call.heap.MakeText(std::move(out));
}

Result<Value> Escape(Call& call) {
  if (IsMarkup(call[0])) return call[0];
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  return call.heap.MakeText(EscapeHtml(text), true);
}

Result<Value> ForceEscape(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  return call.heap.MakeText(EscapeHtml(text), true);
}

Result<Value> Safe(Call& call) {
  KV_ASSIGN_OR_RETURN(std::string text, call.Str(0));
  return call.heap.MakeText(std::move(text), true);
}

Result<Value> ToString(Call& call) {
  if (call[0].is_string()) return call[0];
  KV_ASSIGN_OR_RETURN(std::string text, call.Str(0));
  return call.heap.MakeText(std::move(text));
}

Result<Value> StripTagsFilter(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 4));
  return call.heap.MakeText(StripTags(text));
}

Result<Value> WordCount(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 4));
  int64_t n = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const bool word = IsWord(NextChar(text, at));
    if (word && !inside) ++n;
    inside = word;
  }
  return Value::Integer(n);
}

Result<Value> Center(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string text, call.Str(0));
  KV_ASSIGN_OR_RETURN(const Int width, call.Integer(1, 80));
  KV_ASSIGN_OR_RETURN(std::string out,
                      Pad(call.heap, text, CodePoints(text), width, Align::kCenter));
  return call.heap.MakeText(std::move(out), IsMarkup(call[0]));
}

Result<Value> Format(Call& call) {
  if (!call.rest.empty() && !call.named.empty()) {
    return Fail("can't handle positional and keyword arguments at the same time");
  }
  KV_ASSIGN_OR_RETURN(std::string text, call.Str(0));
  KV_ASSIGN_OR_RETURN(const Value format, call.heap.MakeText(std::move(text), IsMarkup(call[0])));
  Value values;
  if (call.named.empty()) {
    KV_ASSIGN_OR_RETURN(values, call.heap.MakeList(call.rest, Flavor::kTuple));
  } else {
    Dict dict;
    for (const auto& [name, value] : call.named) {
      KV_ASSIGN_OR_RETURN(const Value key, call.heap.MakeText(name));
      dict.Set(key, value);
    }
    KV_ASSIGN_OR_RETURN(values, call.heap.MakeDict(std::move(dict)));
  }
  return PercentFormat(call.heap, format.text(), values);
}

Result<std::string> Quoted(Heap& heap, const Value& value, bool query) {
  KV_ASSIGN_OR_RETURN(const std::string text, Str(heap, value));
  if (!query) return QuoteUrl(text, "/");
  KV_ASSIGN_OR_RETURN(std::string out, ReplaceAll(heap, QuoteUrl(text, ""), "%20", "+", -1));
  return out;
}

Result<Value> UrlEncode(Call& call) {
  const Value& value = call[0];
  if (!value.is_dict() && !value.is_list()) {
    KV_ASSIGN_OR_RETURN(std::string text, Quoted(call.heap, value, false));
    return call.heap.MakeText(std::move(text));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (value.is_dict()) {
    pairs = value.dict().entries();
  } else {
    for (const Value& item : value.list().items) {
      if (!item.is_list() || item.list().items.size() != 2) {
        return Fail("urlencode() needs a dict or pairs of names and values");
      }
      pairs.emplace_back(item.list().items[0], item.list().items[1]);
    }
  }
  std::string out;
  for (const auto& [name, v] : pairs) {
    KV_ASSIGN_OR_RETURN(const std::string quoted_name, Quoted(call.heap, name, true));
    KV_ASSIGN_OR_RETURN(const std::string quoted, Quoted(call.heap, v, true));
    out += (out.empty() ? "" : "&") + quoted_name + "=" + quoted;
    KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(out.size())));
  }
  return call.heap.MakeText(std::move(out));
}

constexpr Builtin kTextFilters[] = {
    {"capitalize", "s", Convert<Capitalize>},
    {"center", "value width?", Center},
    {"e", "value", Escape},
    {"escape", "value", Escape},
    {"forceescape", "value", ForceEscape},
    {"format", "value *args **kwargs", Format},
    {"lower", "s", Convert<Lower>},
    {"replace", "s old new count?", Replace},
    {"safe", "value", Safe},
    {"string", "object", ToString},
    {"striptags", "value", StripTagsFilter},
    {"title", "s", Convert<JinjaTitle>},
    {"trim", "value chars?", Trim},
    {"upper", "s", Convert<Upper>},
    {"urlencode", "value", UrlEncode},
    {"wordcount", "s", WordCount},
};

}  // namespace

std::span<const Builtin> TextFilters() { return kTextFilters; }

}  // namespace kvasir::jinja
