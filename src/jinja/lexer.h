// Lexer: template source to tokens, with whitespace control as transformers sets it (trim_blocks,
// lstrip_blocks, no trailing newline kept).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace kvasir::jinja {

enum class TokenKind : uint8_t {
  kData,  // text between tags
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 0;
  std::string text;  // data, name, operator, or the value of a string
  Value number;      // of kInteger and kFloat

  bool Is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  bool IsName(std::string_view t) const { return Is(TokenKind::kName, t); }
  bool IsOp(std::string_view t) const { return Is(TokenKind::kOperator, t); }
};

// Ends with a kEnd token. Errors begin with "line N: ".
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace kvasir::jinja
