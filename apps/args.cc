#include "args.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "methods/registry.h"

namespace kvasir::cli {

std::string EnvironmentName(const Flag& flag) {
  std::string name = "KVASIR_";
  for (const char c : flag.name) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

const Flag* FindFlag(const Command& command, std::string_view name) {
  for (const FlagGroup* group : command.groups) {
    for (const Flag& flag : group->flags) {
      if (flag.name == name) return &flag;
    }
  }
  return nullptr;
}

const Flag* FindFlag(const Command& command, char letter) {
  for (const FlagGroup* group : command.groups) {
    for (const Flag& flag : group->flags) {
      if (letter != 0 && flag.letter == letter) return &flag;
    }
  }
  return nullptr;
}

std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates,
                       std::string_view before) {
  const auto near = Nearest(word, candidates);
  return near ? fmt::format(" (did you mean '{}{}'?)", before, *near) : "";
}

Result<Args> Args::Parse(const Command& command, std::span<const std::string> words) {
  Args args;
  args.command_ = &command;
  KV_RETURN_IF_ERROR(args.ParseWords(words));
  if (args.On("help")) return args;  // whatever else is wrong
  for (const auto& [name, values] : args.values_) {
    for (const std::string& value : values) {
      KV_RETURN_IF_ERROR(CheckValue(*FindFlag(command, name), value, "--" + name));
    }
  }
  KV_RETURN_IF_ERROR(args.AddEnvironment());
  KV_RETURN_IF_ERROR(args.AddPreset());
  return args;
}

Status Args::ParseWords(std::span<const std::string> words) {
  bool flags_end = false;
  for (size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (!flags_end && word == "--") {
      flags_end = true;
    } else if (!flags_end && word.starts_with("--")) {
      KV_RETURN_IF_ERROR(ParseFlag(words, at));
    } else if (!flags_end && word.size() > 1 && word[0] == '-') {
      KV_RETURN_IF_ERROR(ParseLetter(words, at));
    } else if (!command_->operand.empty() &&
               (operands_.empty() || command_->operand.ends_with("..."))) {
      operands_.push_back(word);
    } else {
      const bool reads = FindFlag(*command_, 'p') != nullptr;
      return Fail("{}: what is '{}'? {}", command_->name, word,
                  reads ? "a text is given with -p TEXT, in quotes"
                        : fmt::format("see `kvasir {} --help`", command_->name));
    }
  }
  return {};
}

Status Args::ParseFlag(std::span<const std::string> words, size_t& at) {
  std::string_view word = std::string_view(words[at]).substr(2);
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const Flag* flag = FindFlag(*command_, name);
  if (flag == nullptr) {
    std::vector<std::string_view> names;
    for (const FlagGroup* group : command_->groups) {
      for (const Flag& each : group->flags) names.push_back(each.name);
    }
    const std::string near = DidYouMean(name, names, "--");
    return Fail("{}: there is no flag '--{}'{}", command_->name, name,
                near.empty() ? fmt::format("; see `kvasir {} --help`", command_->name) : near);
  }
  std::string value = "true";
  if (equals != std::string_view::npos) {
    value = word.substr(equals + 1);
  } else if (TakesValue(*flag)) {
    if (at + 1 == words.size()) return Fail("--{} needs a value: --{} {}", name, name, flag->value);
    value = words[++at];
  }
  typed_.emplace(name);
  std::vector<std::string>& values = values_[std::string(name)];
  if (!flag->repeats) values.clear();  // the last one counts
  values.push_back(std::move(value));
  return {};
}

Status Args::ParseLetter(std::span<const std::string> words, size_t& at) {
  const std::string& word = words[at];
  const Flag* flag = FindFlag(*command_, word[1]);
  if (flag == nullptr) {
    return Fail("{}: there is no flag '-{}'; see `kvasir {} --help`", command_->name, word[1],
                command_->name);
  }
  typed_.emplace(flag->name);
  std::vector<std::string>& values = values_[std::string(flag->name)];
  if (!flag->repeats) values.clear();
  if (!TakesValue(*flag)) {
    if (word.size() > 2) return Fail("-{} takes no value, so '{}' is not a flag", word[1], word);
    values.push_back("true");
  } else if (word.size() > 2) {
    values.push_back(word.substr(2));
  } else if (at + 1 < words.size()) {
    values.push_back(words[++at]);
  } else {
    return Fail("-{} needs a value: -{} {}", word[1], word[1], flag->value);
  }
  return {};
}

Status Args::AddEnvironment() {
  for (const FlagGroup* group : command_->groups) {
    for (const Flag& flag : group->flags) {
      if (flag.name == "help" || values_.contains(flag.name)) continue;
      const std::string name = EnvironmentName(flag);
      const char* value = std::getenv(name.c_str());
      if (value == nullptr || *value == '\0') continue;
      KV_RETURN_IF_ERROR(CheckValue(flag, value, name));
      values_[std::string(flag.name)] = {value};
    }
  }
  return {};
}

Status Args::AddPreset() {
  if (!Given("preset")) return {};
  const std::string path = Text("preset");
  KV_ASSIGN_OR_RETURN(Values preset, ReadPreset(*command_, path));
  for (auto& [name, values] : preset) {
    for (const std::string& value : values) {
      KV_RETURN_IF_ERROR(
          CheckValue(*FindFlag(*command_, name), value, fmt::format("{}: {}", path, name)));
    }
    values_.try_emplace(name, std::move(values));
  }
  return {};
}

const std::vector<std::string>& Args::ValuesOf(std::string_view name) const {
  static const std::vector<std::string> kNone;
  KV_CHECK(FindFlag(*command_, name) != nullptr);
  const auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

bool Args::Given(std::string_view name) const { return !ValuesOf(name).empty(); }

bool Args::On(std::string_view name) const {
  const std::string value = Text(name);
  return value == "true" || value == "1" || value == "yes" || value == "on";
}

std::string Args::Text(std::string_view name) const {
  const std::vector<std::string>& values = ValuesOf(name);
  return values.empty() ? std::string(FindFlag(*command_, name)->fallback) : values.back();
}

const std::vector<std::string>& Args::Texts(std::string_view name) const { return ValuesOf(name); }

int64_t Args::Int(std::string_view name, int64_t otherwise) const {
  return ParseInteger(Text(name)).value_or(otherwise);
}

double Args::Number(std::string_view name) const { return ParseNumber(Text(name)).value_or(0); }

int64_t Args::Bytes(std::string_view name) const { return ParseBytes(Text(name)).value_or(0); }

std::vector<int64_t> Args::Ints(std::string_view name) const {
  std::vector<int64_t> values;
  const std::string text = Text(name);
  for (std::string_view left = text; !left.empty();) {
    const size_t comma = left.find(',');
    if (const auto value = ParseInteger(left.substr(0, comma))) values.push_back(*value);
    left.remove_prefix(comma == std::string_view::npos ? left.size() : comma + 1);
  }
  return values;
}

std::vector<int32_t> Args::Tokens(std::string_view name) const {
  const std::vector<int64_t> values = Ints(name);
  return {values.begin(), values.end()};
}

}  // namespace kvasir::cli
