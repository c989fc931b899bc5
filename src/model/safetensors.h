// One safetensors file: 8 bytes of header length, a JSON header, tensor bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/tensor_type.h"

namespace kvasir {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;                // as written: "BF16"
  std::optional<TensorType> type;   // none: bytes that we cannot compute with (F8_E4M3, U8, ...)
  std::vector<uint64_t> shape;      // outermost first; empty for a scalar
  std::span<const std::byte> data;  // inside the bytes that were parsed, at any alignment
};

// In the order of the data. Everything is checked; `name` goes in front of error messages.
Result<std::vector<SafetensorsEntry>> ParseSafetensors(std::span<const std::byte> bytes,
                                                       const std::string& name);

// The texts under "__metadata__" of the header.
Result<std::map<std::string, std::string>> SafetensorsMetadata(std::span<const std::byte> bytes,
                                                               const std::string& name);

}  // namespace kvasir
