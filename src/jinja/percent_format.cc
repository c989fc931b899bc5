// "format" % values.
#include <algorithm>
#include <cmath>

#include "jinja/escape.h"
#include "jinja/field_spec.h"
#include "jinja/format.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Heap& heap, const Text& format, const Value& values)
      : heap_(heap), rest_(format.bytes), markup_(format.markup), values_(values) {
    is_tuple_ = values.is_list() && values.list().flavor == Flavor::kTuple;
  }

  Result<Value> Run() {
    while (!rest_.empty()) {
      const size_t percent = std::min(rest_.find('%'), rest_.size());
      out_ += rest_.substr(0, percent);
      rest_.remove_prefix(percent);
      if (rest_.empty()) break;
      rest_.remove_prefix(1);
      KV_RETURN_IF_ERROR(Field());
      KV_RETURN_IF_ERROR(heap_.Fits(static_cast<Int>(out_.size())));
    }
    // Python takes whatever has items for a mapping, which may have more than is used.
    const bool mapping =
        values_.is_dict() || values_.is_undefined() || (values_.is_list() && !is_tuple_);
    const size_t n = is_tuple_ ? values_.list().items.size() : 1;
    if (!mapping && used_ < n) return Fail("not all arguments converted during string formatting");
    return heap_.MakeText(std::move(out_), markup_);
  }

 private:
  Result<Value> NextValue() {
    if (named_) return *std::exchange(named_, nullptr);
    const size_t n = is_tuple_ ? values_.list().items.size() : 1;
    if (used_ >= n) return Fail("not enough arguments for format string");
    const size_t i = used_++;
    return is_tuple_ ? values_.list().items[i] : values_;
  }

  char Take() {
    if (rest_.empty()) return 0;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  Status Name() {
    if (!values_.is_dict()) return Fail("format requires a mapping");
    int depth = 1;
    size_t end = 1;
    for (; end < rest_.size() && depth > 0; ++end) {
      depth += rest_[end] == '(' ? 1 : rest_[end] == ')' ? -1 : 0;
    }
    if (depth > 0) return Fail("incomplete format key");
    const std::string_view name = rest_.substr(1, end - 2);
    named_ = values_.dict().Find(name);
    if (named_ == nullptr) return Fail("KeyError: {}", QuotedRepr(name));
    rest_.remove_prefix(end);
    return {};
  }

  Result<Int> Number() {  // a width or precision
    if (!rest_.empty() && rest_[0] == '*') {
      Take();
      KV_ASSIGN_OR_RETURN(const Value value, NextValue());
      if (!value.is_integral()) return Fail("* wants int");
      if (value.integer() > kMaxWidth || value.integer() < -Int{kMaxWidth}) {
        return Fail("limit exceeded: a width of more than {}", kMaxWidth);
      }
      return value.integer();
    }
    Int value = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      value = value * 10 + (Take() - '0');
      if (value > kMaxWidth) return Fail("limit exceeded: a width of more than {}", kMaxWidth);
    }
    return value;
  }

  // After '%'.
  Status Field() {
    FieldSpec spec;
    if (!rest_.empty() && rest_[0] == '(') KV_RETURN_IF_ERROR(Name());
    bool left = false;
    while (!rest_.empty() && std::string_view("-+ #0").find(rest_[0]) != std::string_view::npos) {
      const char flag = Take();
      left |= flag == '-';
      spec.alternate |= flag == '#';
      spec.zero |= flag == '0';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
    }
    KV_ASSIGN_OR_RETURN(spec.width, Number());
    if (spec.width < 0) left = true, spec.width = -spec.width;
    if (!rest_.empty() && rest_[0] == '.') {
      Take();
      KV_ASSIGN_OR_RETURN(spec.precision, Number());
      spec.precision = std::max<Int>(spec.precision, 0);
    }
    while (!rest_.empty() && std::string_view("hlL").find(rest_[0]) != std::string_view::npos) {
      Take();
    }
    spec.type = Take();
    if (spec.type == 0) return Fail("incomplete format");
    if (spec.type == '%') {
      out_ += '%';
      return {};
    }
    KV_ASSIGN_OR_RETURN(const Value value, NextValue());
    if (left) spec.align = '<', spec.zero = false;
    KV_ASSIGN_OR_RETURN(const std::string text, Convert(value, spec));
    out_ += text;
    return {};
  }

  Result<std::string> Convert(const Value& value, FieldSpec spec) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a':
        return Text(value, spec);
      case 'c':
        return Char(value, spec);
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return Integer(value, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (value.is_undefined()) return FailUndefined(value);
        if (!value.is_number()) return Fail("must be real number, not {}", TypeName(value));
        return FormatFloat(heap_, value.number(), spec);
      default:
        return Fail("unsupported format character '{}'", spec.type);
    }
  }

  Result<std::string> Padded(std::string text, FieldSpec spec) {
    if (spec.align == 0) spec.align = '>';
    spec.zero = false;
    return FormatText(heap_, text, spec);
  }

  Result<std::string> Text(const Value& value, const FieldSpec& spec) {
    if (spec.type == 'a') return Fail("the format %a is not supported: use %r");
    KV_ASSIGN_OR_RETURN(std::string text,
                        spec.type == 's' ? Str(heap_, value) : Repr(heap_, value));
    const bool safe = value.is_string() && value.text().markup && spec.type == 's';
    return Padded(markup_ && !safe ? EscapeHtml(text) : std::move(text), spec);
  }

  Result<std::string> Char(const Value& value, const FieldSpec& spec) {
    if (value.is_string() && value.text().length == 1)
      return Padded(std::string(value.str()), spec);
    if (!value.is_integral()) return Fail("%c requires int or char");
    const Int code = value.integer();
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return Fail("%c arg not in range(0x110000)");
    }
    std::string text;
    AppendChar(text, static_cast<char32_t>(code));
    return Padded(std::move(text), spec);
  }

  Result<std::string> Integer(const Value& value, const FieldSpec& spec) {
    if (value.is_undefined()) return FailUndefined(value);
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (value.is_integral()) return FormatInt(heap_, value.integer(), spec);
    if (!value.is_float() || !decimal) {
      return Fail("%{} format: {} is required, not {}", spec.type,
                  decimal ? "a real number" : "an integer", TypeName(value));
    }
    const double number = value.number();
    if (!(std::abs(number) < 0x1p126)) return Fail("cannot convert this float to integer");
    return FormatInt(heap_, static_cast<Int>(number), spec);
  }

  Heap& heap_;
  std::string_view rest_;
  const bool markup_;
  const Value& values_;
  bool is_tuple_ = false;
  size_t used_ = 0;
  const Value* named_ = nullptr;
  std::string out_;
};

}  // namespace

Result<Value> PercentFormat(Heap& heap, const Text& format, const Value& values) {
  return PercentFormatter(heap, format, values).Run();
}

}  // namespace kvasir::jinja
