#include "eval_output.h"

#include <unistd.h>

#include <filesystem>

#include "base/replaceable.h"
#include "whole_file.h"

namespace kvasir::cli {
namespace {

Status CheckWritable(const std::string& path) {
  KV_RETURN_IF_ERROR(CheckReplaceable(path));
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return Fail("{}: nothing can be written into {}", path, folder);
  }
  return {};
}

}  // namespace

Status CheckEvalOutputs(const Args& args) {
  for (const char* name : {"csv", "markdown", "report"}) {
    if (args.Given(name)) KV_RETURN_IF_ERROR(CheckWritable(args.Text(name)));
  }
  return {};
}

Status WriteEvalOutputs(const Args& args, const eval::Summary& summary,
                        const std::function<Result<std::string>()>& page) {
  if (args.Given("csv")) {
    KV_RETURN_IF_ERROR(WriteWhole(args.Text("csv"), eval::SummaryCsv(summary)));
  }
  if (args.Given("markdown")) {
    KV_RETURN_IF_ERROR(WriteWhole(args.Text("markdown"), eval::SummaryMarkdown(summary)));
  }
  if (args.Given("report")) {
    KV_ASSIGN_OR_RETURN(const std::string html, page());
    KV_RETURN_IF_ERROR(WriteWhole(args.Text("report"), html));
  }
  return {};
}

}  // namespace kvasir::cli
