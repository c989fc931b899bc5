#include "model/tokenizer/regex_syntax.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "model/tokenizer/regex_names.h"

namespace kvasir {
namespace {

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class RegexTranslator {
 public:
  explicit RegexTranslator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> Run() {
    groups_.push_back({});
    while (at_ < in_.size()) {
      KV_RETURN_IF_ERROR(Next());
      if (out_.size() > kMostBytes) return Fail("regex: too long where it is written out");
    }
    while (!groups_.empty()) {  // an unclosed one is PCRE2's to name
      CloseOptions();
      groups_.pop_back();
    }
    return std::move(out_);
  }

 private:
  static constexpr size_t kNone = std::string::npos;
  static constexpr size_t kMostBytes = 256 << 10;
  struct Group {
    size_t start = 0;       // in out_
    bool extended = false;  // (?x): a # begins a comment
    int n_options = 0;      // groups of ours that end with it
  };

  char Peek(size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  void Copy(size_t n) {
    out_.append(in_.substr(at_, n));
    at_ = std::min(at_ + n, in_.size());
  }
  template <class... T>
  auto Wrong(fmt::format_string<T...> format, T&&... args) const {
    return Fail("regex: byte {}: {}", at_, fmt::format(format, std::forward<T>(args)...));
  }

  Status Next() {
    switch (Peek()) {
      case '\\':
        atom_ = out_.size();
        return Escape(/*in_class=*/false);
      case '[':
        atom_ = out_.size();
        return Class();
      case '(':
        return Open();
      case ')':
        return Close();
      case '{':
        return Braces();
      case '|':
        atom_ = kNone;
        break;
      case '#':
        if (groups_.back().extended) {
          at_ = std::min(in_.find('\n', at_), in_.size());
          return {};
        }
        atom_ = out_.size();
        break;
      case '*':
      case '+':
      case '?':
        break;  // of the last atom: it stays
      default:
        // A character's later bytes belong to its first.
        if ((static_cast<uint8_t>(Peek()) & 0xc0) != 0x80) atom_ = out_.size();
    }
    Copy(1);
    return {};
  }

  Status Escape(bool in_class) {
    const char c = Peek(1);
    if (const std::optional<std::string_view> set = PcreSet(c, in_class)) {
      out_ += *set;
      at_ += 2;
      return {};
    }
    switch (c) {
      case 'W':
        return Wrong("\\W inside a class is not supported: write it out");
      case 'B':
        return Wrong("\\B inside a class means nothing");
      case 'u':
        return Unicode();
      case 'p':
      case 'P':
        if (Peek(2) == '{') return Property(in_class);
        return Wrong("\\{} needs a name in braces", c);
      case 'h':
      case 'H':
        return Wrong("\\{} is a hex digit in one dialect and white space in another: write it out",
                     c);
      case 'Q':
      case 'E':
      case 'C':
      case 'G':
        return Wrong("\\{} is not supported", c);
      default:
        Copy(2);
        return {};
    }
  }

  // \u4e00
  Status Unicode() {
    for (size_t i = 2; i < 6; ++i) {
      if (!IsHex(Peek(i))) return Wrong("\\u needs four hex digits");
    }
    out_ += fmt::format("\\x{{{}}}", in_.substr(at_ + 2, 4));
    at_ += 6;
    return {};
  }

  Status Property(bool in_class) {
    const size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) return Wrong("\\{}{{ without }}", Peek(1));
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    bool negated = Peek(1) == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::optional<std::string> members = PcreProperty(name, negated, in_class);
    if (!members) return Wrong("the negation of '{}' is not supported in a class", name);
    out_ += *members;
    at_ = end + 1;
    return {};
  }

  Status Class() {
    Copy(Peek(1) == '^' ? 2 : 1);
    if (Peek() == ']') Copy(1);  // the first one is a member
    while (at_ < in_.size() && Peek() != ']') {
      if (Peek() == '\\') {
        KV_RETURN_IF_ERROR(Escape(/*in_class=*/true));
      } else if (Peek() == '[' && Peek(1) == ':') {
        KV_RETURN_IF_ERROR(Bracket());
      } else if (Peek() == '[') {
        return Wrong("a class inside a class is not supported");
      } else if (Peek() == '&' && Peek(1) == '&') {
        return Wrong("class intersections are not supported");
      } else {
        Copy(1);
      }
    }
    Copy(1);
    return {};
  }

  // [:alpha:]
  Status Bracket() {
    const size_t end = in_.find(":]", at_ + 2);
    if (end == std::string_view::npos) return Wrong("[: without :]");
    const std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
    const std::optional<std::string> members = PcreBracket(name);
    if (!members) return Wrong("[:{}:] is not supported", name.substr(0, 32));
    out_ += *members;
    at_ = end + 2;
    return {};
  }

  Status Open() {
    const size_t start = out_.size();
    atom_ = kNone;
    if (Peek(1) == '?' && Peek(2) == '#') {
      const size_t end = in_.find(')', at_);
      if (end == std::string_view::npos) return Wrong("(?# without )");
      at_ = end + 1;
      return {};
    }
    const char kind = Peek(1) == '?' ? Peek(2) : ':';
    if (kind == '-' || (kind >= 'a' && kind <= 'z')) return Options(start);
    groups_.push_back({start, groups_.back().extended});
    Copy(1);
    if (Peek() == '?') Copy(2);
    return {};
  }

  // (?i) holds to the end of the group it stands in, alternatives included; (?m) is what others
  // call s: a dot matches line ends.
  Status Options(size_t start) {
    std::string flags;
    bool extended = groups_.back().extended, on = true;
    size_t end = at_ + 2;
    for (; end < in_.size() && in_[end] != ':' && in_[end] != ')'; ++end) {
      const char flag = in_[end];
      if (flag != 'i' && flag != 'm' && flag != 'x' && flag != '-') {
        return Wrong("option '{}' is not supported", Quotable(flag));
      }
      if (flag == '-') on = false;
      if (flag == 'x') extended = on;
      flags.push_back(flag == 'm' ? 's' : flag);
    }
    if (end == in_.size()) return Wrong("(? without )");
    out_ += fmt::format("(?{}:", flags);
    if (in_[end] == ':') {
      groups_.push_back({start, extended});
    } else {
      groups_.back().extended = extended;
      ++groups_.back().n_options;
    }
    at_ = end + 1;
    return {};
  }
  static char Quotable(char c) { return c > ' ' && c < 0x7f ? c : '?'; }

  void CloseOptions() {
    out_.append(static_cast<size_t>(groups_.back().n_options), ')');
    groups_.back().n_options = 0;
  }

  Status Close() {
    if (groups_.size() < 2) return Wrong("an unmatched )");
    CloseOptions();
    atom_ = groups_.back().start;
    groups_.pop_back();
    Copy(1);
    return {};
  }

  // {n}, {n,}, {n,m} and {,m}; other braces are themselves. A + behind them repeats once more and
  // is not possessive; a ? behind {n} makes all of it optional.
  Status Braces() {
    size_t i = at_ + 1;
    const auto number = [&] {
      const size_t first = i;
      while (i < in_.size() && IsDigit(in_[i])) ++i;
      return std::string(in_.substr(first, i - first));
    };
    const std::string low = number();
    const bool has_comma = i < in_.size() && in_[i] == ',';
    if (has_comma) ++i;
    const std::string high = has_comma ? number() : low;
    const bool is_count = i < in_.size() && in_[i] == '}' && !(low.empty() && high.empty());
    if (!is_count || atom_ == kNone) {
      atom_ = out_.size();
      out_ += "\\{";
      ++at_;
      return {};
    }
    constexpr size_t kMostDigits = 5;
    if (low.size() > kMostDigits || high.size() > kMostDigits ||
        (!low.empty() && !high.empty() && std::stoi(low) > std::stoi(high))) {
      return Wrong("a repeat of {} to {} is not supported", low, high);
    }
    at_ = i + 1;
    const bool wraps = Peek() == '+' || (Peek() == '?' && !has_comma);
    if (wraps) out_.insert(atom_, "(?:");
    out_ += fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, has_comma ? "," : "",
                        has_comma ? high : "");
    if (wraps) out_ += ')';
    return {};
  }

  const std::string_view in_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = kNone;  // where in out_ that starts which a quantifier would repeat
  std::vector<Group> groups_;
};

}  // namespace

Result<std::string> OnigurumaToPcre(std::string_view pattern) {
  return RegexTranslator(pattern).Run();
}

}  // namespace kvasir
