// libFuzzer: any text as a config.json.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/hf_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = kvasir::ParseJsonObject(text, "fuzz");
  if (!json) return 0;
  kvasir::Metadata metadata;
  const auto config = kvasir::TranslateConfig(*json, "fuzz", metadata);
  KV_CHECK(!config || metadata.Has("general.architecture"));
  return 0;
}
