// Args: the values of a command's flags, checked. The command line beats the environment, which
// beats the preset, which beats the default.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flag.h"

namespace kvasir::cli {

class Args {
 public:
  // Everything after the command's name. An error is wrong usage.
  static Result<Args> Parse(const Command& command, std::span<const std::string> words);

  const Command& command() const { return *command_; }
  const std::vector<std::string>& operands() const { return operands_; }

  // REQUIRES for all: the command has the flag, and it is of that kind.
  bool Given(std::string_view name) const;  // not the default
  bool OnCommandLine(std::string_view name) const { return typed_.contains(name); }
  bool On(std::string_view name) const;
  std::string Text(std::string_view name) const;  // the last one given, or the default
  const std::vector<std::string>& Texts(std::string_view name) const;
  int64_t Int(std::string_view name, int64_t otherwise = 0) const;  // otherwise: no default either
  double Number(std::string_view name) const;
  int64_t Bytes(std::string_view name) const;  // 0: not given
  std::vector<int64_t> Ints(std::string_view name) const;
  std::vector<int32_t> Tokens(std::string_view name) const;

 private:
  using Values = std::map<std::string, std::vector<std::string>, std::less<>>;
  Status ParseWords(std::span<const std::string> words);
  Status ParseFlag(std::span<const std::string> words, size_t& at);
  Status ParseLetter(std::span<const std::string> words, size_t& at);
  Status AddEnvironment();
  Status AddPreset();
  const std::vector<std::string>& ValuesOf(std::string_view name) const;

  const Command* command_ = nullptr;
  std::vector<std::string> operands_;
  Values values_;
  std::set<std::string, std::less<>> typed_;  // flags that the command line has
};

// A value against its flag's kind and range; `place` ("--temp", "KVASIR_TEMP") goes in front of the
// error.
Status CheckValue(const Flag& flag, std::string_view value, std::string_view place);

// Values by flag name from a TOML file: keys at the top, and those of a table named as the command,
// which win. An error names what no command knows.
Result<std::map<std::string, std::vector<std::string>, std::less<>>> ReadPreset(
    const Command& command, const std::string& path);

// ", did you mean '--temp'?" or nothing.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates,
                       std::string_view before = "");

// "8k" is 8192; nullopt: no such number, or beyond int64.
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseNumber(std::string_view text);
std::optional<int64_t> ParseBytes(std::string_view text);

}  // namespace kvasir::cli
