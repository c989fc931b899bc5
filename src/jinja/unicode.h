// UTF-8 and the character properties of Python's str, from generated tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir::jinja {

bool IsUtf8(std::string_view bytes);
// REQUIRES, for all below: valid UTF-8.
int64_t CodePoints(std::string_view bytes);
std::u32string Decode(std::string_view bytes);
std::string Encode(std::u32string_view chars);
void AppendChar(std::string& out, char32_t c);
// The character at byte `at`, which is moved past it.
char32_t NextChar(std::string_view bytes, size_t& at);
// Byte offset of code point `index`, at most the size.
size_t ByteOffset(std::string_view bytes, int64_t index);

enum CharBits : uint32_t {  // bits of the generated table
  kAlpha = 1,
  kDecimal = 2,
  kDigit = 4,
  kNumeric = 8,
  kLower = 16,
  kUpper = 32,
  kTitle = 64,
  kPrintable = 128,
  kSpace = 256,
  kCaseIgnorable = 512,
  kWord = kAlpha | kDecimal | kDigit | kNumeric,
  kCased = kLower | kUpper | kTitle,
};
uint32_t CharProperties(char32_t c);
inline bool Has(char32_t c, uint32_t bits) { return (CharProperties(c) & bits) != 0; }
// Value of a decimal digit of any script; -1 for other characters.
int DigitValue(char32_t c);
inline bool IsWord(char32_t c) { return c == '_' || Has(c, kWord); }  // \w of regular expressions

std::string Upper(std::string_view bytes);
std::string Lower(std::string_view bytes);
std::string Capitalize(std::string_view bytes);
std::string TitleCase(std::string_view bytes);  // str.title()
std::string SwapCase(std::string_view bytes);
std::string CaseFold(std::string_view bytes);

// str.strip() of white space, and of a set of characters.
enum class Side { kLeft = 1, kRight = 2, kBoth = 3 };
std::string_view Strip(std::string_view bytes, Side side);
std::string_view Strip(std::string_view bytes, std::string_view chars, Side side);

namespace unicode {  // the generated tables

struct CaseRange {
  uint32_t first, last, stride;
  int32_t delta;
};
struct CaseSpecial {
  uint32_t from;
  uint32_t to[3];  // zero-terminated if shorter
};
extern const uint32_t kRuns[];
extern const int kRunCount;
extern const CaseRange kUpperRanges[], kLowerRanges[];
extern const int kUpperRangeCount, kLowerRangeCount;
extern const CaseSpecial kUpperSpecials[], kLowerSpecials[];
extern const CaseSpecial kTitleSpecials[];  // where titlecase is not uppercase
extern const CaseSpecial kFoldSpecials[];   // where case folding is not lowercase
extern const int kUpperSpecialCount, kLowerSpecialCount, kTitleSpecialCount, kFoldSpecialCount;

}  // namespace unicode
}  // namespace kvasir::jinja
