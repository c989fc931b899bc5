// Checks of flag values: what each kind looks like in text.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "args.h"
#include "methods/registry.h"

namespace kvasir::cli {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

std::string_view TrimSpaces(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

// `value` in "low..high"; an empty end is open.
bool InRange(double value, std::string_view range) {
  const size_t dots = range.find("..");
  if (dots == std::string_view::npos) return true;
  const auto low = ParseNumber(range.substr(0, dots)), high = ParseNumber(range.substr(dots + 2));
  return (!low || value >= *low) && (!high || value <= *high);
}

// What our integers hold at most: told where it matters.
constexpr std::string_view kMostOrders = "2147483647";

std::string RangeText(std::string_view range, double value = 0) {
  const size_t dots = range.find("..");
  if (dots == std::string_view::npos) return "";
  const std::string_view low = range.substr(0, dots), high = range.substr(dots + 2);
  const bool open = high.empty() || (high == kMostOrders && value <= *ParseNumber(high));
  if (open) return fmt::format(" of at least {}", low);
  return low == high ? fmt::format(" {}", low) : fmt::format(" from {} to {}", low, high);
}

std::vector<std::string_view> Words(std::string_view choices) {
  std::vector<std::string_view> words;
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    words.push_back(choices.substr(0, bar));
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return words;
}

Status CheckWord(std::string_view choices, std::string_view value, std::string_view place) {
  const std::vector<std::string_view> words = Words(choices);
  if (std::find(words.begin(), words.end(), value) != words.end()) return {};
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return Fail("{} {}: write {}", place, value, list);
}

Status CheckInteger(const Flag& flag, std::string_view value, std::string_view place) {
  const auto number = ParseInteger(value);
  if (number && InRange(static_cast<double>(*number), flag.range)) return {};
  return Fail("{} {}: write a whole number{}", place, value,
              RangeText(flag.range, static_cast<double>(number.value_or(0))));
}

Status CheckList(const Flag& flag, std::string_view value, std::string_view place) {
  std::string_view left = value;
  while (true) {
    const size_t comma = left.find(',');
    const std::string_view part = left.substr(0, comma);
    const auto number = ParseInteger(part);
    if (!number) return Fail("{}: '{}' is not a whole number; write 1,2,3", place, part);
    if (flag.kind == FlagKind::kTokens) {
      if (*number < 0 || *number > std::numeric_limits<int32_t>::max()) {
        return Fail("{}: {} is not a token id", place, part);
      }
    } else if (!InRange(static_cast<double>(*number), flag.range)) {
      return Fail("{} {}: write whole numbers{}", place, part, RangeText(flag.range));
    }
    if (comma == std::string_view::npos) return {};
    left.remove_prefix(comma + 1);
  }
}

Status CheckSpecs(std::string_view value) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> specs, SplitSpecs(value));
  for (const std::string& spec : specs) KV_RETURN_IF_ERROR(Program::Build(spec));
  return {};
}

}  // namespace

std::optional<int64_t> ParseInteger(std::string_view text) {
  text = TrimSpaces(text);
  int64_t scale = 1;
  if (text.ends_with('k') || text.ends_with('K')) {
    scale = 1024;
    text.remove_suffix(1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value > kMost / scale || value < -(kMost / scale)) return std::nullopt;
  return value * scale;
}

std::optional<double> ParseNumber(std::string_view text) {
  text = TrimSpaces(text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<int64_t> ParseBytes(std::string_view text) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr Unit kUnits[] = {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0},
                             {"kB", 1e3},     {"MB", 1e6},        {"GB", 1e9},
                             {"B", 1.0}};
  text = TrimSpaces(text);
  double scale = 1;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    scale = unit.bytes;
    text.remove_suffix(unit.name.size());
    break;
  }
  const auto number = ParseNumber(text);
  if (!number || *number <= 0 || *number * scale >= 9e18) return std::nullopt;
  return static_cast<int64_t>(*number * scale);
}

Status CheckValue(const Flag& flag, std::string_view value, std::string_view place) {
  switch (flag.kind) {
    case FlagKind::kSwitch:
      return CheckWord("true|false|1|0|yes|no|on|off", value, place);
    case FlagKind::kText:
      return {};
    case FlagKind::kPath:
      if (value.empty()) return Fail("{}: the path is empty", place);
      return {};
    case FlagKind::kInteger:
      return CheckInteger(flag, value, place);
    case FlagKind::kIntegers:
    case FlagKind::kTokens:
      return CheckList(flag, value, place);
    case FlagKind::kNumber: {
      const auto number = ParseNumber(value);
      if (number && InRange(*number, flag.range)) return {};
      return Fail("{} {}: write a number{}", place, value, RangeText(flag.range));
    }
    case FlagKind::kBytes:
      if (ParseBytes(value)) return {};
      return Fail("{} {}: write a size such as 512MiB or 4GiB", place, value);
    case FlagKind::kWord:
      return CheckWord(flag.range, value, place);
    case FlagKind::kSpec:
      KV_RETURN_IF_ERROR(Program::Build(value));
      return {};
    case FlagKind::kSpecs:
      return CheckSpecs(value);
  }
  return {};
}

}  // namespace kvasir::cli
