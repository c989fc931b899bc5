#include "help.h"

#include <algorithm>

namespace kvasir::cli {
namespace {

constexpr size_t kWidth = 96;       // characters a line
constexpr size_t kHelpColumn = 30;  // where the explanation of a flag begins

std::string FlagHead(const Flag& flag) {
  std::string head = flag.letter != 0 ? fmt::format("  -{}, --{}", flag.letter, flag.name)
                                      : fmt::format("      --{}", flag.name);
  if (TakesValue(flag)) head += fmt::format(" {}", flag.value);
  return head;
}

std::string FlagText(const Flag& flag) {
  std::string text(flag.help);
  if (flag.kind == FlagKind::kWord) {
    text += ": ";
    for (const char c : flag.range) text += c == '|' ? std::string(", ") : std::string(1, c);
  }
  if (!flag.fallback.empty()) text += fmt::format(" [{}]", flag.fallback);
  return text;
}

void AppendFlag(const Flag& flag, std::string& page) {
  const std::string head = FlagHead(flag);
  const std::string text = Wrap(FlagText(flag), kWidth - kHelpColumn, kHelpColumn);
  if (head.size() + 2 <= kHelpColumn) {
    page += head + text.substr(head.size());
  } else {
    page += head + "\n" + text;
  }
}

}  // namespace

std::string Wrap(std::string_view text, size_t width, size_t indent) {
  const std::string margin(indent, ' ');
  std::string out;
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    while (line.size() > width && !line.starts_with(' ')) {
      size_t cut = line.rfind(' ', width);
      if (cut == std::string_view::npos || cut == 0) cut = line.find(' ', width);
      if (cut == std::string_view::npos) break;
      out += margin;
      out += line.substr(0, cut);
      out += '\n';
      line.remove_prefix(cut + 1);
    }
    if (!line.empty()) out += margin;
    out += line;
    out += '\n';
  }
  return out;
}

std::string HelpOverview() {
  std::string page =
      "kvasir runs language models with a programmable KV cache.\n\n"
      "Usage: kvasir COMMAND [flags]\n\nCommands:\n";
  for (const Command& command : Commands()) {
    page += fmt::format("  {:<12}{}\n", command.name, command.summary);
  }
  page +=
      "\n`kvasir COMMAND --help` explains a command: its flags, defaults, units, an example.\n"
      "`kvasir --version` says what this build can do.\n\n"
      "Start here:\n"
      "  make model                                  # installs the default model, once\n"
      "  kvasir run -p \"Why is the sky blue?\"\n"
      "  kvasir run -f book.txt -p \"Who is the narrator?\" --kv \"snapkv:budget=1024\"\n";
  return page;
}

std::string HelpPage(const Command& command) {
  std::string page = fmt::format("kvasir {}: {}\n\nUsage: kvasir {}{}{} [flags]\n\n", command.name,
                                 command.summary, command.name, command.operand.empty() ? "" : " ",
                                 command.operand);
  page += Wrap(command.about, kWidth, 0);
  for (const FlagGroup* group : command.groups) {
    page += fmt::format("\n{}:\n", group->title);
    for (const Flag& flag : group->flags) AppendFlag(flag, page);
  }
  page += fmt::format("\nExample:\n{}", Wrap(command.example, kWidth, 2));
  page += Wrap(
      "\nIn brackets: the default. Every flag has an environment twin (--log-level is "
      "KVASIR_LOG_LEVEL) and may stand in a --preset file. The command line beats the environment, "
      "which beats the preset. Whole numbers may end in k (1024).",
      kWidth, 0);
  return page;
}

}  // namespace kvasir::cli
