#include "grammar/pattern.h"

#include <algorithm>

namespace kvasir::grammar {
namespace {

constexpr size_t kMaxPatternBytes = 16 << 10;
constexpr int kMaxGroups = 50;

CharSet DigitSet() { return {{'0', '9'}}; }
CharSet WordSet() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
// ECMAScript's WhiteSpace and LineTerminator.
CharSet SpaceSet() {
  return {{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
          {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}
CharSet NewlineSet() { return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}; }

class PatternParser {
 public:
  PatternParser(std::string_view pattern, JsonRules& rules)
      : pattern_(pattern), rest_(pattern), rules_(rules), builder_(rules.builder()) {}

  Result<ExprId> Run(LengthBounds length) {
    std::vector<ExprId> choices;
    do {
      KV_ASSIGN_OR_RETURN(const ExprId choice, ParseAnchored());
      choices.push_back(choice);
    } while (Take("|"));
    if (!rest_.empty()) return FailHere("')' without '('");
    if (length.any()) return builder_.Choice(std::move(choices));
    // With bounds on the length: only where the pattern is one repeated class.
    if (choices.size() != 1 || !simple_) {
      return FailHere(
          "minLength and maxLength go only with a pattern like ^[a-z]*$; put the bounds into the "
          "pattern, as in ^[a-z]{{2,8}}$");
    }
    return builder_.Repeat(simple_->body, std::max(simple_->min, length.min),
                           std::min(simple_->max, length.max));
  }

 private:
  struct Item {
    ExprId body;
    bool is_set = false;  // one character of a set
    int32_t min = 1, max = 1;
  };

  template <class... Args>
  tl::unexpected<Error> FailHere(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail("pattern '{}', character {}: {}", pattern_, pattern_.size() - rest_.size() + 1,
                fmt::format(format, std::forward<Args>(args)...));
  }

  bool At(char c) const { return !rest_.empty() && rest_[0] == c; }
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // An alternative of the whole pattern: it may begin or end anywhere in the string, unless ^ or $
  // says otherwise.
  Result<ExprId> ParseAnchored() {
    const ExprId anything = builder_.Repeat(rules_.StringChar(), 0, kUnbounded);
    const bool from_start = Take("^");
    KV_ASSIGN_OR_RETURN(const std::vector<Item> items, ParseItems(0));
    const bool to_end = Take("$");
    if (!rest_.empty() && !At('|') && !At(')'))
      return FailHere("'$' is supported only at the end of an alternative");
    std::vector<ExprId> parts;
    if (!from_start) parts.push_back(anything);
    for (const Item& item : items) parts.push_back(Repeated(item));
    if (!to_end) parts.push_back(anything);
    simple_.reset();
    if (from_start && to_end && items.size() == 1 && items[0].is_set) simple_ = items[0];
    return builder_.Sequence(std::move(parts));
  }

  ExprId Repeated(const Item& item) {
    return item.min == 1 && item.max == 1 ? item.body
                                          : builder_.Repeat(item.body, item.min, item.max);
  }

  Result<std::vector<Item>> ParseItems(int depth) {
    std::vector<Item> items;
    while (!rest_.empty() && !At('|') && !At(')') && !At('$')) {
      KV_ASSIGN_OR_RETURN(Item item, ParseAtom(depth));
      KV_RETURN_IF_ERROR(ParseQuantifier(item));
      if (!builder_.problem().empty()) return FailHere("{}", builder_.problem());
      items.push_back(item);
    }
    return items;
  }

  Result<ExprId> ParseGroup(int depth) {
    if (depth == kMaxGroups) return FailHere("groups nested deeper than {}", kMaxGroups);
    std::vector<ExprId> choices;
    do {
      KV_ASSIGN_OR_RETURN(const std::vector<Item> items, ParseItems(depth));
      if (At('$')) return FailHere("'$' is supported only at the end of the pattern");
      std::vector<ExprId> parts;
      for (const Item& item : items) parts.push_back(Repeated(item));
      choices.push_back(builder_.Sequence(std::move(parts)));
    } while (Take("|"));
    if (!Take(")")) return FailHere("')' is missing");
    return builder_.Choice(std::move(choices));
  }

  Result<Item> ParseAtom(int depth) {
    if (Take("(")) {
      if (Take("?") && !Take(":")) {
        const bool named = At('<') && rest_.size() > 1 && rest_[1] != '=' && rest_[1] != '!';
        const size_t end = rest_.find('>');
        if (!named || end == std::string_view::npos)
          return FailHere("look-around and flags are not supported");
        rest_.remove_prefix(end + 1);
      }
      KV_ASSIGN_OR_RETURN(const ExprId group, ParseGroup(depth + 1));
      return Item{.body = group};
    }
    if (Take("[")) {
      KV_ASSIGN_OR_RETURN(const CharSet set, ParseClass());
      return Set(set);
    }
    if (Take(".")) return Set(NewlineSet().Complement());
    if (At('^')) return FailHere("'^' is supported only at the start of the pattern");
    if (At('*') || At('+') || At('?')) return FailHere("'{}' repeats nothing", rest_[0]);
    if (Take("\\")) {
      KV_ASSIGN_OR_RETURN(const CharSet set, ParseEscape(/*in_class=*/false));
      return Set(set);
    }
    char32_t c = 0;
    if (!TakeUtf8(rest_, c)) return FailHere("a byte that is no UTF-8");
    return Set({{c, c}});
  }

  Item Set(const CharSet& set) { return {.body = rules_.Encoded(set), .is_set = true}; }

  Status ParseQuantifier(Item& item) {
    const std::string_view before = rest_;
    if (Take("*")) {
      item.min = 0, item.max = kUnbounded;
    } else if (Take("+")) {
      item.max = kUnbounded;
    } else if (Take("?")) {
      item.min = 0;
    } else if (Take("{")) {
      if (!ParseCounts(item)) {
        rest_ = before;
        return FailHere(
            "a count is written {{m}}, {{m,}} or {{m,n}}, m at most n; a brace is "
            "written \\{{");
      }
    } else {
      return {};
    }
    Take("?");  // lazy: the same strings
    if (At('*') || At('+') || At('?') || At('{')) {
      return FailHere("a repetition of a repetition needs a group");
    }
    return {};
  }

  bool ParseCounts(Item& item) {
    const auto count = [&](int32_t& out) {
      int64_t n = 0;
      size_t digits = 0;
      for (; digits < rest_.size() && digits < 9 && rest_[digits] >= '0' && rest_[digits] <= '9';)
        n = n * 10 + (rest_[digits++] - '0');
      rest_.remove_prefix(digits);
      out = static_cast<int32_t>(n);
      return digits > 0;
    };
    if (!count(item.min)) return false;
    item.max = item.min;
    if (Take(",")) {
      item.max = kUnbounded;
      if (!At('}') && !count(item.max)) return false;
    }
    return Take("}") && item.min <= item.max;
  }

  Result<CharSet> ParseClass() {
    const bool negated = Take("^");
    CharSet set;
    while (!Take("]")) {
      KV_ASSIGN_OR_RETURN(const CharSet first, ParseClassPart());
      if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        KV_ASSIGN_OR_RETURN(const CharSet last, ParseClassPart());
        const auto one = [](const CharSet& s) {
          return s.ranges().size() == 1 && s.ranges()[0].first == s.ranges()[0].last;
        };
        if (!one(first) || !one(last) || first.ranges()[0].first > last.ranges()[0].first)
          return FailHere("a range of a class needs a lower and a higher character");
        set.Add({first.ranges()[0].first, last.ranges()[0].first});
      } else {
        set.Add(first);
      }
    }
    return negated ? set.Complement() : set;
  }

  Result<CharSet> ParseClassPart() {
    if (rest_.empty()) return FailHere("']' is missing");
    if (Take("\\")) return ParseEscape(/*in_class=*/true);
    char32_t c = 0;
    if (!TakeUtf8(rest_, c)) return FailHere("a byte that is no UTF-8");
    return CharSet{{c, c}};
  }

  Result<CharSet> ParseEscape(bool in_class) {
    char32_t c = 0;
    if (!TakeUtf8(rest_, c)) return FailHere("'\\' at the end");
    const auto one = [](char32_t code) { return CharSet{{code, code}}; };
    switch (c) {
      case 'd':
        return DigitSet();
      case 'D':
        return DigitSet().Complement();
      case 'w':
        return WordSet();
      case 'W':
        return WordSet().Complement();
      case 's':
        return SpaceSet();
      case 'S':
        return SpaceSet().Complement();
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case 'x':
        return ParseHex(2);
      case 'u':
        return ParseHex(4);
      default:
        break;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == 'b' && in_class) return one('\b');
    if (letter) return FailHere("the escape '\\{}' is not supported", static_cast<char>(c));
    return one(c);
  }

  Result<CharSet> ParseHex(size_t n_digits) {
    char32_t c = 0;
    for (size_t i = 0; i < n_digits; ++i) {
      const size_t digit = rest_.empty() ? 16 : HexDigit(rest_[0]);
      if (digit == 16) return FailHere("an escape needs {} hexadecimal digits", n_digits);
      c = static_cast<char32_t>(c << 4 | digit);
      rest_.remove_prefix(1);
    }
    if (c >= 0xD800 && c <= 0xDFFF) return FailHere("a surrogate: write the character itself");
    return CharSet{{c, c}};
  }

  static size_t HexDigit(char c) {
    constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    const size_t at = std::min(kLower.find(c), kUpper.find(c));
    return std::min<size_t>(at, 16);
  }

  std::string_view pattern_, rest_;
  JsonRules& rules_;
  GrammarBuilder& builder_;
  std::optional<Item> simple_;  // all that the pattern is
};

struct Format {
  std::string_view name, pattern;
};

// RFC 3339 (years of four digits, 29 February in leap years only, no leap seconds), RFC 4122, RFC
// 1123, RFC 5321 without quoted local parts, RFC 4291 without embedded IPv4.
#define KV_DAY_31 "(0[1-9]|[12][0-9]|3[01])"
#define KV_DAY_30 "(0[1-9]|[12][0-9]|30)"
#define KV_DAY_28 "(0[1-9]|1[0-9]|2[0-8])"
#define KV_MONTH_DAY "((0[13578]|1[02])-" KV_DAY_31 "|(0[469]|11)-" KV_DAY_30 "|02-" KV_DAY_28 ")"
#define KV_LEAP_YEAR "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define KV_DATE "([0-9]{4}-" KV_MONTH_DAY "|" KV_LEAP_YEAR "-02-29)"
#define KV_TIME \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define KV_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define KV_IPV4_PART "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define KV_HEX4 "[0-9A-Fa-f]{1,4}"
constexpr Format kFormats[] = {
    {"date", "^" KV_DATE "$"},
    {"date-time", "^" KV_DATE "T" KV_TIME "$"},
    {"duration",
     "^P([0-9]{1,4}W|[0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|"
     "[0-9]{1,4}D|([0-9]{1,4}D)?T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|"
     "[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))$"},
    {"email",
     "^[A-Za-z0-9_%+-]{1,30}(\\.[A-Za-z0-9_%+-]{1,30}){0,1}@(" KV_LABEL "\\.){1,4}[A-Za-z]{2,20}$"},
    {"hostname", "^" KV_LABEL "(\\." KV_LABEL "){0,3}$"},
    {"ipv4", "^(" KV_IPV4_PART "\\.){3}" KV_IPV4_PART "$"},
    {"ipv6",
     "^((" KV_HEX4 ":){7}" KV_HEX4 "|(" KV_HEX4 ":){1,7}:|(" KV_HEX4 ":){1,6}:" KV_HEX4 "|(" KV_HEX4
     ":){1,5}(:" KV_HEX4 "){2}|(" KV_HEX4 ":){1,4}(:" KV_HEX4 "){3}|:(:" KV_HEX4 "){1,7}|::)$"},
    {"time", "^" KV_TIME "$"},
    {"uri",
     "^[A-Za-z][A-Za-z0-9+.-]{0,20}://[A-Za-z0-9._~:@!$&'()*+,;=-]{1,253}"
     "(/[A-Za-z0-9._~:@!$&'()*+,;=/-]*)?(\\?[A-Za-z0-9._~:@!$&'()*+,;=/?-]*)?"
     "(#[A-Za-z0-9._~:@!$&'()*+,;=/?-]*)?$"},
    {"uuid", "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"},
};
#undef KV_DAY_31
#undef KV_DAY_30
#undef KV_DAY_28
#undef KV_MONTH_DAY
#undef KV_LEAP_YEAR
#undef KV_DATE
#undef KV_TIME
#undef KV_LABEL
#undef KV_IPV4_PART
#undef KV_HEX4

}  // namespace

Result<ExprId> PatternChars(std::string_view pattern, LengthBounds length, JsonRules& rules) {
  if (pattern.size() > kMaxPatternBytes)
    return Fail("a pattern of {} bytes; at most {} are read", pattern.size(), kMaxPatternBytes);
  return PatternParser(pattern, rules).Run(length);
}

std::optional<std::string_view> PatternOfFormat(std::string_view format) {
  for (const Format& known : kFormats) {
    if (known.name == format) return known.pattern;
  }
  return std::nullopt;
}

std::string KnownFormats() {
  std::string names;
  for (const Format& known : kFormats) {
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  return names;
}

}  // namespace kvasir::grammar
