// The files that eval and report write: --csv, --markdown, --report.
#pragma once

#include <functional>

#include "args.h"
#include "eval/summary.h"

namespace kvasir::cli {

// A file that cannot be written is better known before the work than after it.
Status CheckEvalOutputs(const Args& args);
// Those that were asked for; `page` is made only where it is.
Status WriteEvalOutputs(const Args& args, const eval::Summary& summary,
                        const std::function<Result<std::string>()>& page);

}  // namespace kvasir::cli
