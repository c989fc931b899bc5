// Decode allocates nothing once its buffers have grown. This executable counts what operator new
// gives, on all threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/engine/engine_test_util.h"

namespace {
std::atomic<int64_t> n_allocations{0};

void* Counted(void* p) {
  n_allocations.fetch_add(1, std::memory_order_relaxed);
  if (p == nullptr) std::abort();
  return p;
}
}  // namespace

// The other forms call these. Inlined, GCC 12 sees free where it expects delete.
void* operator new(size_t n) { return Counted(std::malloc(n == 0 ? 1 : n)); }
void* operator new(size_t n, std::align_val_t align) {
  const auto a = static_cast<size_t>(align);
  return Counted(std::aligned_alloc(a, (n + a - 1) / a * a));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace kvasir::testing_ {
namespace {

TEST(DecodeAllocations, NoneBetweenNewPages) {
  for (int threads : {1, 2}) {
    const auto model = LoadModel(GoldenModel("llama.gguf"), threads);
    ASSERT_NE(model, nullptr);
    const auto session = OpenSession(model);
    ASSERT_NE(session, nullptr);
    const int64_t before = n_allocations;
    ASSERT_TRUE(session->Feed(RandomIds(33, 1), {}));
    ASSERT_GT(n_allocations, before);  // that it counts

    std::vector<int64_t> n_by_step;
    n_by_step.reserve(64);
    for (int size = 33; size < 64; ++size) {  // entry 64 takes a new page
      const int64_t n = n_allocations;
      ASSERT_TRUE(session->Step(7));
      n_by_step.push_back(n_allocations - n);
    }
    for (size_t step = 3; step < n_by_step.size(); ++step) EXPECT_EQ(n_by_step[step], 0) << step;
  }
}

}  // namespace
}  // namespace kvasir::testing_
