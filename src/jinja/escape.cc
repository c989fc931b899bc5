#include "jinja/escape.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "jinja/unicode.h"

namespace kvasir::jinja {
namespace {

struct Entity {
  std::string_view name;
  char32_t c;
};
constexpr std::array<Entity, 8> kEntities = {{{"amp", '&'},
                                              {"lt", '<'},
                                              {"gt", '>'},
                                              {"quot", '"'},
                                              {"apos", '\''},
                                              {"nbsp", 0xa0},
                                              {"copy", 0xa9},
                                              {"hellip", 0x2026}}};

// Decodes the entity at the start of `text`, which begins with '&'; its length, or 0.
size_t DecodeEntity(std::string_view text, std::string& out) {
  const size_t end = text.substr(0, 12).find(';');
  if (end == std::string_view::npos || end < 2) return 0;
  std::string_view name = text.substr(1, end - 1);
  if (name[0] == '#') {
    const bool hex = name.size() > 1 && (name[1] | 0x20) == 'x';
    name.remove_prefix(hex ? 2 : 1);
    uint32_t code = 0;
    const auto parsed =
        std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
    const bool valid = !name.empty() && parsed.ptr == name.data() + name.size() && code > 0 &&
                       code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    if (valid) AppendChar(out, code);
    return valid ? end + 1 : 0;
  }
  const auto at = std::find_if(kEntities.begin(), kEntities.end(),
                               [&](const Entity& e) { return e.name == name; });
  if (at == kEntities.end()) return 0;
  AppendChar(out, at->c);
  return end + 1;
}

// Without what stands between `open` and `close`.
std::string WithoutSpans(std::string_view text, std::string_view open, std::string_view close) {
  std::string out;
  while (true) {
    const size_t start = text.find(open);
    const size_t end = start == std::string_view::npos ? std::string_view::npos
                                                       : text.find(close, start + open.size());
    if (end == std::string_view::npos) break;
    out += text.substr(0, start);
    text.remove_prefix(end + close.size());
  }
  out += text;
  return out;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string StripTags(std::string_view html) {
  const std::string text = WithoutSpans(WithoutSpans(html, "<!--", "-->"), "<", ">");
  std::string joined;
  bool space = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextChar(text, at);
    if (Has(c, kSpace)) {
      space = true;
      continue;
    }
    if (space && !joined.empty()) joined += ' ';
    space = false;
    AppendChar(joined, c);
  }
  std::string out;
  for (size_t at = 0; at < joined.size();) {
    const size_t n = joined[at] == '&' ? DecodeEntity(std::string_view(joined).substr(at), out) : 0;
    if (n == 0) out += joined[at];
    at += std::max<size_t>(n, 1);
  }
  return out;
}

std::string QuoteUrl(std::string_view text, std::string_view safe) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos ||
                       safe.find(c) != std::string_view::npos;
    if (plain && static_cast<uint8_t>(c) < 0x80) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<uint8_t>(c) >> 4];
      out += kHex[static_cast<uint8_t>(c) & 15];
    }
  }
  return out;
}

}  // namespace kvasir::jinja
