#include <cstdlib>

#include "kvasir/kvasir.h"

namespace kvasir {

std::string DefaultModelPath() {
  const auto folder = [](const char* variable) -> std::string {
    const char* value = std::getenv(variable);
    // The XDG specification: a path that is not absolute is to be ignored.
    return value != nullptr && value[0] == '/' ? value : "";
  };
  std::string cache = folder("XDG_CACHE_HOME");
  if (cache.empty()) cache = folder("HOME") + "/.cache";
  return cache + "/kvasir/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace kvasir
