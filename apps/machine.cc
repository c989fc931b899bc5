#include "machine.h"

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/buffer.h"

namespace kvasir::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kReadPasses = 5, kPeakPasses = 5;
constexpr size_t kSmallPage = 4096;
constexpr size_t kReadAhead = 8 << 10;      // bytes; more changes nothing, less is slower
constexpr int64_t kPeakRounds = 4'000'000;  // about 10 ms

double Seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The sum keeps the compiler from leaving the loads out. Prefetched as the kernels do: the hardware
// alone keeps fewer lines under way.
__attribute__((target("avx2"))) int64_t ReadAll(const std::byte* bytes, size_t n) {
  const auto* data = reinterpret_cast<const __m256i*>(bytes);
  __m256i sums[4] = {};
  for (size_t i = 0; i + 4 <= n / sizeof(__m256i); i += 4) {
    for (size_t line = 0; line < 128; line += 64) {
      __builtin_prefetch(reinterpret_cast<const std::byte*>(data + i) + kReadAhead + line, 0, 2);
    }
    for (size_t j = 0; j < 4; ++j) {
      sums[j] = _mm256_add_epi64(sums[j], _mm256_load_si256(data + i + j));
    }
  }
  const __m256i sum =
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  int64_t lanes[4];
  std::memcpy(lanes, &sum, sizeof(lanes));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

// Loops of independent multiply-adds: enough of them to cover the latency (4 or 5 cycles) of two
// units. Each returns the operations of one round.
constexpr int kChains = 12;

__attribute__((target("avx2,fma"))) double FloatRounds256(int64_t rounds) {
  __m256 sums[kChains] = {}, x = _mm256_set1_ps(1.0f), y = _mm256_set1_ps(1e-9f);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m256& sum : sums) {
      sum = _mm256_fmadd_ps(x, y, sum);
      asm volatile("" : "+x"(sum));  // alive, and unknown to the optimiser
    }
  }
  return 2.0 * 8 * kChains;
}

__attribute__((target("avx512f"))) double FloatRounds512(int64_t rounds) {
  __m512 sums[kChains] = {}, x = _mm512_set1_ps(1.0f), y = _mm512_set1_ps(1e-9f);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512& sum : sums) {
      sum = _mm512_fmadd_ps(x, y, sum);
      asm volatile("" : "+v"(sum));
    }
  }
  return 2.0 * 16 * kChains;
}

// AVX2 has no 8-bit dot product: pairs to 16 bits, pairs to 32 bits, sum.
__attribute__((target("avx2"))) double Int8Rounds256(int64_t rounds) {
  __m256i sums[kChains] = {}, x = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m256i& sum : sums) {
      asm volatile("" : "+x"(x));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), ones));
      asm volatile("" : "+x"(sum));  // alive, and unknown to the optimiser
    }
  }
  return 2.0 * 32 * kChains;
}

__attribute__((target("avx512f,avx512vnni"))) double Int8Rounds512(int64_t rounds) {
  __m512i sums[kChains] = {}, x = _mm512_set1_epi8(1);
  for (int64_t r = 0; r < rounds; ++r) {
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, x, x);
      asm volatile("" : "+v"(sum));
    }
  }
  return 2.0 * 64 * kChains;
}

double MeasurePeak(ThreadPool& pool, double (*rounds)(int64_t)) {
  double best = 0;
  for (int pass = 0; pass < kPeakPasses; ++pass) {
    std::vector<double> operations(static_cast<size_t>(pool.n_threads()));
    const Clock::time_point start = Clock::now();
    pool.For(pool.n_threads(),
             [&](int64_t task, int) { operations[task] = rounds(kPeakRounds) * kPeakRounds; });
    double sum = 0;
    for (const double each : operations) sum += each;
    best = std::max(best, sum / Seconds(start));
  }
  return best;
}

}  // namespace

double MeasureReadBandwidth(ThreadPool& pool, int64_t n_bytes) {
  const auto n_threads = static_cast<size_t>(pool.n_threads());
  const size_t slice = static_cast<size_t>(n_bytes) / n_threads / 128 * 128 + 128;
  Buffer buffer(slice * n_threads);
  // Huge pages, as of weights and cache; from the first whole small page on.
  const auto unaligned = reinterpret_cast<uintptr_t>(buffer.data()) % kSmallPage;
  (void)madvise(buffer.data() + (kSmallPage - unaligned), buffer.size() - kSmallPage,
                MADV_HUGEPAGE);
  std::vector<uint64_t> sums(n_threads);  // of no matter, but read
  double best = 0;
  for (int pass = 0; pass <= kReadPasses; ++pass) {
    const Clock::time_point start = Clock::now();
    pool.For(pool.n_threads(), [&](int64_t task, int) {
      std::byte* bytes = buffer.data() + static_cast<size_t>(task) * slice;
      if (pass == 0) {
        std::memset(bytes, 1, slice);  // pages exist, and are near the thread that reads them
      } else {
        sums[task] += static_cast<uint64_t>(ReadAll(bytes, slice));
      }
    });
    if (pass > 0) best = std::max(best, static_cast<double>(slice * n_threads) / Seconds(start));
  }
  volatile uint64_t sink = 0;
  for (const uint64_t sum : sums) sink = sink + sum;
  return best;
}

double MeasureFloatPeak(ThreadPool& pool, Isa isa) {
  return MeasurePeak(pool, isa >= Isa::kAvx512 ? &FloatRounds512 : &FloatRounds256);
}

double MeasureInt8Peak(ThreadPool& pool, Isa isa) {
  return MeasurePeak(pool, isa >= Isa::kAvx512Vnni ? &Int8Rounds512 : &Int8Rounds256);
}

}  // namespace kvasir::cli
