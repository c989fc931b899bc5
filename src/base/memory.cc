#include "base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace kvasir {
namespace {

int64_t OfTheMachine() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (int64_t kib = 0; file >> name >> kib; file.ignore(64, '\n')) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

}  // namespace

int64_t AvailableMemoryBytes() {
  const int64_t available = OfTheMachine();
  rlimit limit{};
  int64_t pages = 0;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return available;
  if (!(std::ifstream("/proc/self/statm") >> pages)) return available;
  const int64_t left = static_cast<int64_t>(limit.rlim_cur) - pages * sysconf(_SC_PAGESIZE);
  return std::min(available, std::max<int64_t>(left, 0));
}

}  // namespace kvasir
