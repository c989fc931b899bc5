// kvasir inspect: which of its parts is asked for.
#include "inspect.h"

#include "commands.h"

namespace kvasir::cli {

Result<int> InspectCommand(Context& context) {
  const Args& args = context.args;
  // The environment's or a preset's model is what the operand stands before; two typed ones are a
  // mistake.
  if (!args.operands().empty() && args.OnCommandLine("model")) {
    return WrongUsage(context, "one model: {} or -m {}", args.operands()[0], args.Text("model"));
  }
  const bool prompt = args.Given("prompt") || args.Given("file") || args.Given("ids");
  if (prompt + args.Given("tensor") + args.On("list") + args.Given("find-heads") > 1) {
    return WrongUsage(context,
                      "one at a time: a prompt, --tensor NAME, --list or --find-heads OUT");
  }
  if (!prompt && args.Given("map")) {
    return WrongUsage(context, "--map draws what a cache holds of a prompt: give -p, -f or --ids");
  }
  if (!args.Given("tensor") && args.On("values")) {
    return WrongUsage(context, "--values needs --tensor NAME");
  }
  if (!args.Given("find-heads") && args.Given("probe")) {
    return WrongUsage(context, "--probe needs --find-heads OUT");
  }
  if (prompt && !PromptProblem(args).empty()) {
    return WrongUsage(context, "{}", PromptProblem(args));
  }
  if (args.Given("map") && !args.Text("map").ends_with(".png") &&
      !args.Text("map").ends_with(".html")) {
    return WrongUsage(context, "--map {}: the name ends in .png or .html", args.Text("map"));
  }
  if (args.Given("tensor")) return InspectTensor(context);
  if (args.On("list")) return InspectTensors(context);
  if (args.Given("find-heads")) return InspectHeads(context);
  return prompt ? InspectCache(context) : InspectModel(context);
}

}  // namespace kvasir::cli
