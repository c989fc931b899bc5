#include "grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>

namespace kvasir::grammar {
namespace {

constexpr int kMaxGroups = 100;  // parentheses within parentheses

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::optional<uint32_t> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view source) : source_(source), rest_(source) {}

  Result<std::shared_ptr<const Grammar>> Run() {
    SkipSpace(/*newlines=*/true);
    while (!rest_.empty()) {
      KV_RETURN_IF_ERROR(ParseRule());
      SkipSpace(/*newlines=*/true);
    }
    const auto root = rules_.find("root");
    if (root == rules_.end() || !builder_.defined(root->second)) {
      return Fail("grammar: there is no rule 'root'; it is where every text begins");
    }
    for (const auto& [name, rule] : rules_) {
      if (!builder_.defined(rule)) {
        return Fail("grammar: line {}: the rule '{}' is used but not defined",
                    LineOf(first_use_[rule]), name);
      }
    }
    auto grammar = builder_.Build(root->second);
    if (!grammar) return Fail("grammar: {}", grammar.error().message);
    return grammar;
  }

 private:
  size_t Offset() const { return source_.size() - rest_.size(); }
  int LineOf(size_t offset) const {
    return 1 + static_cast<int>(std::ranges::count(source_.substr(0, offset), '\n'));
  }

  template <class... Args>
  tl::unexpected<Error> FailHere(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail("grammar: line {}: {}", LineOf(Offset()),
                fmt::format(format, std::forward<Args>(args)...));
  }

  bool At(char c) const { return !rest_.empty() && rest_[0] == c; }
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // What stands here, for messages.
  std::string Here() const {
    if (rest_.empty()) return "the end of the grammar";
    if (At('\n') || At('\r')) return "the end of the line";
    std::string_view text = rest_;
    char32_t c = 0;
    if (!TakeUtf8(text, c)) return "a byte that is no UTF-8";
    return fmt::format("'{}'", rest_.substr(0, rest_.size() - text.size()));
  }

  void SkipSpace(bool newlines) {
    while (!rest_.empty()) {
      if (At('#')) {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (At(' ') || At('\t') || (newlines && (At('\n') || At('\r')))) {
        rest_.remove_prefix(1);
      } else {
        break;
      }
    }
  }

  std::string_view TakeName() {
    const auto end = std::ranges::find_if_not(rest_, IsNameChar);
    const std::string_view name = rest_.substr(0, end - rest_.begin());
    rest_.remove_prefix(name.size());
    return name;
  }

  RuleId RuleNamed(std::string_view name) {
    const auto it = rules_.find(name);
    if (it != rules_.end()) return it->second;
    const RuleId rule = builder_.Declare(std::string(name));
    rules_.emplace(name, rule);
    first_use_.push_back(Offset());
    return rule;
  }

  Status ParseRule() {
    const std::string_view name = TakeName();
    if (name.empty()) return FailHere("a rule's name is expected, not {}", Here());
    SkipSpace(false);
    if (!Take("::=")) return FailHere("'::=' is expected after '{}', not {}", name, Here());
    const RuleId rule = RuleNamed(name);
    if (builder_.defined(rule)) return FailHere("the rule '{}' is defined twice", name);
    SkipSpace(true);
    KV_ASSIGN_OR_RETURN(const ExprId body, ParseChoice(0));
    if (!rest_.empty() && !At('\n') && !At('\r')) {
      return FailHere(
          "'{}' goes on with {}: a literal, a class, a rule's name, a group or | was "
          "expected",
          name, Here());
    }
    builder_.Define(rule, body);
    return {};
  }

  Result<ExprId> ParseChoice(int depth) {
    std::vector<ExprId> parts;
    for (;;) {
      KV_ASSIGN_OR_RETURN(const ExprId part, ParseSequence(depth));
      parts.push_back(part);
      // The next alternative may stand on a line of its own.
      const std::string_view before = rest_;
      SkipSpace(true);
      if (!Take("|")) {
        rest_ = before;
        break;
      }
      SkipSpace(true);
    }
    return parts.size() == 1 ? parts[0] : builder_.Choice(std::move(parts));
  }

  Result<ExprId> ParseSequence(int depth) {
    std::vector<ExprId> parts;
    for (;;) {
      SkipSpace(depth > 0);
      if (rest_.empty() || At('|') || At(')') || At('\n') || At('\r')) break;
      KV_ASSIGN_OR_RETURN(ExprId item, ParseItem(depth));
      KV_ASSIGN_OR_RETURN(item, ParseRepeats(item));
      if (!builder_.problem().empty()) return FailHere("{}", builder_.problem());
      parts.push_back(item);
    }
    return parts.size() == 1 ? parts[0] : builder_.Sequence(std::move(parts));
  }

  Result<ExprId> ParseItem(int depth) {
    if (Take("\"")) return ParseLiteral();
    if (Take("[")) return ParseClass();
    if (Take(".")) return builder_.Chars(CharSet::All());
    if (Take("(")) {
      if (depth == kMaxGroups) return FailHere("groups nested deeper than {}", kMaxGroups);
      KV_ASSIGN_OR_RETURN(const ExprId group, ParseChoice(depth + 1));
      SkipSpace(true);
      if (!Take(")")) return FailHere("')' is expected, not {}", Here());
      return group;
    }
    const std::string_view name = TakeName();
    if (name.empty()) {
      return FailHere("a literal, a class, a rule's name or a group is expected, not {}", Here());
    }
    return builder_.Call(RuleNamed(name));
  }

  Result<ExprId> ParseRepeats(ExprId item) {
    for (;;) {
      // As in llama.cpp, spaces may come between an element and its count.
      const std::string_view before = rest_;
      SkipSpace(false);
      if (Take("*")) {
        item = builder_.Repeat(item, 0, kUnbounded);
      } else if (Take("+")) {
        item = builder_.Repeat(item, 1, kUnbounded);
      } else if (Take("?")) {
        item = builder_.Optional(item);
      } else if (Take("{")) {
        KV_ASSIGN_OR_RETURN(item, ParseCounts(item));
      } else {
        rest_ = before;
        return item;
      }
      if (!builder_.problem().empty()) return FailHere("{}", builder_.problem());
    }
  }

  Result<ExprId> ParseCounts(ExprId item) {
    KV_ASSIGN_OR_RETURN(const int32_t min, ParseCount());
    SkipSpace(false);
    int32_t max = min;
    if (Take(",")) {
      SkipSpace(false);
      max = kUnbounded;
      if (!At('}')) {
        KV_ASSIGN_OR_RETURN(max, ParseCount());
      }
      SkipSpace(false);
    }
    if (!Take("}")) return FailHere("'}}' is expected, not {}", Here());
    if (max < min) return FailHere("{{{},{}}}: the most is less than the least", min, max);
    return builder_.Repeat(item, min, max);
  }

  Result<int32_t> ParseCount() {
    SkipSpace(false);
    int64_t n = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      n = n * 10 + (rest_[digits] - '0');
      if (n >= kUnbounded) return FailHere("a count must be below {}", kUnbounded);
    }
    if (digits == 0) return FailHere("a number is expected in {{}}, not {}", Here());
    rest_.remove_prefix(digits);
    return static_cast<int32_t>(n);
  }

