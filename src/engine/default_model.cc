#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/cache_folder.h"
#include "kvasir/kvasir.h"

namespace kvasir {

std::string CacheFolder() {
  const auto folder = [](const char* variable) -> std::string {
    const char* value = std::getenv(variable);
    // The XDG specification: a path that is not absolute is to be ignored.
    return value != nullptr && value[0] == '/' ? value : "";
  };
  std::string cache = folder("XDG_CACHE_HOME");
  if (cache.empty()) {
    std::string home = folder("HOME");
    const passwd* user = home.empty() ? getpwuid(getuid()) : nullptr;  // a service without $HOME
    if (user != nullptr) home = user->pw_dir;
    cache = home + "/.cache";
  }
  return cache + "/kvasir";
}

std::string DefaultModelPath() { return CacheFolder() + "/models/SmolLM2-135M-Instruct.Q4_1.gguf"; }

}  // namespace kvasir
