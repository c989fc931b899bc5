// "format".format(...).
#include <algorithm>

#include "jinja/escape.h"
#include "jinja/field_spec.h"
#include "jinja/format.h"
#include "jinja/interpreter.h"
#include "jinja/print.h"
#include "jinja/text_ops.h"

namespace kvasir::jinja {
namespace {

class StrFormatter {
 public:
  StrFormatter(Interpreter& in, bool markup, const std::vector<Value>& positional,
               const std::vector<std::pair<std::string, Value>>& named)
      : in_(in), markup_(markup), positional_(positional), named_(named) {}

  // `level`: 0 for the text, 1 for a field's spec, which may hold fields itself.
  Result<std::string> Run(std::string_view text, int level) {
    if (level > 1) return Fail("Max string recursion exceeded");
    std::string out;
    while (!text.empty()) {
      const size_t brace = std::min(text.find_first_of("{}"), text.size());
      out += text.substr(0, brace);
      text.remove_prefix(brace);
      if (text.empty()) break;
      if (text.size() > 1 && text[0] == text[1]) {
        out += text[0];
        text.remove_prefix(2);
        continue;
      }
      if (text[0] == '}') return Fail("Single '}}' encountered in format string");
      const size_t end = FieldEnd(text);
      if (end == std::string_view::npos) {
        if (text.size() == 1) return Fail("Single '{{' encountered in format string");
        return Fail("expected '}}' before end of string");
      }
      KV_ASSIGN_OR_RETURN(const std::string field, Field(text.substr(1, end - 1), level));
      out += field;
      KV_RETURN_IF_ERROR(in_.heap().Fits(static_cast<Int>(out.size())));
      text.remove_prefix(end + 1);
    }
    return out;
  }

 private:
  static size_t FieldEnd(std::string_view text) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
      if (depth == 0) return i;
    }
    return std::string_view::npos;
  }

  // name!conversion:spec
  Result<std::string> Field(std::string_view field, int level) {
    // A '[' index may hold any character but ']'.
    size_t name_end = 0;
    for (bool in_brackets = false; name_end < field.size(); ++name_end) {
      const char c = field[name_end];
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      if (!in_brackets && (c == '!' || c == ':')) break;
    }
    KV_ASSIGN_OR_RETURN(Value value, Lookup(field.substr(0, name_end)));
    std::string_view rest = field.substr(name_end);
    if (!rest.empty() && rest[0] == '!') {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) {
        return Fail("expected ':' after conversion specifier");
      }
      if (rest[1] != 'r' && rest[1] != 's') {
        return Fail("the conversion !{} is not supported: use !s or !r", rest[1]);
      }
      KV_ASSIGN_OR_RETURN(std::string text,
                          rest[1] == 'r' ? Repr(in_.heap(), value) : Str(in_.heap(), value));
      KV_ASSIGN_OR_RETURN(value, in_.heap().MakeText(std::move(text)));
      rest.remove_prefix(2);
    }
    std::string spec;
    if (!rest.empty()) {
      KV_ASSIGN_OR_RETURN(spec, Run(rest.substr(1), level + 1));
    }
    KV_ASSIGN_OR_RETURN(std::string text, Formatted(value, spec));
    const bool safe = value.is_string() && value.text().markup;
    return markup_ && !safe && level == 0 ? EscapeHtml(text) : std::move(text);
  }

  Result<std::string> Formatted(const Value& value, std::string_view spec) {
    if (spec.empty()) return Str(in_.heap(), value);
    KV_ASSIGN_OR_RETURN(const FieldSpec parsed, FieldSpec::Parse(spec));
    return FormatField(in_.heap(), value, parsed);
  }

  // name.attribute[index]...
  Result<Value> Lookup(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    KV_ASSIGN_OR_RETURN(Value value, Root(path.substr(0, end)));
    path.remove_prefix(end);
    while (!path.empty()) {
      if (path[0] == '.') {
        const size_t stop = std::min(path.find_first_of(".[", 1), path.size());
        if (stop == 1) return Fail("Empty attribute in format string");
        KV_ASSIGN_OR_RETURN(value, in_.GetAttribute(value, path.substr(1, stop - 1)));
        path.remove_prefix(stop);
        continue;
      }
      const size_t stop = path.find(']');
      if (path[0] != '[' || stop == std::string_view::npos) {
        return Fail("Missing ']' in format string");
      }
      if (stop == 1) return Fail("Empty attribute in format string");
      KV_ASSIGN_OR_RETURN(const Value index, Index(path.substr(1, stop - 1)));
      KV_ASSIGN_OR_RETURN(value, in_.GetItem(value, index));
      path.remove_prefix(stop + 1);
    }
    return value;
  }

  static bool IsNumber(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  Result<Value> Index(std::string_view text) {
    if (!IsNumber(text)) return in_.heap().MakeText(std::string(text));
    KV_ASSIGN_OR_RETURN(const std::optional<Int> number, ParseInt(text, 10));
    return Value::Integer(number.value_or(0));
  }

  Result<Value> Root(std::string_view name) {
    if (name.empty() || IsNumber(name)) {
      if (name.empty() ? next_ < 0 : next_ > 0) {
        return Fail("cannot mix automatic field numbering and field numbers");
      }
      Int index = next_;
      if (name.empty()) {
        ++next_;
      } else {
        KV_ASSIGN_OR_RETURN(const std::optional<Int> number, ParseInt(name, 10));
        index = number.value_or(0);
        next_ = -1;
      }
      if (index >= static_cast<Int>(positional_.size())) {
        return Fail("Replacement index {} out of range for positional args tuple", index);
      }
      return positional_[static_cast<size_t>(index)];
    }
    for (const auto& [key, value] : named_) {
      if (key == name) return value;
    }
    return Fail("KeyError: {}", QuotedRepr(name));
  }

  Interpreter& in_;
  const bool markup_;
  const std::vector<Value>& positional_;
  const std::vector<std::pair<std::string, Value>>& named_;
  int64_t next_ = 0;  // of automatic numbering; -1: fields are numbered by hand
};

}  // namespace

Result<Value> StrFormat(Interpreter& in, const Text& format, const std::vector<Value>& positional,
                        const std::vector<std::pair<std::string, Value>>& named) {
  KV_ASSIGN_OR_RETURN(std::string out,
                      StrFormatter(in, format.markup, positional, named).Run(format.bytes, 0));
  return in.heap().MakeText(std::move(out), format.markup);
}

}  // namespace kvasir::jinja
