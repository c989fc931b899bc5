// Filters that lay text out: indentation, wrapping, truncation, attributes, sizes.
#include <algorithm>
#include <cmath>

#include "jinja/builtin.h"
#include "jinja/escape.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

Result<Value> Indent(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(0));
  std::string indention(4, ' ');
  if (call.has(1) && call[1].is_string()) {
    indention = call[1].str();
  } else if (call.has(1)) {
    KV_ASSIGN_OR_RETURN(const Int width, call.Integer(1));
    if (width > kMaxWidth) {
      return Fail("limit exceeded: indent() of more than {} columns", kMaxWidth);
    }
    indention.assign(static_cast<size_t>(std::max<Int>(width, 0)), ' ');
  }
  const bool first = call.Flag(2), blank = call.Flag(3);
  const std::string quirk = std::string(text) + "\n";  // as Jinja: keeps a last empty line
  const std::vector<std::string_view> lines = SplitLines(quirk);
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(lines.size()) * indention.size() +
                                    static_cast<Int>(quirk.size())));
  std::string out = first ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += indention;
    out += lines[i];
  }
  return call.heap.MakeText(std::move(out), call[0].text().markup);
}

Result<Value> Truncate(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(0));
  KV_ASSIGN_OR_RETURN(const Int length, call.Integer(1, 255));
  const bool kill_words = call.Flag(2);
  KV_ASSIGN_OR_RETURN(const std::string_view end, call.String(3, "..."));
  KV_ASSIGN_OR_RETURN(const Int leeway, call.Integer(4, 5));
  const int64_t end_length = CodePoints(end);
  if (length < end_length) return Fail("expected length >= {}, got {}", end_length, length);
  if (leeway < 0) return Fail("expected leeway >= 0, got {}", leeway);
  if (length > kMaxInt - leeway || call[0].text().length <= length + leeway) return call[0];
  std::string_view cut =
      text.substr(0, ByteOffset(text, static_cast<int64_t>(length) - end_length));
  if (!kill_words) cut = cut.substr(0, std::min(cut.rfind(' '), cut.size()));
  return call.heap.MakeText(std::string(cut) + std::string(end));
}

Result<Value> WordWrap(Call& call) {
  KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(0));
  KV_ASSIGN_OR_RETURN(const Int width, call.Integer(1, 79));
  const bool break_long_words = call.Flag(2, true);
  KV_ASSIGN_OR_RETURN(const std::string_view separator, call.String(3, "\n"));
  const bool break_on_hyphens = call.Flag(4, true);
  if (width <= 0) return Fail("invalid width {} (must be > 0)", width);
  KV_RETURN_IF_ERROR(call.heap.Step(static_cast<int64_t>(text.size()) >> 4));
  KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(text.size()) * 40));
  std::string out;
  bool first = true;
  for (const std::string_view line : SplitLines(text)) {
    std::vector<std::string> wrapped =
        WrapLine(line, static_cast<int64_t>(std::min<Int>(width, kMaxWidth)), break_long_words,
                 break_on_hyphens);
    if (wrapped.empty()) wrapped.emplace_back();
    for (const std::string& part : wrapped) {
      if (!first) out += separator;
      first = false;
      out += part;
      KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(out.size())));
    }
  }
  return call.heap.MakeText(std::move(out));
}

Result<Value> XmlAttr(Call& call) {
  if (call[0].is_undefined()) return FailUndefined(call[0]);
  if (!call[0].is_dict()) return Fail("xmlattr() needs a dict, not '{}'", TypeName(call[0]));
  std::string out;
  for (const auto& [key, value] : call[0].dict().entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string()) return Fail("xmlattr(): names must be strings");
    const std::string_view name = key.str();
    size_t at = 0;
    while (at < name.size()) {
      const char32_t c = NextChar(name, at);
      if (Has(c, kSpace) || c == '/' || c == '>' || c == '=') {
        return Fail("Invalid character in attribute name: {}", QuotedRepr(name));
      }
    }
    KV_ASSIGN_OR_RETURN(const std::string text, Str(call.heap, value));
    const bool markup = value.is_string() && value.text().markup;
    if (!out.empty()) out += ' ';
    out += EscapeHtml(name) + "=\"" + (markup ? text : EscapeHtml(text)) + "\"";
    KV_RETURN_IF_ERROR(call.heap.Fits(static_cast<Int>(out.size())));
  }
  if (call.Flag(1, true) && !out.empty()) out.insert(out.begin(), ' ');
  return call.heap.MakeText(std::move(out));
}

Result<Value> FileSizeFormat(Call& call) {
  static constexpr std::string_view kPrefixes = "kMGTPEZY";
  const bool binary = call.Flag(1);
  double bytes = 0;
  if (call[0].is_number()) {
    bytes = call[0].number();
  } else {
    KV_ASSIGN_OR_RETURN(const std::string_view text, call.String(0));
    const std::optional<double> parsed = ParseFloat(text);
    if (!parsed) return Fail("could not convert string to float: {}", QuotedRepr(text));
    bytes = *parsed;
  }
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return call.Text("1 Byte");
  if (!(bytes >= base)) {
    if (!(std::abs(bytes) < 1e18)) return Fail("filesizeformat(): not a size");
    return call.heap.MakeText(fmt::format("{} Bytes", static_cast<int64_t>(bytes)));
  }
  size_t i = 0;
  double unit = base * base;
  while (i + 1 < kPrefixes.size() && bytes >= unit) {
    unit *= base;
    ++i;
  }
  std::string prefix(1, kPrefixes[i]);
  if (binary) prefix = (i == 0 ? "K" : prefix) + "i";
  return call.heap.MakeText(fmt::format("{:.1f} {}B", base * bytes / unit, prefix));
}

Result<Value> RefusedFilter(Call& call) {
  return Fail("the filter '{}' is not supported in chat templates", call.name);
}

constexpr Builtin kLayoutFilters[] = {
    {"filesizeformat", "value binary?", FileSizeFormat},
    {"indent", "s width? first? blank?", Indent},
    {"random", "seq", RefusedFilter},
    {"truncate", "s length? killwords? end? leeway?", Truncate},
    {"urlize", "value *rest **named", RefusedFilter},
    {"wordwrap", "s width? break_long_words? wrapstring? break_on_hyphens?", WordWrap},
    {"xmlattr", "d autospace?", XmlAttr},
};

}  // namespace

std::span<const Builtin> LayoutFilters() { return kLayoutFilters; }

}  // namespace kvasir::jinja
