// How much memory there is, and the error that says how much was asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

namespace kvasir {

// What the process may still take without swapping: of the machine, and of its own limit of address
// space (ulimit -v). 0: not known.
int64_t AvailableMemoryBytes();

// Allocation of a large buffer failed. Caught in main: nothing between could go on without it.
class OutOfMemory final : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t n_bytes) : n_bytes_(n_bytes) {}
  const char* what() const noexcept override { return "out of memory"; }
  size_t n_bytes() const { return n_bytes_; }

 private:
  size_t n_bytes_;
};

}  // namespace kvasir