  Result<ExprId> ParseLiteral() {
    std::string text;
    while (!Take("\"")) {
      if (rest_.empty() || At('\n')) return FailHere("the literal has no closing '\"'");
      KV_ASSIGN_OR_RETURN(const char32_t c, ParseChar());
      AppendUtf8(c, text);
    }
    return builder_.Bytes(text);
  }

  Result<ExprId> ParseClass() {
    const bool negated = Take("^");
    CharSet set;
    while (!Take("]")) {
      if (rest_.empty() || At('\n')) return FailHere("the class has no closing ']'");
      KV_ASSIGN_OR_RETURN(const char32_t first, ParseChar());
      char32_t last = first;
      if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        if (rest_.empty() || At('\n')) return FailHere("the class has no closing ']'");
        KV_ASSIGN_OR_RETURN(last, ParseChar());
      }
      if (last < first) return FailHere("a range of a class runs backwards");
      set.Add({first, last});
    }
    return builder_.Chars(negated ? set.Complement() : std::move(set));
  }

  // A character of a literal or class.
  Result<char32_t> ParseChar() {
    char32_t c = 0;
    if (!At('\\')) {
      if (!TakeUtf8(rest_, c)) return FailHere("a byte that is no UTF-8");
      return c;
    }
    rest_.remove_prefix(1);
    const char escape = rest_.empty() ? '\n' : rest_[0];
    if (escape != '\n') rest_.remove_prefix(1);
    switch (escape) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(escape);
      case 'x':
        return ParseHex(2);
      case 'u':
        return ParseHex(4);
      case 'U':
        return ParseHex(8);
      default:
        return FailHere(
            "unknown escape after '\\': write \\n \\r \\t \\\\ \\\" \\[ \\] \\xHH \\uHHHH or "
            "\\UHHHHHHHH");
    }
  }

  Result<char32_t> ParseHex(size_t n_digits) {
    uint64_t c = 0;
    for (size_t i = 0; i < n_digits; ++i) {
      const auto digit = rest_.empty() ? std::nullopt : HexDigit(rest_[0]);
      if (!digit)
        return FailHere("an escape needs {} hexadecimal digits, then {}", n_digits, Here());
      c = c << 4 | *digit;
      rest_.remove_prefix(1);
    }
    if (c > kMaxCodePoint || (c >= 0xD800 && c <= 0xDFFF))
      return FailHere("U+{:04X} is no character", c);
    return static_cast<char32_t>(c);
  }

  std::string_view source_, rest_;
  GrammarBuilder builder_;
  std::map<std::string, RuleId, std::less<>> rules_;
  std::vector<size_t> first_use_;  // offset, by rule
};

}  // namespace

Result<std::shared_ptr<const Grammar>> ParseGbnf(std::string_view source) {
  if (source.size() > kMaxSourceBytes)
    return Fail("grammar: {} bytes; at most {} are read", source.size(), kMaxSourceBytes);
  return GbnfParser(source).Run();
}

}  // namespace kvasir::grammar
