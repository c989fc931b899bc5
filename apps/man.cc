#include "help.h"
#include "version.h"

namespace kvasir::cli {
namespace {

// Text for roff: backslashes and dashes are escaped, and no line begins a request by accident.
std::string Roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

void AppendExample(std::string_view text, std::string& page) {
  page += fmt::format(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", Roff(text));
}

void AppendManFlag(const Flag& flag, std::string& page) {
  std::string head = ".TP\n";
  if (flag.letter != 0) head += fmt::format("\\fB\\-{}\\fR, ", flag.letter);
  head += fmt::format("\\fB{}\\fR", Roff(fmt::format("--{}", flag.name)));
  if (TakesValue(flag)) head += fmt::format(" \\fI{}\\fR", Roff(flag.value));
  page += fmt::format("{}\n{}", head, Roff(flag.help));
  if (flag.kind == FlagKind::kWord) page += fmt::format(" ({})", Roff(flag.range));
  if (!flag.fallback.empty()) page += fmt::format(" [{}]", Roff(flag.fallback));
  page += ".\n";
}

void AppendCommand(const Command& command, std::string& page) {
  page += fmt::format(".SS \"kvasir {}{}{}\"\n{}.\n.PP\n{}\n", command.name,
                      command.operand.empty() ? "" : " ", command.operand, Roff(command.summary),
                      Roff(command.about));
  for (const FlagGroup* group : command.groups) {
    if (group == &kOutputFlags) continue;  // told once, at the end
    for (const Flag& flag : group->flags) AppendManFlag(flag, page);
  }
  AppendExample(command.example, page);
}

}  // namespace

std::string ManPage() {
  std::string page = fmt::format(
      ".\\\" Made by `kvasir man` from its flag table.\n"
      ".TH KVASIR 1 \"\" \"kvasir {}\" \"User commands\"\n"
      ".SH NAME\nkvasir \\- run language models with a programmable KV cache\n"
      ".SH SYNOPSIS\n.B kvasir\n.I command\n[flags]\n"
      ".SH DESCRIPTION\n"
      "Kvasir runs language models from GGUF files and Hugging Face folders on the CPU. What its\n"
      "KV cache keeps, reads and how it stores it is named on the command line\n"
      "(\\fB\\-\\-kv\\fR \\fISPEC\\fR) and stacked from methods of the literature.\n"
      "Standard output carries the result alone; progress, warnings and statistics go to standard\n"
      "error.\n.SH COMMANDS\n",
      kVersion);
  for (const Command& command : Commands()) AppendCommand(command, page);
  page += ".SS \"Flags of every command\"\n";
  for (const Flag& flag : kOutputFlags.flags) AppendManFlag(flag, page);
  page +=
      ".SH SPECS\nA spec stacks methods with +; a method takes parameters after a colon:\n"
      ".PP\n.RS 4\n.nf\n"
      "snapkv:budget=1024\nrenumber + streaming:budget=20%,sinks=4\n.fi\n.RE\n.PP\n"
      "A wrapper changes the method after it. Several specs are separated by a semicolon. k is\n"
      "1024. \\fBkvasir methods \\-\\-explain\\fR \\fISPEC\\fR shows how a spec is read.\n"
      ".SH ENVIRONMENT\n"
      "Every flag has a twin: \\fB\\-\\-log\\-level\\fR is KVASIR_LOG_LEVEL. The command line "
      "beats\n"
      "the environment, which beats a preset file. A flag that may be repeated takes one value.\n"
      ".TP\nKVASIR_MODEL\nThe model where \\fB\\-m\\fR is left out.\n"
      ".TP\nNO_COLOR\nNo colours on the terminal.\n"
      ".TP\nXDG_CACHE_HOME, XDG_STATE_HOME\nWhere models and the history of chats are kept.\n"
      ".SH FILES\n.TP\n~/.cache/kvasir/models\nThe default model, installed by `make model`.\n"
      ".TP\n~/.local/state/kvasir/history\nWhat was typed in chats.\n"
      ".SH EXIT STATUS\n"
      ".TP\n0\nDone.\n.TP\n1\nThe work failed; one line on standard error says why.\n"
      ".TP\n2\nWrong usage.\n.TP\n130\nStopped by Ctrl\\-C; what was made so far has been "
      "printed.\n";
  return page;
}

}  // namespace kvasir::cli
