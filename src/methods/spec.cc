#include "methods/spec.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kvasir {
namespace {

std::string_view Trim(std::string_view s) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

// Cuts at a separator that is not inside quotes.
Result<std::vector<std::string_view>> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted || text[i] != separator) continue;
    parts.push_back(Trim(text.substr(start, i - start)));
    start = i + 1;
  }
  if (quoted) return Fail("--kv \"{}\": a quote is not closed", text);
  parts.push_back(Trim(text.substr(start)));
  return parts;
}

bool IsName(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
}

// "300", "2k", "1.5", "20%": the number, and whether it was a percentage.
std::optional<std::pair<double, bool>> ParseNumber(std::string_view text) {
  double scale = 1;
  bool percent = false;
  if (text.ends_with('%')) {
    percent = true;
    scale = 0.01;
    text.remove_suffix(1);
  } else if (text.ends_with('k') || text.ends_with('K')) {
    scale = 1024;
    text.remove_suffix(1);
  } else if (text.ends_with('M')) {
    scale = 1024 * 1024;
    text.remove_suffix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return std::pair(percent ? value / 100 : value * scale, percent);
}

// range is "low..high", or "odd low..high"; an empty end is open; or numbers: "2|4|8".
bool InRange(double value, std::string_view range) {
  if (range.empty()) return true;
  if (range.find('|') != std::string_view::npos) {
    for (size_t at = 0; at != std::string_view::npos;) {
      const size_t bar = range.find('|', at);
      const auto number = ParseNumber(range.substr(at, bar - at));
      if (number && number->first == value) return true;
      at = bar == std::string_view::npos ? bar : bar + 1;
    }
    return false;
  }
  if (range.starts_with("odd ")) {
    if (std::fmod(value, 2) != 1) return false;
    range.remove_prefix(4);
  }
  const size_t dots = range.find("..");
  const auto low = ParseNumber(range.substr(0, dots));
  const auto high = ParseNumber(range.substr(dots + 2));
  return (!low || value >= low->first) && (!high || value <= high->first);
}

bool IsWordOf(std::string_view word, std::string_view choices) {
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    if (choices.substr(0, bar) == word) return true;
    if (bar == std::string_view::npos) break;
    choices.remove_prefix(bar + 1);
  }
  return false;
}

std::string Place(const SpecItem& item, std::string_view name, std::string_view text) {
  return fmt::format("--kv \"{}:{}={}\"", item.name, name, text);
}

std::string HaveOf(std::span<const std::string_view> names) {
  if (names.empty()) return "; it takes none";
  std::string text = "; it has:";
  for (std::string_view name : names) text.append(" ").append(name);
  return text;
}

constexpr double kMostEntries = 1e15;

// No method stands twice in a legal spec. An error looks for one near what was written, by leaving
// out each part: a request's text must not make that long.
constexpr size_t kMostParts = 64;

Result<Budget> ParseBudget(const SpecItem& item, std::string_view name, std::string_view text) {
  const auto number = ParseNumber(text);
  constexpr std::string_view kRight = "write a number of entries (1024, 2k) or a share (20%)";
  if (!number) return Fail("{}: '{}' is not a budget; {}", Place(item, name, text), text, kRight);
  const auto [value, percent] = *number;
  if (percent) {
    if (value <= 0 || value > 1) {
      return Fail("{}: a share is above 0% and at most 100%; {}", Place(item, name, text), kRight);
    }
    return Budget{.count = 0, .share = value};
  }
  if (value > kMostEntries) {
    return Fail("{}: a budget is at most {:.0e} entries; {}", Place(item, name, text), kMostEntries,
                kRight);
  }
  if (value < 1 || value != std::floor(value)) {
    return Fail("{}: a budget is a whole number of at least 1; {}", Place(item, name, text),
                kRight);
  }
  return Budget{.count = static_cast<int64_t>(value), .share = 0};
}

}  // namespace

