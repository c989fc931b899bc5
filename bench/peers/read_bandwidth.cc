// Read bandwidth of N threads over so many bytes, again and again: what decode steps that read them
// cannot beat. A large cache of the CPU may hold some of them.
// Usage: read_bandwidth THREADS MIB; prints bytes a second, the best of eight passes.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr int kPasses = 8;
constexpr size_t kAhead = 8 << 10;  // bytes

// Sixteen independent sums: enough loads in flight whatever the vector width. Two lines a turn are
// asked for ahead: the hardware alone has fewer under way.
uint64_t Sum(const uint64_t* words, size_t n) {
  uint64_t sums[16] = {};
  for (size_t i = 0; i + 16 <= n; i += 16) {
    for (size_t line = 0; line < 128; line += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(words + i) + kAhead + line, 0, 2);
    }
    for (int k = 0; k < 16; ++k) sums[k] += words[i + k];
  }
  uint64_t total = 0;
  for (uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  const int n_threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int mib = argc > 2 ? std::atoi(argv[2]) : 1024;
  if (n_threads < 1 || n_threads > 1024 || mib < 1) return 2;
  const size_t n_bytes = size_t{static_cast<unsigned>(mib)} << 20,
               n_words = n_bytes / sizeof(uint64_t);
  void* memory = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 3;
  (void)madvise(memory, n_bytes, MADV_HUGEPAGE);
  auto* const words = static_cast<uint64_t*>(memory);
  std::fill_n(words, n_words, uint64_t{1});
  std::vector<uint64_t> totals(n_threads);
  double best_s = 1e9;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    const size_t share = n_words / n_threads;
    for (int t = 0; t < n_threads; ++t) {
      threads.emplace_back([&, t] { totals[t] = Sum(words + t * share, share); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (took.count() < best_s) best_s = took.count();
  }
  uint64_t check = 0;
  for (uint64_t total : totals) check += total;
  if (check == 0) return 1;  // keeps the sums alive
  std::printf("%.0f\n", static_cast<double>(n_bytes) / best_s);
}
