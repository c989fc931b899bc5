// The only file that knows where the tree lies: the others compile to the same objects in every
// checkout, so checkouts share a compiler cache.
#include "tests/paths.h"

#include <cstdlib>

namespace kvasir {
namespace {

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

}  // namespace

std::string GoldenDir() {
  return FromEnvironment("KVASIR_GOLDEN_DIR", KVASIR_SOURCE_DIR "/tests/golden");
}

std::string SharedDir() {
  return FromEnvironment("KVASIR_SHARED_DIR", KVASIR_SOURCE_DIR "/../shared");
}

}  // namespace kvasir
