// Products in the shapes of SmolLM2-135M (Q4_1, head Q8_0; q, k and v precise as in the engine, yet
// counted once): decode steps against the memory bandwidth measured beside them, and prefill in
// operations a second. Medians of alternating runs.
//   matmul_bench [isa=best] [threads=1] [rows=512]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "kernels/matmul.h"

namespace kvasir {
namespace {

constexpr size_t kReadBytes = size_t{128} << 20;
constexpr int kLayers = 30, kRepeats = 15;

// One thread is timed by the processor time it got, which other processes disturb least.
bool g_cpu_time = false;

double Seconds() {
  timespec time;
  clock_gettime(g_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double Median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

PackedMatrix RandomMatrix(Isa isa, TensorType type, int64_t n_out, int64_t n_in, ThreadPool& pool,
                          WeightArena& arena) {
  static std::mt19937 random(1);
  const TensorTypeInfo& info = InfoOf(type);
  std::vector<std::byte> bytes(
      static_cast<size_t>(n_out * (n_in / info.block_values) * info.block_bytes));
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const F16 scale = ToF16(0.01f);
  if (info.block_values == 1) {
    std::memset(bytes.data(), 0x3c, bytes.size());
  } else {
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(info.block_bytes)) {
      std::memcpy(&bytes[at], &scale, sizeof scale);
      std::memcpy(&bytes[at + 2], &scale, sizeof scale);
    }
  }
  Result<PackedMatrix> packed = PackWeights(isa, {type, n_out, n_in, bytes.data()}, pool, arena);
  KV_CHECK(packed.has_value());
  return std::move(*packed);
}

struct Layer {
  PackedMatrix q, k, v, o, gate, up, down;
  Layer(Isa isa, ThreadPool& pool, WeightArena& arena)
      : q(RandomMatrix(isa, TensorType::kQ4_1, 576, 576, pool, arena)),
        k(RandomMatrix(isa, TensorType::kQ4_1, 192, 576, pool, arena)),
        v(RandomMatrix(isa, TensorType::kQ4_1, 192, 576, pool, arena)),
        o(RandomMatrix(isa, TensorType::kQ4_1, 576, 576, pool, arena)),
        gate(RandomMatrix(isa, TensorType::kQ4_1, 1536, 576, pool, arena)),
        up(RandomMatrix(isa, TensorType::kQ4_1, 1536, 576, pool, arena)),
        down(RandomMatrix(isa, TensorType::kQ4_1, 576, 1536, pool, arena)) {}
  size_t n_bytes() const {
    return q.n_bytes() + k.n_bytes() + v.n_bytes() + o.n_bytes() + gate.n_bytes() + up.n_bytes() +
           down.n_bytes();
  }
};

// Bytes a second that the threads read from a buffer larger than the caches, on huge pages too.
double ReadBandwidth(const uint64_t* data, size_t n_bytes, ThreadPool& pool) {
  const int64_t n_tasks = pool.n_threads() * 8;
  const int64_t part = static_cast<int64_t>(n_bytes / sizeof(uint64_t)) / n_tasks;
  std::vector<uint64_t> sums(static_cast<size_t>(n_tasks));
  const double start = Seconds();
  pool.For(n_tasks, [&](int64_t task, int) {
    const uint64_t* at = data + task * part;
    uint64_t sum[16] = {};
    for (int64_t i = 0; i < part; i += 16) {
      for (int j = 0; j < 16; ++j) sum[j] += at[i + j];
    }
    for (const uint64_t s : sum) sums[static_cast<size_t>(task)] += s;
  });
  const double seconds = Seconds() - start;
  uint64_t total = 0;
  for (const uint64_t s : sums) total += s;
  KV_CHECK(total == 0);
  return static_cast<double>(n_bytes) / seconds;
}

struct Bench {
  Isa isa;
  ThreadPool pool;
  int64_t rows;
  WeightArena arena;
  std::vector<Layer> layers;
  uint64_t* zeros;  // kReadBytes
  std::vector<float> x, y, z, w;
  Activations hidden, wide;

  Bench(Isa the_isa, int threads, int64_t n_rows) : isa(the_isa), pool(threads), rows(n_rows) {
    for (int i = 0; i < kLayers; ++i) layers.emplace_back(isa, pool, arena);
    x.assign(static_cast<size_t>(rows * 1536), 0.5f);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) - 50.0f;
    y = z = w = x;
    zeros = reinterpret_cast<uint64_t*>(arena.Allocate(kReadBytes));
    std::memset(zeros, 0, kReadBytes);
  }

  double Layers(int64_t n) {
    const double start = Seconds();
    const auto in = Mat<const float>(x.data(), n, 576),
               in_wide = Mat<const float>(x.data(), n, 1536);
    for (const Layer& l : layers) {
      hidden.Set(in);
      const MatMulJob qkv[] = {{.weights = &l.q, .y = Mat(y.data(), n, 576), .precise = true},
                               {.weights = &l.k, .y = Mat(z.data(), n, 192), .precise = true},
                               {.weights = &l.v, .y = Mat(w.data(), n, 192), .precise = true}};
      MatMul(hidden, qkv, pool);
      hidden.Set(in);
      const MatMulJob o[] = {{.weights = &l.o, .y = Mat(y.data(), n, 576), .accumulate = true}};
      MatMul(hidden, o, pool);
      hidden.Set(in);
      const MatMulJob ffn[] = {{.weights = &l.gate, .y = Mat(y.data(), n, 1536)},
                               {.weights = &l.up, .y = Mat(z.data(), n, 1536)}};
      MatMul(hidden, ffn, pool);
      wide.Set(in_wide);
      const MatMulJob down[] = {
          {.weights = &l.down, .y = Mat(y.data(), n, 576), .accumulate = true}};
      MatMul(wide, down, pool);
    }
    return Seconds() - start;
  }

  double Product(const PackedMatrix& m, int64_t n, std::vector<float>& out) {
    const double start = Seconds();
    hidden.Set(Mat<const float>(x.data(), n, m.n_in()));
    const MatMulJob job = {.weights = &m, .y = Mat(out.data(), n, m.n_out())};
    MatMul(hidden, {&job, 1}, pool);
    return Seconds() - start;
  }

  void Decode() {
    const PackedMatrix head = RandomMatrix(isa, TensorType::kQ8_0, 49152, 576, pool, arena);
    std::vector<float> logits(16 * 49152);
    size_t bytes = 0;
    for (const Layer& l : layers) bytes += l.n_bytes();
    for (const int64_t n : {1, 2, 4, 8, 16}) {
      std::vector<double> layer_times, head_times, bandwidths;
      for (int i = 0; i < kRepeats; ++i) {
        bandwidths.push_back(ReadBandwidth(zeros, kReadBytes, pool));
        layer_times.push_back(Layers(n));
        head_times.push_back(Product(head, n, logits));
      }
      const double layer_s = Median(layer_times), head_s = Median(head_times);
      std::printf(
          "decode %2d rows: layers %.2f ms %.1f GB/s, head %.2f ms %.1f GB/s, "
          "both %.1f tok/s; reading %.1f GB/s\n",
          static_cast<int>(n), layer_s * 1e3, static_cast<double>(bytes) / layer_s * 1e-9,
          head_s * 1e3, static_cast<double>(head.n_bytes()) / head_s * 1e-9,
          static_cast<double>(n) / (layer_s + head_s), Median(bandwidths) * 1e-9);
    }
  }

  void Prefill() {
    std::vector<double> times;
    for (int i = 0; i < kRepeats; ++i) times.push_back(Layers(rows));
    const double ops = 2.0 * static_cast<double>(rows) * kLayers *
                       (576.0 * (576 * 2 + 192 * 2) + 3.0 * 576 * 1536);
    std::printf("prefill %d rows: layers %.1f ms, %.1f GOP/s\n", static_cast<int>(rows),
                Median(times) * 1e3, ops / Median(times) * 1e-9);
    std::vector<float> out(static_cast<size_t>(rows * 1536));
    for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ4_K,
                                  TensorType::kQ8_0, TensorType::kQ5_K, TensorType::kQ6_K,
                                  TensorType::kF32, TensorType::kF16, TensorType::kBF16}) {
      const PackedMatrix m = RandomMatrix(isa, type, 1536, 768, pool, arena);
      times.clear();
      for (int i = 0; i < kRepeats; ++i) times.push_back(Product(m, rows, out));
      std::vector<double> single;
      for (int i = 0; i < 99; ++i) single.push_back(Product(m, 1, out));
      std::printf("  %-5s 1536 x 768: %.1f GOP/s; 1 row from cache %.1f GB/s\n",
                  InfoOf(type).name.data(),
                  2.0 * 1536 * 768 * static_cast<double>(rows) / Median(times) * 1e-9,
                  static_cast<double>(m.n_bytes()) / Median(single) * 1e-9);
    }
  }
};

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  using namespace kvasir;
  const Result<Isa> isa = argc > 1 ? ParseIsa(argv[1]) : BestIsa();
  if (!isa) return std::fprintf(stderr, "%s\n", isa.error().message.c_str()), 1;
  const int threads = argc > 2 ? std::max(1, std::atoi(argv[2])) : 1;
  const int rows = argc > 3 ? std::max(16, std::atoi(argv[3])) : 512;
  g_cpu_time = threads == 1;
  std::printf("%s, %d threads\n", IsaName(*isa).data(), threads);
  Bench bench(*isa, threads, rows);
  bench.Decode();
  bench.Prefill();
}
