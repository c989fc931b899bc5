// What may be written over.
#pragma once

#include <string>

#include "base/result.h"

namespace kvasir {

// An error where `path` is something that must not be replaced: a device, a pipe, a folder.
// (Writing beside it and renaming would put a plain file in its place, if one may.)
Status CheckReplaceable(const std::string& path);

}  // namespace kvasir
