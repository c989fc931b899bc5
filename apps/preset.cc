// Flags from a TOML file:
//   threads = 2
//   stop = ["\n\n", "User:"]
//   [run]
//   temp = 0.7
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>

#include "context.h"

namespace kvasir::cli {
namespace {

using Values = std::map<std::string, std::vector<std::string>, std::less<>>;

// A scalar as one would write it on the command line.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::vector<std::string_view> AllFlagNames() {
  std::vector<std::string_view> names;
  for (const Command& command : Commands()) {
    for (const FlagGroup* group : command.groups) {
      for (const Flag& flag : group->flags) names.push_back(flag.name);
    }
  }
  return names;
}

Result<std::vector<std::string>> NodeTexts(const Flag& flag, const toml::node& node,
                                           const std::string& place) {
  if (const auto text = ScalarText(node)) return std::vector{*text};
  const toml::array* array = node.as_array();
  if (array == nullptr) return Fail("{}: write a text, a number, true, false or a list", place);
  std::vector<std::string> texts;
  for (const toml::node& element : *array) {
    const auto text = ScalarText(element);
    if (!text) return Fail("{}: a list holds texts or numbers", place);
    texts.push_back(*text);
  }
  if (flag.repeats) return texts;
  std::string joined;  // 512,2048
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ",") + text;
  return std::vector{joined};
}

// The keys of one table; those that only other commands know are skipped.
Status AddTable(const Command& command, const toml::table& table, const std::string& path,
                Values& values) {
  const std::vector<std::string_view> known = AllFlagNames();
  for (const auto& [key, node] : table) {
    if (node.is_table()) continue;
    const std::string name(key.str());
    const std::string place = fmt::format("{}: {}", path, name);
    if (name == "preset" || name == "help") return Fail("{}: not in a preset", place);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Fail("{}: there is no such flag{}", place, DidYouMean(name, known));
    }
    const Flag* flag = FindFlag(command, name);
    if (flag == nullptr) continue;
    KV_ASSIGN_OR_RETURN(values[name], NodeTexts(*flag, node, place));
  }
  return {};
}

}  // namespace

Result<Values> ReadPreset(const Command& command, const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Fail("--preset {}: line {}: {}", path, error.source().begin.line, error.description());
  }
  const toml::table& root = parsed.table();
  Values values;
  for (const auto& [key, node] : root) {
    if (node.is_table() && FindCommand(key.str()) == nullptr) {
      return Fail("{}: [{}] is not a command", path, key.str());
    }
  }
  KV_RETURN_IF_ERROR(AddTable(command, root, path, values));
  if (const toml::table* own = root[command.name].as_table()) {
    KV_RETURN_IF_ERROR(AddTable(command, *own, path, values));
  }
  return values;
}

}  // namespace kvasir::cli
