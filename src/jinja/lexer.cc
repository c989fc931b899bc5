#include "jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "jinja/limits.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

bool IsDecimalDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNewline(char c) { return c == '\n'; }

int HexDigit(char c) {
  if (IsDecimalDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// All newlines become \n; one at the end is dropped.
std::string NormalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out.push_back('\n');
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(NormalizeNewlines(source)), rest_(source_) {}

  Result<std::vector<Token>> Run() {
    while (!rest_.empty()) KV_RETURN_IF_ERROR(Root());
    Emit(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  template <class... Args>
  tl::unexpected<Error> FailHere(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail("line {}: {}", line_, fmt::format(format, std::forward<Args>(args)...));
  }

  void Emit(TokenKind kind, std::string text = {}, Value number = {}) {
    tokens_.push_back({kind, line_, std::move(text), std::move(number)});
  }

  // Moves over n bytes and remembers whether they ended a line.
  void Advance(size_t n) {
    if (n == 0) return;
    line_ += static_cast<int>(std::count_if(rest_.begin(), rest_.begin() + long(n), IsNewline));
    line_starts_ = rest_[n - 1] == '\n';
    rest_.remove_prefix(n);
  }

  void SkipSpace() { Advance(rest_.size() - Strip(rest_, Side::kLeft).size()); }

  // Text up to the next tag, and the tag's opening.
  Status Root() {
    size_t at = 0;
    for (;; ++at) {
      at = rest_.find('{', at);
      if (at == std::string_view::npos || at + 1 >= rest_.size()) {
        Emit(TokenKind::kData, std::string(rest_));
        rest_ = {};
        return {};
      }
      const char next = rest_[at + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char type = rest_[at + 1];
    const char sign = at + 2 < rest_.size() ? rest_[at + 2] : ' ';
    EmitData(rest_.substr(0, at), sign, type != '{');
    Advance(at);
    if (type == '%') {
      if (const size_t n = MatchRawTag(rest_, "raw"); n > 0) return Raw(n);
    }
    Advance(2 + (sign == '-' || sign == '+'));
    if (type == '#') return Comment();
    return Tag(type == '%');
  }

  // Data before a tag, cut as the tag's sign says.
  void EmitData(std::string_view data, char sign, bool may_lstrip) {
    if (sign == '-') {
      data = Strip(data, Side::kRight);
    } else if (sign != '+' && may_lstrip) {
      const size_t newline = data.rfind('\n');
      const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      const bool at_line_start = start > 0 || line_starts_;
      if (at_line_start && Strip(data.substr(start), Side::kLeft).empty()) {
        data = data.substr(0, start);
      }
    }
    if (!data.empty()) Emit(TokenKind::kData, std::string(data));
  }

  // Length of "{%[-+] word" with what closes it, of a raw or endraw tag; 0 if it is another tag.
  // Trailing white space to be dropped is not counted.
  static size_t MatchRawTag(std::string_view text, std::string_view word) {
    std::string_view s = text.substr(2);
    if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.remove_prefix(1);
    s = Strip(s, Side::kLeft);
    if (s.substr(0, word.size()) != word) return 0;
    s = Strip(s.substr(word.size()), Side::kLeft);
    const bool signed_end = !s.empty() && (s[0] == '-' || (s[0] == '+' && word == "endraw"));
    if (signed_end) s.remove_prefix(1);
    if (s.substr(0, 2) != "%}") return 0;
    return text.size() - s.size() + 2;
  }

  Status Raw(size_t opening) {
    const int first_line = line_;
    const bool trim = rest_[opening - 3] == '-';
    Advance(opening);
    if (trim) SkipSpace();
    for (size_t at = 0; (at = rest_.find("{%", at)) != std::string_view::npos; ++at) {
      const size_t n = MatchRawTag(rest_.substr(at), "endraw");
      if (n == 0) continue;
      EmitData(rest_.substr(0, at), rest_[at + 2], true);
      const char sign = rest_[at + n - 3];
      Advance(at + n);
      AfterBlock(sign);
      return {};
    }
    line_ = first_line;
    return FailHere("a raw block is not closed: {{% endraw %}} is missing");
  }

  // White space after a block or comment that ended in `sign`.
  void AfterBlock(char sign) {
    if (sign == '-') {
      SkipSpace();
    } else if (sign != '+' && !rest_.empty() && rest_[0] == '\n') {
      Advance(1);
    }
  }

  Status Comment() {
    const size_t end = rest_.find("#}");
    if (end == std::string_view::npos) return FailHere("a comment is not closed: #}} is missing");
    const char sign = end > 0 ? rest_[end - 1] : ' ';
    Advance(end + 2);
    AfterBlock(sign);
    return {};
  }

  Status Tag(bool block) {
    const std::string_view close = block ? "%}" : "}}";
    Emit(block ? TokenKind::kBlockBegin : TokenKind::kVariableBegin);
    std::string brackets;  // the closing ones that are awaited
    while (true) {
      if (brackets.empty()) {
        const bool sign = !rest_.empty() && (rest_[0] == '-' || (rest_[0] == '+' && block));
        if (rest_.substr(sign ? 1 : 0, 2) == close) {
          const char end = sign ? rest_[0] : ' ';
          Emit(block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd);
          Advance(2 + (sign ? 1 : 0));
          if (block || end == '-') AfterBlock(end);
          return {};
        }
      }
      const size_t before = rest_.size();
      SkipSpace();
      if (rest_.empty()) return FailHere("a tag is not closed: {} is missing", close);
      if (rest_.size() != before) continue;
      KV_RETURN_IF_ERROR(TagToken(brackets));
    }
  }

  Status TagToken(std::string& brackets) {
    const char c = rest_[0];
    if (IsDecimalDigit(c)) return Number();
    if (c == '\'' || c == '"') return String();
    size_t n = 0;
    while (n < rest_.size()) {
      size_t next = n;
      if (!IsWord(NextChar(rest_, next))) break;
      n = next;
    }
    if (n > 0) {
      Emit(TokenKind::kName, std::string(rest_.substr(0, n)));
      Advance(n);
      return {};
    }
    return Operator(brackets);
  }

  Status Operator(std::string& brackets) {
    static constexpr std::array<std::string_view, 6> kDouble = {"//", "**", "==", "!=", ">=", "<="};
    const std::string_view two = rest_.substr(0, 2);
    if (std::find(kDouble.begin(), kDouble.end(), two) != kDouble.end()) {
      Emit(TokenKind::kOperator, std::string(two));
      Advance(2);
      return {};
    }
    const char c = rest_[0];
    if (std::string_view("+-/*%~[](){}<>=.:|,;").find(c) == std::string_view::npos) {
      size_t at = 0;
      NextChar(rest_, at);
      return FailHere("unexpected character '{}' in a tag", rest_.substr(0, at));
    }
    if (c == '(' || c == '[' || c == '{') {
      brackets.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      if (brackets.size() > static_cast<size_t>(kMaxNesting)) {
        return FailHere("limit exceeded: brackets nested deeper than {}", kMaxNesting);
      }
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) return FailHere("unexpected '{}'", c);
      if (brackets.back() != c)
        return FailHere("unexpected '{}', expected '{}'", c, brackets.back());
      brackets.pop_back();
    }
    Emit(TokenKind::kOperator, std::string(1, c));
    Advance(1);
    return {};
  }

  // Digits with single underscores between them, from `at` on; their end.
  template <class IsOk>
  size_t Digits(size_t at, IsOk is_ok, bool underscore_first = false) const {
    const size_t start = at;
    while (at < rest_.size()) {
      const bool underscore = rest_[at] == '_' && (at > start || underscore_first);
      const size_t digit = at + (underscore ? 1 : 0);
      if (digit >= rest_.size() || !is_ok(rest_[digit])) break;
      at = digit + 1;
    }
    return at;
  }

  Status Number() {
    const size_t integer_end = Digits(0, IsDecimalDigit);
    size_t end = integer_end;
    if (end < rest_.size() && rest_[end] == '.') {
      const size_t fraction = Digits(end + 1, IsDecimalDigit);
      if (fraction > end + 1) end = fraction;
    }
    if (end < rest_.size() && (rest_[end] | 0x20) == 'e') {
      const bool sign = end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-');
      const size_t start = end + 1 + (sign ? 1 : 0);
      const size_t exponent = Digits(start, IsDecimalDigit);
      if (exponent > start) end = exponent;
    }
    const bool after_dot = !tokens_.empty() && tokens_.back().IsOp(".");
    if (end == integer_end || after_dot) return Integer(integer_end);
    std::string digits(rest_.substr(0, end));
    std::erase(digits, '_');
    double value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    // Out of range leaves the value alone: a tiny number is 0, a huge one infinite.
    if (parsed.ec == std::errc::result_out_of_range) value = std::strtod(digits.c_str(), nullptr);
    Emit(TokenKind::kFloat, {}, Value::Float(value));
    Advance(end);
    return {};
  }

  Status Integer(size_t decimal_end) {
    int base = 10;
    size_t end = decimal_end;
    if (rest_[0] == '0' && rest_.size() > 1) {
      const char letter = static_cast<char>(rest_[1] | 0x20);
      const int prefixed = letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'x' ? 16 : 10;
      const size_t after = prefixed == 10 ? 2
                                          : Digits(
                                                2,
                                                [&](char c) {
                                                  const int digit = HexDigit(c);
                                                  return digit >= 0 && digit < prefixed;
                                                },
                                                true);
      if (after > 2) base = prefixed, end = after;
      if (base == 10) end = Digits(0, [](char c) { return c == '0'; });  // 007 is 00 and 7
    }
    Int value = 0;
    for (const char c : rest_.substr(base == 10 ? 0 : 2, end - (base == 10 ? 0 : 2))) {
      if (c == '_') continue;
      if (__builtin_mul_overflow(value, Int{base}, &value) ||
          __builtin_add_overflow(value, Int{HexDigit(c)}, &value)) {
        return FailHere("an integer is too large: at most 127 bits are supported");
      }
    }
    Emit(TokenKind::kInteger, {}, Value::Integer(value));
    Advance(end);
    return {};
  }

  Status String() {
    const char quote = rest_[0];
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return FailHere("a string is not closed: {} is missing", quote);
    std::string value;
    for (std::string_view body = rest_.substr(1, end - 1); !body.empty();) {
      if (body[0] != '\\') {
        const size_t n = std::min(body.find('\\'), body.size());
        value.append(body.substr(0, n));
        body.remove_prefix(n);
      } else {
        KV_RETURN_IF_ERROR(Escape(body, value));
      }
    }
    Emit(TokenKind::kString, std::move(value));
    Advance(end + 1);
    return {};
  }

  // One backslash escape at the start of `body`, as in Python's string literals.
  Status Escape(std::string_view& body, std::string& out) {
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    const char c = body[1];
    if (const size_t simple = kFrom.find(c); simple != std::string_view::npos) {
      out.push_back(kTo[simple]);
      body.remove_prefix(2);
      return {};
    }
    if (c == '\n') {  // a continued line
      body.remove_prefix(2);
      return {};
    }
    if (c >= '0' && c <= '7') {
      char32_t value = 0;
      size_t n = 1;
      while (n < 4 && n < body.size() && body[n] >= '0' && body[n] <= '7') {
        value = value * 8 + static_cast<char32_t>(body[n++] - '0');
      }
      AppendChar(out, value);
      body.remove_prefix(n);
      return {};
    }
    const size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (n_digits > 0) return HexEscape(body, n_digits, out);
    if (c == 'N')
      return FailHere("\\N{{...}} in a string is not supported: write \\u and the code");
    out.push_back('\\');  // an unknown escape keeps its backslash
    body.remove_prefix(1);
    return {};
  }

  Status HexEscape(std::string_view& body, size_t n_digits, std::string& out) {
    uint32_t value = 0;
    for (size_t i = 2; i < 2 + n_digits; ++i) {
      const int digit = i < body.size() ? HexDigit(body[i]) : -1;
      if (digit < 0) {
        return FailHere("\\{} in a string needs {} hexadecimal digits", body[1], n_digits);
      }
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
      return FailHere("\\{}{:0{}x} in a string is not a character", body[1], value, n_digits);
    }
    AppendChar(out, value);
    body.remove_prefix(2 + n_digits);
    return {};
  }

  const std::string source_;
  std::string_view rest_;
  std::vector<Token> tokens_;
  int line_ = 1;
  bool line_starts_ = true;  // what was last consumed ended in a newline
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  if (source.size() > static_cast<size_t>(kMaxSourceBytes)) {
    return Fail("line 1: limit exceeded: the template has {} bytes, at most {} are allowed",
                source.size(), kMaxSourceBytes);
  }
  if (!IsUtf8(source)) return Fail("line 1: the template is not valid UTF-8");
  return Lexer(source).Run();
}

}  // namespace kvasir::jinja
