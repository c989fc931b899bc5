// Flag and Command: the one table from which come parsing, environment twins, presets, --help,
// shell completion and the man page. Adding a flag is adding a line to flag_table.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir::cli {

enum class FlagKind : uint8_t {
  kSwitch,    // takes no value
  kText,      // anything
  kPath,      // a file or folder
  kInteger,   // in `range`
  kIntegers,  // "512,2048,8k"
  kTokens,    // token ids: "1,2,3"
  kNumber,    // in `range`
  kBytes,     // "512MiB", "4GiB"
  kWord,      // one of `range`: "cpu|cuda"
  kSpec,      // a --kv spec
  kSpecs,     // several, separated by ';'
};

struct Flag {
  std::string_view name;  // without the dashes
  char letter;            // short form; 0: none
  FlagKind kind;
  std::string_view value;     // what --help calls the value
  std::string_view fallback;  // as one would write it; empty: `help` says what happens
  std::string_view range;     // "0..", "0..1", "a|b|c"
  std::string_view help;      // one line, with the unit
  bool repeats = false;       // may be given several times
};

struct FlagGroup {
  std::string_view title;
  std::span<const Flag> flags;
};

struct Context;  // context.h

struct Command {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view operand;  // "MODEL", "[NAME]", "FILE..." (several); empty: takes none
  std::string_view about;    // a paragraph or two for --help
  std::string_view example;  // lines that work as they stand
  std::span<const FlagGroup* const> groups;
  Result<int> (*run)(Context&);
};

std::span<const Command> Commands();
const Command* FindCommand(std::string_view name);  // null: none
const Flag* FindFlag(const Command& command, std::string_view name);
const Flag* FindFlag(const Command& command, char letter);

// "top-k" -> "KVASIR_TOP_K"
std::string EnvironmentName(const Flag& flag);
// "TEXT" in "--prompt TEXT"; empty for a switch.
inline bool TakesValue(const Flag& flag) { return flag.kind != FlagKind::kSwitch; }

// Groups of flags that several commands share.
extern const FlagGroup kPromptFlags, kSamplingFlags, kCacheFlags, kModelFlags, kOutputFlags;
// Flags of one command.
extern const FlagGroup kScoreFlags, kTokenizeFlags, kTemplateFlags, kInspectFlags, kMethodsFlags,
    kBenchFlags, kBenchCacheFlags, kEvalFlags, kEvalCacheFlags, kReportFlags, kServeFlags,
    kServeCacheFlags, kBenchServerFlags, kChatFlags, kAnswerFlags, kTextFlags, kScoreInputFlags,
    kTokenizerModelFlags;

}  // namespace kvasir::cli
