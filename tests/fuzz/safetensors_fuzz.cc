// libFuzzer: any bytes as a safetensors file. What parses must lie inside the bytes.
#include <cstddef>
#include <cstdint>

#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto entries = kvasir::ParseSafetensors(bytes, "fuzz");
  (void)kvasir::SafetensorsMetadata(bytes, "fuzz");
  if (!entries) return 0;
  for (const kvasir::SafetensorsEntry& entry : *entries) {
    KV_CHECK(entry.data.data() >= bytes.data());
    KV_CHECK(entry.data.data() + entry.data.size() <= bytes.data() + size);
  }
  return 0;
}
