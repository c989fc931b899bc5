// GBNF, llama.cpp's notation for grammars:
//
//   root  ::= "[" (item ("," item)*)? "]"      # literals, groups, ? * + {m} {m,} {m,n}
//   item  ::= [a-z]+ | [^\]\n] | .             # classes, negated classes, any character
//
// Escapes in literals and classes: \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH. A rule ends with
// its line, except within parentheses and around |. The rule `root` is the whole text.
#pragma once

#include <memory>
#include <string_view>

#include "grammar/grammar.h"

namespace kvasir::grammar {

Result<std::shared_ptr<const Grammar>> ParseGbnf(std::string_view source);

}  // namespace kvasir::grammar
