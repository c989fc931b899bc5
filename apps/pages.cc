// kvasir help, completion, man.
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "help.h"

namespace kvasir::cli {
namespace {

int Show(Context& context, const std::string& page) {
  if (context.console.json()) {
    context.console.WriteJson({{"text", page}});
  } else {
    context.console.Write(page);
  }
  return kExitDone;
}

}  // namespace

Result<int> HelpCommand(Context& context) {
  if (context.args.operands().empty()) return Show(context, HelpOverview());
  const std::string& name = context.args.operands()[0];
  const Command* command = FindCommand(name);
  if (command == nullptr) {
    std::vector<std::string_view> names;
    for (const Command& each : Commands()) names.push_back(each.name);
    return WrongUsage(context, "there is no command '{}'{}", name, DidYouMean(name, names));
  }
  return Show(context, HelpPage(*command));
}

Result<int> CompletionCommand(Context& context) {
  constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};
  const std::string shell = context.args.operands().empty() ? "" : context.args.operands()[0];
  if (std::find(kShells, std::end(kShells), shell) == std::end(kShells)) {
    return WrongUsage(context, "which shell? bash, zsh or fish");
  }
  return Show(context, CompletionScript(shell));
}

Result<int> ManCommand(Context& context) { return Show(context, ManPage()); }

}  // namespace kvasir::cli
