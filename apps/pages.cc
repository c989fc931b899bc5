// kvasir help, completion, man.
#include "commands.h"
#include "context.h"
#include "help.h"

namespace kvasir::cli {

Result<int> HelpCommand(Context& context) {
  if (context.args.operands().empty()) {
    context.console.Write(HelpOverview());
    return kExitDone;
  }
  const std::string& name = context.args.operands()[0];
  const Command* command = FindCommand(name);
  if (command == nullptr) {
    std::vector<std::string_view> names;
    for (const Command& each : Commands()) names.push_back(each.name);
    return WrongUsage(context, "there is no command '{}'{}", name, DidYouMean(name, names));
  }
  context.console.Write(HelpPage(*command));
  return kExitDone;
}

Result<int> CompletionCommand(Context& context) {
  constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};
  const std::string shell = context.args.operands().empty() ? "" : context.args.operands()[0];
  if (std::find(kShells, std::end(kShells), shell) == std::end(kShells)) {
    return WrongUsage(context, "which shell? bash, zsh or fish");
  }
  context.console.Write(CompletionScript(shell));
  return kExitDone;
}

Result<int> ManCommand(Context& context) {
  context.console.Write(ManPage());
  return kExitDone;
}

}  // namespace kvasir::cli
