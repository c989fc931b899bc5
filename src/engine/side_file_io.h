// Reading and writing of side files; methods/side_file.h says what is in them.
#pragma once

#include <string>

#include "methods/side_file.h"

namespace kvasir {

// Where a kind is kept for a model unless a path is given: in the cache folder.
std::string DefaultSideFilePath(const std::string& kind, const std::string& fingerprint);

// The file that a method wishes for a model of this fingerprint.
Result<SideFile> LoadSideFile(const SideFileWish& wish, const std::string& fingerprint);

// Replaces the file whole or leaves it as it was; makes the folder of a default path.
Status WriteSideFile(const SideFile& file);

}  // namespace kvasir
