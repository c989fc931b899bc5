// Files that people name and we write: whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir::cli {

// An error where `path` is something that must not be replaced: a device, a pipe, a folder.
// (Writing beside it and renaming would put a plain file in its place, if one may.)
Status CheckReplaceable(const std::string& path);

// Writes beside `path` and renames: after an error (a full disk) an older file is as it was, and
// nothing else is left.
Status WriteWhole(const std::string& path, std::string_view bytes);

}  // namespace kvasir::cli
