// JsonRules: JSON itself as rules of a grammar. White space is bounded: between two elements
// nothing, one space, or a line break with at most kMaxIndent blanks, so that a model cannot go on
// with blanks for ever. Numbers are bounded in digits for the same reason.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "grammar/grammar.h"

namespace kvasir::grammar {

using Json = nlohmann::ordered_json;

inline constexpr int kMaxIndent = 20;
inline constexpr int kMaxDigits = 16;  // of each part of a number

class JsonRules {
 public:
  explicit JsonRules(GrammarBuilder& builder) : builder_(builder) {}

  ExprId Space();  // between elements
  ExprId StringChar();
  // Between the quotes: any string of min to max characters.
  ExprId String(int32_t min = 0, int32_t max = kUnbounded);
  // A string whose characters are one of the set, as JSON writes them (without the quotes).
  ExprId Encoded(const CharSet& set);
  ExprId Quoted(ExprId characters);
  // The value as it is, without white space.
  ExprId Literal(const Json& value);
  // A key and its colon.
  ExprId Key(std::string_view name);
  // Any key but these, with its colon. Written without escapes, so that it is none of them in
  // disguise.
  ExprId OtherKey(std::vector<std::string> names);

  ExprId Digits(int32_t min, int32_t max) { return builder_.Repeat(Digit(), min, max); }
  ExprId Digit(char first = '0', char last = '9');
  ExprId Integer();
  ExprId Number();
  ExprId Boolean();
  ExprId Null() { return builder_.Bytes("null"); }
  ExprId Value();   // anything
  ExprId Object();  // any object
  ExprId Array();   // any array

  // open item (, item)* close, with white space; min to max items. `first` begins a list that is
  // not empty; the others follow a comma each.
  ExprId List(char open, ExprId item, int32_t min, int32_t max, char close);
  // open body close
  ExprId Enclosed(char open, ExprId body, char close);
  ExprId Comma();

  GrammarBuilder& builder() { return builder_; }

 private:
  ExprId Once(RuleId& rule, std::string_view name, ExprId (JsonRules::*make)());
  ExprId MakeSpace();
  ExprId MakeStringChar();
  ExprId MakeInteger();
  ExprId MakeNumber();
  ExprId MakeValue();
  ExprId MakeObject();
  ExprId MakeArray();
  ExprId OtherNames(const std::vector<std::string>& names, size_t first, size_t last, size_t at);

  GrammarBuilder& builder_;
  RuleId space_ = -1, string_char_ = -1, integer_ = -1, number_ = -1, value_ = -1, object_ = -1,
         array_ = -1;
};

}  // namespace kvasir::grammar
