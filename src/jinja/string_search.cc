// Methods of str that search in it or take it apart.
#include <algorithm>

#include "jinja/builtin.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

// text[start:end] of the optional arguments `first` and `first + 1`, and where it begins.
struct Window {
  std::string_view text;
  int64_t start = 0;         // code points
  bool empty_range = false;  // start beyond end: nothing is found, not even ""
};

Result<Window> WindowOf(Call& call, size_t first) {
  const Text& text = call[0].text();
  KV_ASSIGN_OR_RETURN(Int start, call.Integer(first, 0));
  KV_ASSIGN_OR_RETURN(Int end, call.Integer(first + 1, text.length));
  if (start < 0) start = std::max<Int>(start + text.length, 0);
  if (end < 0) end = std::max<Int>(end + text.length, 0);
  end = std::min<Int>(end, text.length);
  if (start > end) return Window{{}, 0, true};
  const size_t from = ByteOffset(text.bytes, static_cast<int64_t>(start));
  const std::string_view rest = std::string_view(text.bytes).substr(from);
  const size_t n_bytes = ByteOffset(rest, static_cast<int64_t>(end - start));
  return Window{rest.substr(0, n_bytes), static_cast<int64_t>(start), false};
}

template <bool from_right>
Result<int64_t> FindIndex(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view what, call.String(1));
  KV_ASSIGN_OR_RETURN(const Window window, WindowOf(call, 2));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(window.text.size()) >> 8));
  const size_t at = window.empty_range ? std::string_view::npos
                    : from_right       ? window.text.rfind(what)
                                       : window.text.find(what);
  if (at == std::string_view::npos) return -1;
  return window.start + CodePoints(window.text.substr(0, at));
}

template <bool from_right>
Result<Value> Find(Call& call) {
  KV_ASSIGN_OR_RETURN(const int64_t index, FindIndex<from_right>(call));
  return Value::Integer(index);
}

template <bool from_right>
Result<Value> Index(Call& call) {
  KV_ASSIGN_OR_RETURN(const int64_t index, FindIndex<from_right>(call));
  if (index < 0) return Fail("substring not found");
  return Value::Integer(index);
}

Result<Value> Count(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view what, call.String(1));
  KV_ASSIGN_OR_RETURN(const Window window, WindowOf(call, 2));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(window.text.size()) >> 8));
  if (window.empty_range) return Value::Integer(0);
  if (what.empty()) return Value::Integer(CodePoints(window.text) + 1);
  int64_t n = 0;
  for (size_t at = 0; (at = window.text.find(what, at)) != std::string_view::npos;
       at += what.size()) {
    ++n;
  }
  return Value::Integer(n);
}

template <bool at_end>
Result<Value> HasEnd(Call& call) {
  KV_ASSIGN_OR_RETURN(const Window window, WindowOf(call, 2));
  const auto matches = [&](std::string_view end) {
    const std::string_view text = window.text;
    if (window.empty_range || text.size() < end.size()) return false;
    return (at_end ? text.substr(text.size() - end.size()) : text.substr(0, end.size())) == end;
  };
  if (call[1].is_list() && call[1].list().flavor == Flavor::kTuple) {
    for (const Value& end : call[1].list().items) {
      if (!end.is_string()) return Fail("{}(): a tuple must hold strings only", call.name);
      if (matches(end.str())) return Value::Bool(true);
    }
    return Value::Bool(false);
  }
  KV_ASSIGN_OR_RETURN(const std::string_view end, call.String(1));
  return Value::Bool(matches(end));
}

Result<Value> MakeParts(Call& call, const std::vector<std::string_view>& parts,
                        Flavor flavor = Flavor::kList) {
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(parts.size()) * 160));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    KV_ASSIGN_OR_RETURN(Value item, call.heap.MakeText(std::string(part), call[0].text().markup));
    items.push_back(std::move(item));
  }
  return call.heap.MakeList(std::move(items), flavor);
}

// At runs of white space; no empty parts. What is left when the count is reached is one part.
std::vector<std::string_view> SplitSpace(std::string_view text, Int count, bool from_right) {
  std::vector<std::string_view> parts;
  const auto is_space = [&](size_t at) { return Has(NextChar(text, at), kSpace); };
  const auto before = [&](size_t at) {  // start of the character that ends at `at`
    do --at;
    while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80);
    return at;
  };
  while (true) {
    text = Strip(text, from_right ? Side::kRight : Side::kLeft);
    if (text.empty()) break;
    if (count-- == 0) {
      parts.push_back(Strip(text, from_right ? Side::kLeft : Side::kRight).empty() ? text : text);
      break;
    }
    size_t cut = from_right ? text.size() : 0;
    if (from_right) {
      while (cut > 0 && !is_space(before(cut))) cut = before(cut);
      parts.push_back(text.substr(cut));
      text = text.substr(0, cut);
    } else {
      while (cut < text.size() && !is_space(cut)) NextChar(text, cut);
      parts.push_back(text.substr(0, cut));
      text.remove_prefix(cut);
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Result<Value> Split(Call& call) {
  std::string_view text = call[0].str();
  KV_ASSIGN_OR_RETURN(Int count, call.Integer(2, -1));
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 6));
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(text.size()) * 16));
  if (!call.given(1)) return MakeParts(call, SplitSpace(text, count, from_right));
  KV_ASSIGN_OR_RETURN(const std::string_view separator, call.String(1));
  if (separator.empty()) return Fail("empty separator");
  std::vector<std::string_view> parts;
  for (; count != 0; --count) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(from_right ? text.substr(at + separator.size()) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return MakeParts(call, parts);
}

Result<Value> SplitLinesMethod(Call& call) {
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(call[0].str().size()) * 16));
  KV_ASSIGN_OR_RETURN(const Int keep_ends, call.has(1) ? call.Integer(1) : Result<Int>(0));
  return MakeParts(call, SplitLines(call[0].str(), keep_ends != 0));
}

template <bool from_right>
Result<Value> Partition(Call& call) {
  const std::string_view text = call[0].str();
  KV_ASSIGN_OR_RETURN(const std::string_view separator, call.String(1));
  if (separator.empty()) return Fail("empty separator");
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  if (at == std::string_view::npos) {
    return from_right ? MakeParts(call, {"", "", text}, Flavor::kTuple)
                      : MakeParts(call, {text, "", ""}, Flavor::kTuple);
  }
  return MakeParts(call, {text.substr(0, at), separator, text.substr(at + separator.size())},
                   Flavor::kTuple);
}

constexpr Builtin kMethods[] = {
    {"count", "self sub start? end?", Count},
    {"endswith", "self suffix start? end?", HasEnd<true>},
    {"find", "self sub start? end?", Find<false>},
    {"index", "self sub start? end?", Index<false>},
    {"partition", "self sep", Partition<false>},
    {"rfind", "self sub start? end?", Find<true>},
    {"rindex", "self sub start? end?", Index<true>},
    {"rpartition", "self sep", Partition<true>},
    {"rsplit", "self sep? maxsplit?", Split<true>},
    {"split", "self sep? maxsplit?", Split<false>},
    {"splitlines", "self keepends?", SplitLinesMethod},
    {"startswith", "self prefix start? end?", HasEnd<false>},
};

}  // namespace

std::span<const Builtin> StringSearchMethods() { return kMethods; }

}  // namespace kvasir::jinja
