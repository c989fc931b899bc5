// HTML and URL escaping.
#pragma once

#include <string>
#include <string_view>

namespace kvasir::jinja {

// & < > " ' become entities.
std::string EscapeHtml(std::string_view text);
// The text of HTML: tags and comments removed, white space collapsed, entities decoded.
std::string StripTags(std::string_view html);
// Bytes outside letters, digits, "_.-~" and `safe` become %XX.
std::string QuoteUrl(std::string_view text, std::string_view safe);

}  // namespace kvasir::jinja
