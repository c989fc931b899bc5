// Python's textwrap as Jinja's wordwrap uses it: tabs and white space kept, leading and trailing
// white space of lines dropped.
#include <algorithm>

#include "jinja/text_ops.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

using Chars = std::u32string_view;

// textwrap's white space is ASCII only.
bool IsBlank(char32_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsLetter(char32_t c) { return IsWord(c) && !Has(c, kDecimal); }
bool IsPunctuation(char32_t c) {
  return IsWord(c) || c == '!' || c == '"' || c == '\'' || c == '&' || c == '.' || c == ',' ||
         c == '?';
}

// Length of the run of blanks or non-blanks at `at`.
size_t Run(Chars text, size_t at) {
  const bool blank = IsBlank(text[at]);
  size_t end = at;
  while (end < text.size() && IsBlank(text[end]) == blank) ++end;
  return end - at;
}

size_t Hyphens(Chars text, size_t at) {
  size_t end = at;
  while (end < text.size() && text[end] == '-') ++end;
  return end - at;
}

// Whether an em-dash (two or more hyphens before a word character) starts at `at`.
bool IsDash(Chars text, size_t at) {
  const size_t n = Hyphens(text, at);
  return n >= 2 && at + n < text.size() && IsWord(text[at + n]);
}

// Whether a word may be broken after the hyphen at `at`: letters around it, as in "well-known".
bool BreaksAfterHyphen(Chars text, size_t start, size_t at) {
  const auto letter = [&](size_t i) { return i < text.size() && IsLetter(text[i]); };
  const bool before = (at >= start + 2 && letter(at - 1) && letter(at - 2)) ||
                      (at >= start + 3 && letter(at - 1) && text[at - 2] == '-' && letter(at - 3));
  const bool after =
      (letter(at + 1) && letter(at + 2)) ||
      (letter(at + 1) && at + 2 < text.size() && text[at + 2] == '-' && letter(at + 3));
  return before && after;
}

// Length of the next chunk, the smallest piece that is not broken.
size_t NextChunk(Chars text, size_t at, bool break_on_hyphens) {
  if (IsBlank(text[at]) || !break_on_hyphens) return Run(text, at);
  const bool after_word = at > 0 && IsPunctuation(text[at - 1]);
  if (after_word && IsDash(text, at)) return Hyphens(text, at);
  for (size_t i = at; i < text.size(); ++i) {
    if (IsBlank(text[i])) return i - at;
    if (text[i] != '-') continue;
    if (BreaksAfterHyphen(text, at, i)) return i + 1 - at;
    if (i > at && IsPunctuation(text[i - 1]) && IsDash(text, i)) return i - at;
  }
  return text.size() - at;
}

bool AllBlank(Chars chunk) { return std::all_of(chunk.begin(), chunk.end(), IsBlank); }

// Where a word longer than a line is cut: after a hyphen in the room there is, or at its end.
size_t CutLength(Chars chunk, size_t room, bool break_on_hyphens) {
  if (!break_on_hyphens || chunk.size() <= room || room == 0) return room;
  const size_t hyphen = chunk.substr(0, room).rfind('-');
  const bool useful = hyphen != Chars::npos && hyphen > 0 &&
                      std::any_of(chunk.begin(), chunk.begin() + static_cast<int64_t>(hyphen),
                                  [](char32_t c) { return c != '-'; });
  return useful ? hyphen + 1 : room;
}

}  // namespace

std::vector<std::string> WrapLine(std::string_view line, int64_t line_width, bool break_long_words,
                                  bool break_on_hyphens) {
  const std::u32string text = Decode(line);
  const auto width = static_cast<size_t>(line_width);
  std::vector<Chars> chunks;  // in reverse
  for (size_t at = 0; at < text.size();) {
    const size_t n = NextChunk(text, at, break_on_hyphens);
    chunks.push_back(Chars(text).substr(at, n));
    at += n;
  }
  std::reverse(chunks.begin(), chunks.end());
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<Chars> current;
    size_t length = 0;
    if (!lines.empty() && AllBlank(chunks.back())) chunks.pop_back();
    while (!chunks.empty() && length + chunks.back().size() <= width) {
      length += chunks.back().size();
      current.push_back(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && chunks.back().size() > width) {
      if (break_long_words) {
        const size_t n = CutLength(chunks.back(), width - length, break_on_hyphens);
        current.push_back(chunks.back().substr(0, n));
        chunks.back().remove_prefix(n);
      } else if (current.empty()) {
        current.push_back(chunks.back());
        chunks.pop_back();
      }
    }
    if (!current.empty() && AllBlank(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::string out;
    for (const Chars chunk : current) out += Encode(chunk);
    lines.push_back(std::move(out));
  }
  return lines;
}

}  // namespace kvasir::jinja
