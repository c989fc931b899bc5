// What AttentionScratch keeps between calls; for kernels/attention*.cc only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "kernels/attention.h"

namespace kvasir {

// Some rows of a job. Where its splits are shared out, the partials of all splits wait until its
// last task merges them from left to right.
struct AttendTile {
  int32_t job = 0;
  int32_t row0 = 0, n_rows = 0;
  int32_t split_begin = 0, split_end = 0;  // outside, no row sees anything
  int32_t left = -1;                       // index of its counter; -1: one task does it all
  int64_t partials = 0;                    // floats before those of its splits
  int64_t cost = 0;
};

struct AttendTask {
  int32_t tile = 0;
  int32_t split_begin = 0, split_end = 0;
  int64_t cost = 0;
};

struct AttentionScratch::Impl {
  std::vector<AttendTile> tiles;
  std::vector<AttendTask> tasks;
  int32_t n_left = 0;
  std::unique_ptr<std::atomic<int32_t>[]> left;  // by AttendTile::left: tasks not yet done
  int32_t left_capacity = 0;
  Buffer partials;
  Buffer threads;
  int64_t thread_floats = 0;

  void ResetCounters() {
    if (n_left > left_capacity) {
      left_capacity = 2 * n_left;
      left = std::make_unique<std::atomic<int32_t>[]>(left_capacity);
    }
    for (int32_t i = 0; i < n_left; ++i) left[i].store(0, std::memory_order_relaxed);
  }
  void ReserveThreads(int n_threads, int64_t floats) {
    thread_floats = (floats + 31) / 32 * 32;
    threads.Grow(n_threads * thread_floats * sizeof(float));
  }
  float* ThreadFloats(int thread) const { return threads.as<float>() + thread * thread_floats; }
};

}  // namespace kvasir
