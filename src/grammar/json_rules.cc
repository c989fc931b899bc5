#include "grammar/json_rules.h"

#include <algorithm>
#include <array>

namespace kvasir::grammar {
namespace {

// What a string holds as it is: all but quotes, backslashes and control characters.
CharSet PlainChars() { return {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kMaxCodePoint}}; }

}  // namespace

ExprId JsonRules::Once(RuleId& rule, std::string_view name, ExprId (JsonRules::*make)()) {
  if (rule < 0) {
    rule = builder_.Declare(std::string(name));
    builder_.Define(rule, (this->*make)());
  }
  return builder_.Call(rule);
}

ExprId JsonRules::Space() { return Once(space_, "space", &JsonRules::MakeSpace); }
ExprId JsonRules::StringChar() { return Once(string_char_, "char", &JsonRules::MakeStringChar); }
ExprId JsonRules::Integer() { return Once(integer_, "integer", &JsonRules::MakeInteger); }
ExprId JsonRules::Number() { return Once(number_, "number", &JsonRules::MakeNumber); }
ExprId JsonRules::Value() { return Once(value_, "value", &JsonRules::MakeValue); }
ExprId JsonRules::Object() { return Once(object_, "object", &JsonRules::MakeObject); }
ExprId JsonRules::Array() { return Once(array_, "array", &JsonRules::MakeArray); }

ExprId JsonRules::MakeSpace() {
  return builder_.Choice(
      {builder_.Bytes(""), builder_.Bytes(" "),
       builder_.Sequence(
           {builder_.Bytes("\n"),
            builder_.Repeat(builder_.Chars({{' ', ' '}, {'\t', '\t'}}), 0, kMaxIndent)})});
}

// Escapes of surrogates come in pairs only; a pair is one character.
ExprId JsonRules::MakeStringChar() {
  GrammarBuilder& b = builder_;
  const CharSet hex = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
  const auto hex_digits = [&](int n) { return b.Repeat(b.Chars(hex), n, n); };
  const CharSet hex_but_d = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}};
  const ExprId d = b.Chars({{'d', 'd'}, {'D', 'D'}});
  const ExprId high = b.Chars({{'8', '9'}, {'a', 'b'}, {'A', 'B'}});
  const ExprId low = b.Chars({{'c', 'f'}, {'C', 'F'}});
  const ExprId code =
      b.Choice({b.Sequence({b.Chars(hex_but_d), hex_digits(3)}),
                b.Sequence({d, b.Chars({{'0', '7'}}), hex_digits(2)}),
                b.Sequence({d, high, hex_digits(2), b.Bytes("\\u"), d, low, hex_digits(2)})});
  const CharSet letters = {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'},
                           {'f', 'f'}, {'n', 'n'},   {'r', 'r'}, {'t', 't'}};
  return b.Choice({b.Chars(PlainChars()),
                   b.Sequence({b.Bytes("\\"),
                               b.Choice({b.Chars(letters), b.Sequence({b.Bytes("u"), code})})})});
}

ExprId JsonRules::Quoted(ExprId characters) {
  return builder_.Sequence({builder_.Bytes("\""), characters, builder_.Bytes("\"")});
}

ExprId JsonRules::String(int32_t min, int32_t max) {
  return Quoted(builder_.Repeat(StringChar(), min, max));
}