Result<std::vector<SpecItem>> ParseSpec(std::string_view text) {
  if (Trim(text).empty()) return Fail("empty --kv: write \"full\" for the plain cache");
  std::vector<SpecItem> items;
  KV_ASSIGN_OR_RETURN(const std::vector<std::string_view> parts, Split(Trim(text), '+'));
  if (parts.size() > kMostParts) {
    return Fail("--kv: {} methods are stacked; at most {} can be", parts.size(), kMostParts);
  }
  for (std::string_view part : parts) {
    const size_t colon = part.find(':');
    SpecItem item{std::string(Trim(part.substr(0, colon))), {}};
    if (!IsName(item.name)) {
      return Fail("--kv \"{}\": '{}' is not a method name; write name:key=value,key=value + name",
                  text, part);
    }
    if (colon != std::string_view::npos) {
      KV_ASSIGN_OR_RETURN(const std::vector<std::string_view> params,
                          Split(part.substr(colon + 1), ','));
      for (std::string_view param : params) {
        const size_t equals = param.find('=');
        const std::string_view key = Trim(param.substr(0, equals));
        if (equals == std::string_view::npos || !IsName(key)) {
          return Fail("--kv \"{}\": '{}' is not a parameter; write key=value", text, param);
        }
        std::string_view value = Trim(param.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
          value = value.substr(1, value.size() - 2);
        }
        item.params.emplace_back(key, value);
      }
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::string ItemText(const SpecItem& item) {
  std::string text = item.name;
  char separator = ':';
  for (const auto& [name, value] : item.params) {
    const std::string_view quote = value.find_first_of("+,; ") == std::string::npos ? "" : "\"";
    text += fmt::format("{}{}={}{}{}", separator, name, quote, value, quote);
    separator = ',';
  }
  return text;
}

Result<std::vector<std::string>> SplitSpecs(std::string_view text) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::string_view> parts, Split(text, ';'));
  std::vector<std::string> specs;
  for (std::string_view part : parts) {
    if (!part.empty()) specs.emplace_back(part);
  }
  if (specs.empty()) return Fail("empty --kv: write \"full\" for the plain cache");
  return specs;
}

int64_t Budget::Of(int64_t n) const {
  if (share <= 0) return count;
  // The epsilon keeps 20% of 600 at 120 although 0.2 has no exact double.
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(n) * share + 1e-9));
}

Result<Params> Params::Check(const SpecItem& item, std::span<const ParamInfo> infos) {
  Params params;
  params.method_ = item.name;
  std::vector<std::string_view> names;
  for (const ParamInfo& info : infos) names.push_back(info.name);
  std::map<std::string_view, std::string_view> given;
  for (const auto& [name, text] : item.params) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const auto near = Nearest(name, names);
      return Fail("--kv \"{}:{}={}\": {} has no parameter '{}'{}", item.name, name, text, item.name,
                  name, near ? fmt::format(" (did you mean '{}'?)", *near) : HaveOf(names));
    }
    if (!given.emplace(name, text).second) {
      return Fail("--kv \"{}\": '{}' is given twice", item.name, name);
    }
  }
  for (const ParamInfo& info : infos) {
    Value value;
    const auto found = given.find(info.name);
    value.given = found != given.end();
    value.text = value.given ? found->second : info.fallback;
    if (value.given && value.text.empty()) {
      return Fail("{}: '{}' has no value; leave it out, or say: {}", Place(item, info.name, ""),
                  info.name, info.help);
    }
    if (value.text.empty()) {
      return Fail("--kv \"{}\": '{}' must be given: {}", item.name, info.name, info.help);
    }
    const std::string place = Place(item, info.name, value.text);
    if (info.kind == ParamKind::kText || (info.fallback == "auto" && value.text == "auto")) {
      // any text; what it means is the method's business
    } else if (info.kind == ParamKind::kBudget) {
      KV_ASSIGN_OR_RETURN(value.budget, ParseBudget(item, info.name, value.text));
    } else if (info.kind == ParamKind::kInteger || info.kind == ParamKind::kNumber) {
      const auto number = ParseNumber(value.text);
      if (!number) return Fail("{}: '{}' is not a number ({})", place, value.text, info.range);
      if (info.kind == ParamKind::kInteger && number->second) {  // "100%" is not 1
        return Fail("{}: a share, where a whole number is needed ({})", place, info.range);
      }
      value.number = number->first;
      if (info.kind == ParamKind::kInteger && value.number != std::floor(value.number)) {
        return Fail("{}: not a whole number ({})", place, info.range);
      }
      if (!InRange(value.number, info.range)) return Fail("{}: not in {}", place, info.range);
    } else if (info.kind == ParamKind::kFlag) {
      if (!IsWordOf(value.text, "true|false")) return Fail("{}: write true or false", place);
    } else if (!IsWordOf(value.text, info.range)) {
      return Fail("{}: not one of {}", place, info.range);
    }
    params.values_.emplace(info.name, std::move(value));
  }
  return params;
}

Budget Params::GetBudget(std::string_view name) const { return values_.find(name)->second.budget; }
int64_t Params::GetInt(std::string_view name) const {
  return static_cast<int64_t>(values_.find(name)->second.number);
}
double Params::GetNumber(std::string_view name) const { return values_.find(name)->second.number; }
std::string_view Params::GetWord(std::string_view name) const {
  return values_.find(name)->second.text;
}
bool Params::GetFlag(std::string_view name) const {
  return values_.find(name)->second.text == "true";
}
bool Params::Given(std::string_view name) const { return values_.find(name)->second.given; }

Status Params::Without(std::initializer_list<std::string_view> names, std::string_view why) const {
  for (std::string_view name : names) {
    if (!Given(name)) continue;
    return Fail("--kv \"{}:{}={}\": {}; leave {} out", method_, name,
                values_.find(name)->second.text, why, name);
  }
  return {};
}

}  // namespace kvasir
