// Where the tests' reference files are.
#ifndef KVASIR_TESTS_PATHS_H_
#define KVASIR_TESTS_PATHS_H_

#include <string>

namespace kvasir {

// tests/golden of the tree that was built, or $KVASIR_GOLDEN_DIR.
std::string GoldenDir();

// The shared folder beside it, with the fixtures that are too many to copy, or $KVASIR_SHARED_DIR.
std::string SharedDir();

}  // namespace kvasir

#endif  // KVASIR_TESTS_PATHS_H_
