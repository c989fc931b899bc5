// Read bandwidth of N threads: what a decode step cannot beat. Sums 1 GiB that no cache holds.
// Usage: read_bandwidth THREADS; prints bytes a second, the best of eight passes.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr size_t kWords = (size_t{1} << 30) / sizeof(uint64_t);
constexpr int kPasses = 8;

// Sixteen independent sums: enough loads in flight whatever the vector width.
uint64_t Sum(const uint64_t* words, size_t n) {
  uint64_t sums[16] = {};
  for (size_t i = 0; i + 16 <= n; i += 16) {
    for (int k = 0; k < 16; ++k) sums[k] += words[i + k];
  }
  uint64_t total = 0;
  for (uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  const int n_threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (n_threads < 1 || n_threads > 1024) return 2;
  std::vector<uint64_t> words(kWords, 1);
  std::vector<uint64_t> totals(n_threads);
  double best_s = 1e9;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    const size_t share = kWords / n_threads;
    for (int t = 0; t < n_threads; ++t) {
      threads.emplace_back([&, t] { totals[t] = Sum(words.data() + t * share, share); });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (took.count() < best_s) best_s = took.count();
  }
  uint64_t check = 0;
  for (uint64_t total : totals) check += total;
  if (check == 0) return 1;  // keeps the sums alive
  std::printf("%.0f\n", kWords * sizeof(uint64_t) / best_s);
}
