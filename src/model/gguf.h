// GGUF files, versions 2 and 3, little-endian, single or split.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/source.h"

namespace kvasir {

// One file's contents; tensors point into the bytes it was parsed from.
struct GgufFile {
  Metadata metadata;
  std::vector<TensorView> tensors;  // in file order
};

// Everything in the bytes is checked before use; `name` goes in front of error messages.
Result<GgufFile> ParseGguf(std::span<const std::byte> bytes, const std::string& name);

// Opens a file, or all shards of a split one from its first.
Result<std::unique_ptr<ModelSource>> OpenGguf(const std::string& path);

}  // namespace kvasir
