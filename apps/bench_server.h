// kvasir bench --serve URL, --agents TRACE: loads a server and tells how it bore it.
#pragma once

#include "base/result.h"

namespace kvasir::cli {

struct Context;

// REQUIRES: one of them is given.
Result<int> BenchServer(Context& context);

}  // namespace kvasir::cli