ExprId JsonRules::Encoded(const CharSet& set) {
  std::vector<ExprId> choices = {builder_.Chars(set.Intersect(PlainChars()))};
  const CharSet escaped = set.Intersect({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  for (const CharRange& range : escaped.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      const std::string quoted = Json(std::string(1, static_cast<char>(c))).dump();
      choices.push_back(builder_.Bytes(std::string_view(quoted).substr(1, quoted.size() - 2)));
    }
  }
  return builder_.Choice(std::move(choices));
}

ExprId JsonRules::Literal(const Json& value) {
  return builder_.Bytes(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

ExprId JsonRules::Key(std::string_view name) {
  return builder_.Sequence({Literal(Json(std::string(name))), builder_.Bytes(":"),
                            builder_.Optional(builder_.Bytes(" "))});
}

// names[first, last) agree in their first `at` bytes: what can follow those. Keys that agree with a
// very long name for that long are given up altogether.
ExprId JsonRules::OtherNames(const std::vector<std::string>& names, size_t first, size_t last,
                             size_t at) {
  constexpr size_t kMaxCommon = 150;
  if (at > kMaxCommon) return builder_.Choice({});
  const ExprId any = builder_.Repeat(builder_.Chars(PlainChars()), 0, kUnbounded);
  std::vector<ExprId> choices;
  const bool is_name = names[first].size() == at;
  if (!is_name) choices.push_back(builder_.Bytes(""));
  CharSet others;
  for (size_t i = first + is_name; i < last;) {
    std::string_view rest = std::string_view(names[i]).substr(at);
    char32_t c = 0;
    if (!TakeUtf8(rest, c)) return builder_.Choice({});  // no text has such a key
    const size_t next = names[i].size() - rest.size();
    size_t end = i;
    while (end < last && names[end].compare(0, next, names[i], 0, next) == 0) ++end;
    others.Add({c, c});
    if (PlainChars().Contains(c)) {
      choices.push_back(
          builder_.Sequence({builder_.Chars({{c, c}}), OtherNames(names, i, end, next)}));
    }
    i = end;
  }
  choices.push_back(
      builder_.Sequence({builder_.Chars(others.Complement().Intersect(PlainChars())), any}));
  return builder_.Choice(std::move(choices));
}

ExprId JsonRules::OtherKey(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const ExprId name = names.empty() ? builder_.Repeat(builder_.Chars(PlainChars()), 0, kUnbounded)
                                    : OtherNames(names, 0, names.size(), 0);
  return builder_.Sequence(
      {Quoted(name), builder_.Bytes(":"), builder_.Optional(builder_.Bytes(" "))});
}

ExprId JsonRules::Digit(char first, char last) {
  return builder_.Chars({{static_cast<char32_t>(first), static_cast<char32_t>(last)}});
}

ExprId JsonRules::MakeInteger() {
  return builder_.Sequence(
      {builder_.Optional(builder_.Bytes("-")),
       builder_.Choice({builder_.Bytes("0"),
                        builder_.Sequence({Digit('1', '9'), Digits(0, kMaxDigits - 1)})})});
}

ExprId JsonRules::MakeNumber() {
  const ExprId fraction = builder_.Sequence({builder_.Bytes("."), Digits(1, kMaxDigits)});
  const ExprId exponent = builder_.Sequence(
      {builder_.Chars({{'e', 'e'}, {'E', 'E'}}),
       builder_.Optional(builder_.Chars({{'+', '+'}, {'-', '-'}})), Digits(1, 2)});
  return builder_.Sequence({Integer(), builder_.Optional(fraction), builder_.Optional(exponent)});
}

ExprId JsonRules::Boolean() {
  return builder_.Choice({builder_.Bytes("true"), builder_.Bytes("false")});
}

ExprId JsonRules::MakeValue() {
  return builder_.Choice({Object(), Array(), String(), Number(), Boolean(), Null()});
}

ExprId JsonRules::MakeObject() {
  const ExprId key =
      builder_.Sequence({String(), builder_.Bytes(":"), builder_.Optional(builder_.Bytes(" "))});
  return List('{', builder_.Sequence({key, Value()}), 0, kUnbounded, '}');
}

ExprId JsonRules::MakeArray() { return List('[', Value(), 0, kUnbounded, ']'); }

ExprId JsonRules::Comma() { return builder_.Sequence({builder_.Bytes(","), Space()}); }

ExprId JsonRules::Enclosed(char open, ExprId body, char close) {
  return builder_.Sequence({builder_.Bytes(std::string_view(&open, 1)), Space(), body, Space(),
                            builder_.Bytes(std::string_view(&close, 1))});
}

ExprId JsonRules::List(char open, ExprId item, int32_t min, int32_t max, char close) {
  std::vector<ExprId> choices;
  if (min == 0) {
    choices.push_back(builder_.Sequence({builder_.Bytes(std::string_view(&open, 1)), Space(),
                                         builder_.Bytes(std::string_view(&close, 1))}));
  }
  if (max > 0 && min <= max) {
    const ExprId more = builder_.Repeat(builder_.Sequence({Comma(), item}), std::max(min - 1, 0),
                                        max == kUnbounded ? max : max - 1);
    choices.push_back(Enclosed(open, builder_.Sequence({item, more}), close));
  }
  return builder_.Choice(std::move(choices));
}

}  // namespace kvasir::grammar
