// The commands: one function, one file each; command_table.cc lists them.
#pragma once

#include "base/result.h"

namespace kvasir::cli {

struct Context;

Result<int> RunCommand(Context& context);
Result<int> ChatCommand(Context& context);
Result<int> ScoreCommand(Context& context);
Result<int> TokenizeCommand(Context& context);
Result<int> TemplateCommand(Context& context);
Result<int> InspectCommand(Context& context);
Result<int> MethodsCommand(Context& context);
Result<int> BenchCommand(Context& context);
Result<int> EvalCommand(Context& context);
Result<int> ReportCommand(Context& context);
Result<int> ServeCommand(Context& context);
Result<int> CompletionCommand(Context& context);
Result<int> ManCommand(Context& context);
Result<int> HelpCommand(Context& context);

}  // namespace kvasir::cli
