#include "model/tokenizer/utf8.h"

#include <algorithm>
#include <cstring>

namespace kvasir {

Utf8Char DecodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xc2 || lead > 0xf4) return {};
  const int length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  char32_t code = lead & (0x7fu >> length);
  for (int i = 1; i < length; ++i) {
    if (static_cast<size_t>(i) >= text.size()) return {0, -1};
    const uint8_t next = byte(static_cast<size_t>(i));
    if (i == 1 ? next < low || next > high : (next & 0xc0) != 0x80) return {};
    code = code << 6 | (next & 0x3fu);
  }
  return {code, length};
}

bool IsValidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8) {
      uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      if ((word & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const Utf8Char c = DecodeUtf8(text.substr(at));
    if (c.length <= 0) return false;
    at += static_cast<size_t>(c.length);
  }
  return true;
}

void AppendUtf8(char32_t code, std::string& out) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  }
}

bool IsWhiteSpace(char32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

std::string Utf8Stream::Push(std::string_view bytes) {
  pending_.append(bytes);
  std::string out;
  size_t at = 0;
  while (at < pending_.size()) {
    const std::string_view rest = std::string_view(pending_).substr(at);
    const Utf8Char c = DecodeUtf8(rest);
    if (c.length < 0) break;
    if (c.length > 0) {
      out.append(rest.substr(0, static_cast<size_t>(c.length)));
      at += static_cast<size_t>(c.length);
      continue;
    }
    AppendUtf8(0xfffd, out);
    // The longest start of a character here counts as one error.
    size_t bad = 1;
    while (bad < rest.size() && DecodeUtf8(rest.substr(0, bad)).length < 0) ++bad;
    at += std::max<size_t>(1, bad - 1);
  }
  pending_.erase(0, at);
  return out;
}

std::string Utf8Stream::Flush() {
  std::string out;
  if (!pending_.empty()) AppendUtf8(0xfffd, out);
  pending_.clear();
  return out;
}

}  // namespace kvasir
