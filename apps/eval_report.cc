// kvasir report: tables and the page, from result files of kvasir eval.
#include "commands.h"
#include "context.h"
#include "eval/report.h"
#include "eval/task.h"
#include "eval_output.h"

namespace kvasir::cli {

Result<int> ReportCommand(Context& context) {
  const Args& args = context.args;
  if (args.operands().empty()) {
    return WrongUsage(context,
                      "nothing to do: name a result file, as `kvasir eval --out` makes it");
  }
  KV_RETURN_IF_ERROR(CheckEvalOutputs(args));
  eval::Report report;
  for (const std::string& path : args.operands()) {
    KV_ASSIGN_OR_RETURN(std::string text, eval::ReadWholeFile(path));
    const size_t whole = text.rfind('\n') + 1;  // 0 where there is no line
    if (whole < text.size()) {
      context.console.Warn(fmt::format("{}: its last line is cut off and left out", path));
      text.resize(whole);
    }
    KV_RETURN_IF_ERROR(report.Add(text, path));
  }
  if (report.samples().empty()) return Fail("{}: no samples in it", args.operands()[0]);
  const eval::Summary summary = report.Rows();
  KV_RETURN_IF_ERROR(
      WriteEvalOutputs(args, summary, [&]() -> Result<std::string> { return report.Html(); }));
  if (context.console.json()) {
    context.console.WriteJson({{"runs", report.runs()}, {"rows", eval::SummaryJson(summary)}});
  } else {
    context.console.Write(eval::SummaryText(summary));
  }
  for (const eval::Report::Note& note : report.Notes()) {
    if (note.is_bad) context.console.Warn(note.text);
  }
  return kExitDone;
}

}  // namespace kvasir::cli
