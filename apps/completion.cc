#include <algorithm>

#include "help.h"
#include "methods/registry.h"

namespace kvasir::cli {
namespace {

std::string CommandNames() {
  std::string names;
  for (const Command& command : Commands()) {
    if (!names.empty()) names += ' ';
    names += command.name;
  }
  return names;
}

std::string MethodNames() {
  std::string names;
  for (const MethodInfo* method : AllMethods()) {
    if (!names.empty()) names += ' ';
    names += method->name;
  }
  return names;
}

// The words that a flag's value can be; empty: no list.
std::string ValueWords(const Flag& flag) {
  if (flag.kind == FlagKind::kSpec || flag.kind == FlagKind::kSpecs) return MethodNames();
  if (flag.kind != FlagKind::kWord) return "";
  std::string words(flag.range);
  std::replace(words.begin(), words.end(), '|', ' ');
  return words;
}

bool OperandIsPath(const Command& command) {
  return command.operand == "[MODEL]" || command.operand == "RESULTS...";
}

std::string OperandWords(const Command& command) {
  if (command.name == "methods") return MethodNames();
  if (command.name == "help") return CommandNames();
  return command.name == "completion" ? "bash zsh fish" : "";
}

// Quoted for a shell's single quotes (zsh) or fish's.
std::string Quoted(std::string_view text, std::string_view quote) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += quote;
    } else {
      out += c;
    }
  }
  return out;
}

std::string BashValueCase(const Flag& flag) {
  const std::string letter = flag.letter != 0 ? fmt::format("|-{}", flag.letter) : "";
  if (flag.kind == FlagKind::kPath) {
    return fmt::format(
        "      --{}{}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); "
        "return ;;\n",
        flag.name, letter);
  }
  return fmt::format("      --{}{}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); return ;;\n",
                     flag.name, letter, ValueWords(flag));
}

std::string Bash() {
  std::string script = fmt::format(
      "# bash completion for kvasir: source <(kvasir completion bash)\n"
      "_kvasir() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W \"{} --help --version\" -- \"$word\"))\n    return\n  fi\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n",
      CommandNames());
  for (const Command& command : Commands()) {
    std::string cases, words;
    for (const FlagGroup* group : command.groups) {
      for (const Flag& flag : group->flags) {
        words += fmt::format("{}--{}", words.empty() ? "" : " ", flag.name);
        if (TakesValue(flag)) cases += BashValueCase(flag);
      }
    }
    script += fmt::format("  {})\n    case \"$before\" in\n{}    esac\n", command.name, cases);
    if (OperandIsPath(command)) {
      script +=
          "    if [[ $word != -* ]]; then compopt -o filenames; "
          "COMPREPLY=($(compgen -f -- \"$word\")); return; fi\n";
    }
    const std::string operands = OperandWords(command);
    script += fmt::format("    COMPREPLY=($(compgen -W \"{}{}{}\" -- \"$word\")) ;;\n", operands,
                          operands.empty() ? "" : " ", words);
  }
  return script + "  esac\n}\ncomplete -F _kvasir kvasir\n";
}

// '--top-k=[help]:N:(words)'
std::string ZshFlag(const Flag& flag, std::string_view spelling) {
  std::string help;
  for (const char c : Quoted(flag.help, "'\\''")) {
    if (c == '[' || c == ']' || c == ':') help += '\\';
    help += c;
  }
  std::string action;
  if (TakesValue(flag)) {
    const std::string words = ValueWords(flag);
    action = fmt::format(":{}:{}", flag.value,
                         flag.kind == FlagKind::kPath ? "_files"
                         : words.empty()              ? ""
                                                      : fmt::format("({})", words));
    std::replace(action.begin() + 1, action.begin() + 1 + flag.value.size(), ':', ' ');
  }
  return fmt::format(" \\\n        '{}{}[{}]{}'", flag.repeats ? "*" : "", spelling, help, action);
}

std::string Zsh() {
  std::string script = "#compdef kvasir\n_kvasir() {\n  local -a commands=(\n";
  for (const Command& command : Commands()) {
    script += fmt::format("    '{}:{}'\n", command.name, Quoted(command.summary, "'\\''"));
  }
  script +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
      "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const Command& command : Commands()) {
    script += fmt::format("    {})\n      _arguments", command.name);
    for (const FlagGroup* group : command.groups) {
      for (const Flag& flag : group->flags) {
        script += ZshFlag(flag, fmt::format("--{}{}", flag.name, TakesValue(flag) ? "=" : ""));
        if (flag.letter != 0) script += ZshFlag(flag, fmt::format("-{}", flag.letter));
      }
    }
    const std::string operands = OperandWords(command);
    if (!operands.empty()) script += fmt::format(" \\\n        '1:{}:({})'", "name", operands);
    if (OperandIsPath(command)) {
      const bool several = command.operand.ends_with("...");
      script += fmt::format(" \\\n        '{}:file:_files'", several ? "*" : "1");
    }
    script += " ;;\n";
  }
  return script + "  esac\n}\n_kvasir \"$@\"\n";
}

std::string Fish() {
  std::string script =
      "# fish completion for kvasir: kvasir completion fish | source\n"
      "complete -c kvasir -f\n";
  for (const Command& command : Commands()) {
    script += fmt::format("complete -c kvasir -n __fish_use_subcommand -a {} -d '{}'\n",
                          command.name, Quoted(command.summary, "\\'"));
    const std::string seen = fmt::format("-n '__fish_seen_subcommand_from {}'", command.name);
    for (const FlagGroup* group : command.groups) {
      for (const Flag& flag : group->flags) {
        script += fmt::format("complete -c kvasir {} -l {}", seen, flag.name);
        if (flag.letter != 0) script += fmt::format(" -s {}", flag.letter);
        if (flag.kind == FlagKind::kPath) {
          script += " -r -F";
        } else if (TakesValue(flag)) {
          script += " -x";
          const std::string words = ValueWords(flag);
          if (!words.empty()) script += fmt::format(" -a '{}'", words);
        }
        script += fmt::format(" -d '{}'\n", Quoted(flag.help, "\\'"));
      }
    }
    const std::string operands = OperandWords(command);
    if (!operands.empty()) script += fmt::format("complete -c kvasir {} -a '{}'\n", seen, operands);
    if (OperandIsPath(command)) script += fmt::format("complete -c kvasir {} -F\n", seen);
  }
  return script;
}

}  // namespace

std::string CompletionScript(std::string_view shell) {
  if (shell == "zsh") return Zsh();
  if (shell == "fish") return Fish();
  return Bash();
}

}  // namespace kvasir::cli
