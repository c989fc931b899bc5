// UTF-8: one character at a time, from text that may be invalid; and the helper that lets a stream
// of bytes out in whole characters only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

struct Utf8Char {
  char32_t code = 0;
  // Bytes of the character, 1 to 4. 0: no character starts here (stray, overlong, surrogate);
  // -1: a character starts here, but the text ends inside it.
  int length = 0;
};

// REQUIRES: text is not empty.
Utf8Char DecodeUtf8(std::string_view text);

bool IsValidUtf8(std::string_view text);
void AppendUtf8(char32_t code, std::string& out);
// Unicode's White_Space property.
bool IsWhiteSpace(char32_t code);

// Collects bytes (tokens may end inside a character) and gives out valid UTF-8. Bytes that no
// character can contain become U+FFFD, one for each maximal invalid run start.
class Utf8Stream {
 public:
  // What is complete once `bytes` have come.
  std::string Push(std::string_view bytes);
  // At the end of the stream: U+FFFD for a character that was never completed, else nothing.
  std::string Flush();

 private:
  std::string pending_;  // at most 3 bytes, the start of a character
};

}  // namespace kvasir
