#include "model/tokenizer/regex_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace kvasir {
namespace {

// \w as a class's members. PCRE2's own \w has no marks and too many numbers.
#define KV_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
constexpr std::string_view kWordMembers = KV_WORD;
// Outside of classes Oniguruma looks Latin-1 up in a table of ISO 8859-1, which has six more.
#define KV_WORD_ALONE KV_WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
constexpr std::string_view kWord = "[" KV_WORD_ALONE "]", kNoWord = "[^" KV_WORD_ALONE "]";
constexpr std::string_view kBoundary = "(?:(?<=[" KV_WORD_ALONE "])(?![" KV_WORD_ALONE
                                       "])|"
                                       "(?<![" KV_WORD_ALONE "])(?=[" KV_WORD_ALONE "]))";
constexpr std::string_view kNoBoundary = "(?:(?<=[" KV_WORD_ALONE "])(?=[" KV_WORD_ALONE
                                         "])|"
                                         "(?<![" KV_WORD_ALONE "])(?![" KV_WORD_ALONE "]))";
#undef KV_WORD_ALONE
#undef KV_WORD

struct NamedSet {
  std::string_view name, members;
};

// POSIX's names, by Unicode's properties; punct is another set as a bracket than as a property.
constexpr NamedSet kPosix[] = {
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"ascii", "\\x00-\\x7f"},
    {"blank", "\\p{Zs}\\t"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\p{Nd}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"lower", "\\p{Lowercase}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"space", "\\p{White_Space}"},
    {"upper", "\\p{Uppercase}"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    {"xdigit", "0-9A-Fa-f"},
};

// General categories by their long names.
constexpr NamedSet kCategories[] = {
    {"other", "C"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"unassigned", "Cn"},
    {"privateuse", "Co"},
    {"surrogate", "Cs"},
    {"letter", "L"},
    {"lowercaseletter", "Ll"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"titlecaseletter", "Lt"},
    {"uppercaseletter", "Lu"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"nonspacingmark", "Mn"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punct", "P"},
    {"punctuation", "P"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"closepunctuation", "Pe"},
    {"finalpunctuation", "Pf"},
    {"initialpunctuation", "Pi"},
    {"otherpunctuation", "Po"},
    {"openpunctuation", "Ps"},
    {"symbol", "S"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"mathsymbol", "Sm"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"spaceseparator", "Zs"},
};

// What PCRE2 has under the same name. All else is a script there, and then by itself stands for
// Script_Extensions, where Oniguruma means Script.
constexpr std::string_view kSame[] = {"any",
                                      "alphabetic",
                                      "asciihexdigit",
                                      "cased",
                                      "caseignorable",
                                      "dash",
                                      "defaultignorablecodepoint",
                                      "diacritic",
                                      "emoji",
                                      "emojicomponent",
                                      "emojimodifier",
                                      "emojimodifierbase",
                                      "emojipresentation",
                                      "extendedpictographic",
                                      "hexdigit",
                                      "idcontinue",
                                      "idstart",
                                      "ideographic",
                                      "joincontrol",
                                      "lowercase",
                                      "math",
                                      "quotationmark",
                                      "regionalindicator",
                                      "unifiedideograph",
                                      "uppercase",
                                      "variationselector",
                                      "whitespace",
                                      "xidcontinue",
                                      "xidstart"};

// Letters and digits in lower case: neither Oniguruma nor PCRE2 looks at more of a name.
std::string Loose(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return out;
}

template <size_t N>
std::string_view MembersOf(const NamedSet (&table)[N], std::string_view name) {
  const auto it = std::ranges::find(table, name, &NamedSet::name);
  return it == std::end(table) ? std::string_view() : it->members;
}

// Outside of classes Oniguruma takes six numbers of Latin-1 for parts of words, too.
constexpr std::string_view kLatin1Word = "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

// One property: its negation is one too.
bool IsOneProperty(std::string_view members) {
  return members.starts_with("\\p{") && members.find('}') + 1 == members.size();
}
std::string Negated(std::string_view property) { return "\\P" + std::string(property.substr(2)); }

bool IsCategory(std::string_view name) {
  constexpr std::string_view kMajor = "clmnpsz";
  return name.size() <= 2 && !name.empty() && kMajor.find(name[0]) != std::string_view::npos;
}

}  // namespace

std::optional<std::string_view> PcreSet(char escape, bool in_class) {
  switch (escape) {
    case 's':
      return "\\p{White_Space}";  // PCRE2's own has U+180E, which is none since Unicode 6.3
    case 'S':
      return "\\P{White_Space}";
    case 'w':
      return in_class ? kWordMembers : kWord;
    case 'W':
      return in_class ? std::nullopt : std::optional(kNoWord);
    case 'b':
      return in_class ? "\\x08" : kBoundary;
    case 'B':
      return in_class ? std::nullopt : std::optional(kNoBoundary);
    case 'v':
      return "\\x0b";  // not all vertical space
    default:
      return std::nullopt;
  }
}

std::optional<std::string> PcreProperty(std::string_view name, bool negated, bool in_class) {
  const std::string loose = Loose(name);
  const std::string_view set = MembersOf(kPosix, loose);
  if (!set.empty() && !IsOneProperty(set)) {
    if (!in_class) {
      return fmt::format("[{}{}{}]", negated ? "^" : "", set, loose == "word" ? kLatin1Word : "");
    }
    if (negated) return std::nullopt;
    return std::string(set);
  }
  std::string property(set);
  if (property.empty()) {
    const std::string_view category = MembersOf(kCategories, loose);
    const bool is_same = IsCategory(loose) || std::ranges::find(kSame, loose) != std::end(kSame);
    property = fmt::format("\\p{{{}{}}}", category.empty() && !is_same ? "sc:" : "",
                           category.empty() ? name : category);
  }
  return negated ? Negated(property) : property;
}

std::optional<std::string> PcreBracket(std::string_view name) {
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const std::string_view set = name == "punct" ? "\\p{P}\\p{S}" : MembersOf(kPosix, name);
  if (set.empty()) return std::nullopt;
  if (!negated) return std::string(set);
  if (!IsOneProperty(set)) return std::nullopt;
  return Negated(set);
}

}  // namespace kvasir
