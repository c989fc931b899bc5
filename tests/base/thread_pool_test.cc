#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kvasir {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (int n_threads : {1, 2, 5}) {
    ThreadPool pool(n_threads);
    for (int64_t n : {0, 1, 2, 7, 1000}) {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
        pool.For(n, [&](int64_t task, int thread) {
          ASSERT_LT(thread, n_threads);
          hits[static_cast<size_t>(task)].fetch_add(1);
        });
        for (auto& hit : hits) ASSERT_EQ(hit.load(), 1);
      }
    }
  }
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(3);
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // long past the spinning
    std::atomic<int64_t> sum{0};
    pool.For(100, [&](int64_t task, int) { sum += task; });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPool, CountsAtLeastOneCore) { EXPECT_GE(PhysicalCores(), 1); }

}  // namespace
}  // namespace kvasir
