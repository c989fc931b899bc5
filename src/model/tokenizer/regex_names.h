// Names of sets of characters as Oniguruma has them, in PCRE2's words.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// \s, \w, \b, \v and their negations, in a class or alone. Nothing: it is another escape, or there
// is no way to say it.
std::optional<std::string_view> PcreSet(char escape, bool in_class);

// \p{name}, or its negation, in a class or alone. Names that we do not know are scripts: PCRE2 says
// so where they are none. Nothing: there is no way to say it.
std::optional<std::string> PcreProperty(std::string_view name, bool negated, bool in_class);

// Members of a class for [:name:]; nothing: no such name, or a negation that cannot be said.
std::optional<std::string> PcreBracket(std::string_view name);

}  // namespace kvasir
