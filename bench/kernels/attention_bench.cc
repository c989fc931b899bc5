// Attention against the machine: prefill in GFLOP/s beside the peak of one core, decode in GB/s
// beside its read bandwidth. Shapes are the default model's: 3 KV heads, 9 query heads,
// head_dim 64. Usage: attention_bench [isa] [threads] [prefill|decode|mass] [format of keys]
#include <fmt/core.h>
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <random>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir {
namespace {

// Formats of keys and values.
struct Pair {
  PlaneFormat k, v;
};
Pair Same(const char* name, int head_dim) {
  const PlaneFormat format = *ParseFormat(name, head_dim);
  return {format, format};
}
std::vector<Pair> Pairs(int head_dim, std::string_view only) {
  std::vector<Pair> pairs;
  for (const char* name : {"f32", "f16", "bf16", "i16", "q8", "q4"})
    pairs.push_back(Same(name, head_dim));
  for (int bits : {4, 2})
    pairs.push_back({ChannelPlane(bits, head_dim), TokenPlane(bits, head_dim)});
  pairs.push_back({ChannelPlane(2, head_dim, 64), TokenPlane(2, head_dim, 64)});
  for (int bits : {3, 2}) {
    const PlaneFormat format = TokenPlane(bits, head_dim, head_dim / 2);
    pairs.push_back({format, format});
  }
  pairs.push_back({ChannelPlane(2, head_dim), ChannelPlane(2, head_dim)});
  pairs.push_back({SplitPlane(head_dim / 2, head_dim), TernaryPlane(head_dim)});
  std::erase_if(pairs,
                [&](const Pair& pair) { return !only.empty() && FormatName(pair.k) != only; });
  return pairs;
}
constexpr int kHeads = 3, kGroup = 3;

struct Times {
  double median, best;
};

double Now(bool own_cpu_time) {
  timespec now;
  clock_gettime(own_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Seconds of f, at least 5 times and 0.4 s, after one call to warm up. With one thread in its own
// CPU time, so that others on a shared machine cost cache and bandwidth but not time slices.
template <class F>
Times Measure(const F& f, int n_threads = 1) {
  f();
  std::vector<double> seconds;
  double total = 0;
  while (seconds.size() < 5 || (total < 0.4 && seconds.size() < 1000)) {
    const double start = Now(n_threads == 1);
    f();
    seconds.push_back(Now(n_threads == 1) - start);
    total += seconds.back();
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds[0]};
}

// Chains of dependent multiply-adds, enough to cover the latency of two pipes; two rounds a turn of
// the loop, whose branch costs a cycle.
__attribute__((target("avx512f"))) float FmaAvx512(int64_t n) {
  __m512 acc[16];
  for (int k = 0; k < 16; ++k) acc[k] = _mm512_set1_ps(static_cast<float>(k));
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < n; i += 2) {
    for (int k = 0; k < 16; ++k) acc[k] = _mm512_fmadd_ps(acc[k], a, b);
    for (int k = 0; k < 16; ++k) acc[k] = _mm512_fmadd_ps(acc[k], a, b);
    asm volatile("");  // keeps the loop
  }
  for (int k = 1; k < 16; ++k) acc[0] = _mm512_add_ps(acc[0], acc[k]);
  return _mm512_cvtss_f32(acc[0]);
}

__attribute__((target("avx2,fma"))) float FmaAvx2(int64_t n) {
  __m256 acc[12];
  for (int k = 0; k < 12; ++k) acc[k] = _mm256_set1_ps(static_cast<float>(k));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < n; i += 2) {
    for (int k = 0; k < 12; ++k) acc[k] = _mm256_fmadd_ps(acc[k], a, b);
    for (int k = 0; k < 12; ++k) acc[k] = _mm256_fmadd_ps(acc[k], a, b);
    asm volatile("");
  }
  for (int k = 1; k < 12; ++k) acc[0] = _mm256_add_ps(acc[0], acc[k]);
  return _mm256_cvtss_f32(acc[0]);
}

double PeakGflops(Isa isa) {
  volatile float sink = 0;
  const int64_t n = 2000000;
  const bool wide = isa != Isa::kAvx2;
  const Times t = Measure([&] { sink = wide ? FmaAvx512(n) : FmaAvx2(n); });
  return (wide ? 16 * 16 : 12 * 8) * 2.0 * n / t.best * 1e-9;
}

__attribute__((target("avx2"))) int64_t SumBytes(const std::byte* from, int64_t n) {
  __m256i sum[4] = {};
  for (int64_t i = 0; i < n; i += 128) {
    __builtin_prefetch(from + i + 4096);
    __builtin_prefetch(from + i + 4096 + 64);
    for (int k = 0; k < 4; ++k) {
      const auto* at = reinterpret_cast<const __m256i*>(from + i + 32 * k);
      sum[k] = _mm256_add_epi64(sum[k], _mm256_load_si256(at));
    }
  }
  sum[0] = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  return _mm256_extract_epi64(sum[0], 0);
}

double ReadGbs(ThreadPool& pool) {
  const int64_t n = int64_t{256} << 20;
  Buffer memory(n);
  std::memset(memory.data(), 1, n);
  std::vector<int64_t> sinks(64);
  const int64_t pieces = 64;
  const Times t = Measure(
      [&] {
        pool.For(pieces, [&](int64_t i, int) {
          sinks[i] = SumBytes(memory.data() + i * (n / pieces), n / pieces);
        });
      },
      pool.n_threads());
  return n / t.median * 1e-9;
}

// Where a buffer's huge pages begin, on which the page pool's slabs are, too.
constexpr int64_t kHugePage = int64_t{2} << 20;
std::byte* OnHugePages(const Buffer& buffer) {
  const auto at = reinterpret_cast<uintptr_t>(buffer.data());
  auto* begin = reinterpret_cast<std::byte*>((at + kHugePage - 1) & ~uintptr_t{kHugePage - 1});
  (void)madvise(begin, buffer.size() - (begin - buffer.data()), MADV_HUGEPAGE);
  return begin;
}

// Caches of n entries in one codec, some layers of them so that no level of the CPU's cache helps.
class Caches {
 public:
  Caches(Isa isa, const Pair& formats, int head_dim, int n, int n_heads)
      : head_dim_(head_dim), pages_per_head_((n + 63) / 64) {
    const int64_t k = PlaneBytes(formats.k, PlaneKind::kKeys);
    const int64_t v = PlaneBytes(formats.v, PlaneKind::kValues);
    // Keys and values lie in slabs of their own.
    bytes_ = int64_t{n_heads} * pages_per_head_ * (k + v);
    keys_ = Buffer(int64_t{n_heads} * pages_per_head_ * k + kHugePage);
    values_ = Buffer(int64_t{n_heads} * pages_per_head_ * v + kHugePage);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(64 * head_dim);
    for (float& value : x) value = normal(random);
    Buffer k_page(k), v_page(v);
    EncodeEntries(isa, formats.k, PlaneKind::kKeys, x.data(), head_dim, 0, 64, k_page.data());
    EncodeEntries(isa, formats.v, PlaneKind::kValues, x.data(), head_dim, 0, 64, v_page.data());
    std::byte *k_at = OnHugePages(keys_), *v_at = OnHugePages(values_);
    for (int64_t i = 0; i < int64_t{n_heads} * pages_per_head_; ++i) {
      const int page = static_cast<int>(i % pages_per_head_);
      const int left = n - page * 64;
      refs_.push_back({.k = k_at, .v = v_at});
      refs_.back().live = left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
      refs_.back().order0 = page * 64;
      std::memcpy(k_at, k_page.data(), k);
      std::memcpy(v_at, v_page.data(), v);
      k_at += k, v_at += v;
    }
    for (int h = 0; h < n_heads; ++h) {
      runs_.push_back({refs_.data() + h * pages_per_head_, pages_per_head_, formats.k, formats.v});
    }
    q_.resize(int64_t{512} * n_heads * kGroup * head_dim);
    for (float& value : q_) value = normal(random);
    out_.resize(q_.size());
    lse_.resize(int64_t{512} * n_heads * kGroup);
    mass_.resize(int64_t{n_heads} * pages_per_head_ * 64);
    for (int i = 0; i < 512; ++i) order_.push_back(n - 512 + i);
  }

  // The last n_rows of the text, for some heads.
  std::vector<AttendJob> Jobs(int first_head, int n_heads, int n_rows) {
    std::vector<AttendJob> jobs;
    const int64_t head_floats = int64_t{512} * kGroup * head_dim_;
    for (int h = first_head; h < first_head + n_heads; ++h) {
      jobs.push_back({.runs = {&runs_[h], 1},
                      .q = q_.data() + h * head_floats,
                      .q_order = order_.data() + 512 - n_rows,
                      .out = out_.data() + h * head_floats,
                      .lse = lse_.data() + int64_t{512} * kGroup * h,
                      .n_rows = n_rows,
                      .group = kGroup,
                      .head_dim = head_dim_,
                      .q_stride = int64_t{kGroup} * head_dim_,
                      .out_stride = int64_t{kGroup} * head_dim_,
                      .mask = {}});
    }
    return jobs;
  }
  float* mass(int head) { return mass_.data() + int64_t{head} * pages_per_head_ * 64; }
  int64_t bytes() const { return bytes_; }

 private:
  int head_dim_;
  int32_t pages_per_head_;
  int64_t bytes_;
  Buffer keys_, values_;
  std::vector<PageRef> refs_;
  std::vector<RunRef> runs_;
  std::vector<float> q_, out_, lse_, mass_;
  std::vector<int32_t> order_;
};

LogitSpec SpecOf(int head_dim) { return {.scale = 1.0f / std::sqrt(static_cast<float>(head_dim))}; }

void BenchPrefill(Isa isa, ThreadPool& pool, double peak) {
  fmt::print("\nprefill, 512 rows, {} heads of {} queries\n", kHeads, kGroup);
  fmt::print("keys       values      head_dim   keys       ms  GFLOP/s  of peak\n");
  AttentionScratch scratch;
  const auto run = [&](const Pair& formats, int head_dim, int n) {
    Caches caches(isa, formats, head_dim, n, kHeads);
    const std::vector<AttendJob> jobs = caches.Jobs(0, kHeads, 512);
    const Times t =
        Measure([&] { Attend(isa, SpecOf(head_dim), jobs, pool, scratch); }, pool.n_threads());
    double pairs = 0;
    for (int i = 0; i < 512; ++i) pairs += n - 512 + i + 1;
    const double flops = pairs * kHeads * kGroup * head_dim * 4;
    fmt::print("{:10} {:11} {:8} {:6} {:8.2f} {:8.1f} {:7.1f}%\n", FormatName(formats.k),
               FormatName(formats.v), head_dim, n, t.median * 1e3, flops / t.median * 1e-9,
               100 * flops / t.median * 1e-9 / peak / pool.n_threads());
  };
  for (int n : {512, 2048, 4096, 8192}) run(Same("f16", 64), 64, n);
  for (const Pair& formats : Pairs(64, "")) run(formats, 64, 4096);
  for (int head_dim : {32, 80, 96, 128, 256}) run(Same("f16", head_dim), head_dim, 4096);
}

void BenchDecode(Isa isa, ThreadPool& pool, double gbs, std::string_view only) {
  fmt::print("\ndecode, 1 row, {} heads of {} queries a layer\n", kHeads, kGroup);
  fmt::print("keys       values      head_dim   keys us/layer     GB/s  of read\n");
  AttentionScratch scratch;
  const auto run = [&](const Pair& formats, int head_dim, int n) {
    // What is short stays in the second level: what the arithmetic alone takes. Of the rest enough
    // that a third level of 100 MB does not hold it.
    const int layers = n <= 1024 ? 1 : std::max(1, 120 * 8000 / n);
    Caches caches(isa, formats, head_dim, n, layers * kHeads);
    std::vector<std::vector<AttendJob>> jobs;
    for (int layer = 0; layer < layers; ++layer) {
      jobs.push_back(caches.Jobs(layer * kHeads, kHeads, 1));
    }
    const Times t = Measure(
        [&] {
          for (const auto& layer : jobs) Attend(isa, SpecOf(head_dim), layer, pool, scratch);
        },
        pool.n_threads());
    const double rate = caches.bytes() / t.median * 1e-9;
    fmt::print("{:10} {:11} {:8} {:6} {:8.1f} {:8.2f} {:7.1f}%\n", FormatName(formats.k),
               FormatName(formats.v), head_dim, n, t.median * 1e6 / layers, rate, 100 * rate / gbs);
  };
  for (const Pair& formats : Pairs(64, only)) {
    for (int k : {1024}) run(formats, 64, k);
    run(formats, 64, 8000);
  }
  if (!only.empty()) return;
  for (int n : {256, 32000}) run(Same("f16", 64), 64, n);
  run(Same("f16", 128), 128, 8000);
}

void BenchMass(Isa isa, ThreadPool& pool, double peak) {
  fmt::print("\nmass of w rows over 8000 keys (f16), {} heads of {} queries\n", kHeads, kGroup);
  fmt::print("   w       ms  GFLOP/s  of peak\n");
  AttentionScratch scratch;
  Caches caches(isa, Same("f16", 64), 64, 8000, kHeads);
  for (int rows : {8, 32, 512}) {
    const std::vector<AttendJob> jobs = caches.Jobs(0, kHeads, rows);
    Attend(isa, SpecOf(64), jobs, pool, scratch);
    std::vector<MassJob> mass;
    for (int h = 0; h < kHeads; ++h) {
      mass.push_back({.runs = jobs[h].runs,
                      .q = jobs[h].q,
                      .q_order = jobs[h].q_order,
                      .lse = jobs[h].lse,
                      .mass = caches.mass(h),
                      .n_rows = rows,
                      .group = kGroup,
                      .head_dim = 64,
                      .q_stride = jobs[h].q_stride,
                      .mask = {}});
    }
    const Times t =
        Measure([&] { AttentionMass(isa, SpecOf(64), mass, pool, scratch); }, pool.n_threads());
    const double flops = 8000.0 * rows * kHeads * kGroup * 64 * 2;
    fmt::print("{:4} {:8.2f} {:8.1f} {:7.1f}%\n", rows, t.median * 1e3, flops / t.median * 1e-9,
               100 * flops / t.median * 1e-9 / peak / pool.n_threads());
  }
}

int Main(int argc, char** argv) {
  const Result<Isa> isa = argc > 1 ? ParseIsa(argv[1]) : BestIsa();
  if (!isa) {
    fmt::print(stderr, "{}\n", isa.error().message);
    return 1;
  }
  ThreadPool pool(argc > 2 ? std::max(1, std::atoi(argv[2])) : 1);
  const std::string_view only = argc > 3 ? argv[3] : "";
  const double peak = PeakGflops(*isa), gbs = ReadGbs(pool);
  fmt::print("{}, {} threads: peak {:.1f} GFLOP/s a core, read {:.1f} GB/s\n", IsaName(*isa),
             pool.n_threads(), peak, gbs);
  if (only.empty() || only == "prefill") BenchPrefill(*isa, pool, peak);
  if (only.empty() || only == "decode") BenchDecode(*isa, pool, gbs, argc > 4 ? argv[4] : "");
  if (only.empty() || only == "mass") BenchMass(*isa, pool, peak);
  return 0;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) { return kvasir::Main(argc, argv); }
