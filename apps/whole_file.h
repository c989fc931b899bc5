// Files that people name and we write: whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir::cli {

// Writes beside `path` and renames: after an error (a full disk) an older file is as it was, and
// nothing else is left. What is no plain file is not replaced.
Status WriteWhole(const std::string& path, std::string_view bytes);

}  // namespace kvasir::cli
