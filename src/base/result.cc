#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace kvasir {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "kvasir: broken invariant at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace kvasir
