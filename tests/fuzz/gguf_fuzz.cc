// libFuzzer: any bytes as a GGUF file. What parses must lie inside the bytes.
#include <cstddef>
#include <cstdint>

#include "model/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = kvasir::ParseGguf(bytes, "fuzz");
  if (!file) return 0;
  for (const kvasir::TensorView& tensor : file->tensors) {
    KV_CHECK(tensor.data >= bytes.data());
    KV_CHECK(tensor.data + tensor.n_bytes <= bytes.data() + size);
    KV_CHECK(tensor.n_rows() * tensor.n_cols() == tensor.n_values());
  }
  return 0;
}
