#include "kernels/matmul.h"

#include <algorithm>

#include "kernels/cpu/matmul_layout.h"

namespace kvasir {
namespace {

// A part of a product big enough to be worth another task, in bytes of weights.
constexpr int64_t kTaskBytes = 16 << 10;
// More tasks than threads, so that a thread that loses its core holds up little.
constexpr int64_t kTasksPerThread = 4;

// Calls tile(row, n_rows) for every tile of n_rows rows.
template <class F>
void ForTiles(int64_t n_rows, ThreadPool& pool, F&& tile) {
  if (n_rows < 32) {
    for (int64_t row = 0; row < n_rows;) {
      const int n = cpu::TileRows(n_rows - row);
      tile(row, n);
      row += n;
    }
    return;
  }
  const int64_t n_whole = n_rows / 16;
  pool.For(n_whole, [&](int64_t i, int) { tile(i * 16, 16); });
  for (int64_t row = n_whole * 16; row < n_rows;) {
    const int n = cpu::TileRows(n_rows - row);
    tile(row, n);
    row += n;
  }
}

bool HasFloats(PackedKind kind) { return cpu::FormatOf(kind).groups == 0; }

// The panels of a job that begin in [first, last) of its bytes.
void RunBytes(const MatMulJob& job, const std::byte* x, const std::byte* residuals, int64_t n_rows,
              int64_t first, int64_t last) {
  const PackedMatrix& w = *job.weights;
  const PackedKind kind = MatMulAccess::Kind(w);
  const cpu::MatMulKernels& kernels = KernelsOf(MatMulAccess::IsaOf(w));
  const cpu::PanelShape shape(kind, kernels.lanes, w.n_in());
  cpu::PanelRange range = {
      .panels = MatMulAccess::Bytes(w),
      .shape = shape,
      .first_panel = (std::max<int64_t>(first, 0) + shape.bytes - 1) / shape.bytes,
      .last_panel = (std::min<int64_t>(last, static_cast<int64_t>(w.n_bytes())) + shape.bytes - 1) /
                    shape.bytes,
      .x = x,
      .n_rows = n_rows,
      .y = job.y.data,
      .y_stride = job.y.stride[0],
      .n_out = w.n_out(),
      .bias = job.bias,
      .accumulate = job.accumulate,
  };
  if (range.first_panel >= range.last_panel) return;
  kernels.run[static_cast<int>(kind)](range);
  if (!job.precise || HasFloats(kind)) return;
  range.x = residuals;
  range.bias = nullptr;
  range.accumulate = true;
  kernels.run[static_cast<int>(kind)](range);
}

}  // namespace

const cpu::MatMulKernels& KernelsOf(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return cpu::MatMulAvx512();
    case Isa::kAvx512Vnni:
      return cpu::MatMulAvx512Vnni();
    case Isa::kAmx:
      return cpu::MatMulAmx();
    default:
      return cpu::MatMulAvx2();
  }
}

const std::byte* MatMulAccess::Codes(Activations& x, bool precise, ThreadPool& pool) {
  if (!x.has_codes_ || (precise && !x.has_residuals_)) {
    const int64_t row_bytes = x.x_.shape[1] / 32 * cpu::kCodeBlockBytes;
    x.codes_.Grow(static_cast<size_t>(x.x_.shape[0] * row_bytes));
    if (precise) x.residuals_.Grow(static_cast<size_t>(x.x_.shape[0] * row_bytes));
    ForTiles(x.x_.shape[0], pool, [&](int64_t row, int n) {
      cpu::QuantiseTile(x.x_, row, n, x.codes_.data() + row * row_bytes,
                        precise ? x.residuals_.data() + row * row_bytes : nullptr);
    });
    x.has_codes_ = true;
    x.has_residuals_ = precise;
  }
  return x.codes_.data();
}

const std::byte* MatMulAccess::Floats(Activations& x, ThreadPool& pool) {
  if (!x.has_floats_) {
    const int64_t row_bytes = (x.x_.shape[1] + 7) / 8 * cpu::kFloatBlockBytes;
    x.floats_.Grow(static_cast<size_t>(x.x_.shape[0] * row_bytes));
    ForTiles(x.x_.shape[0], pool, [&](int64_t row, int n) {
      cpu::CopyTile(x.x_, row, n, x.floats_.data() + row * row_bytes);
    });
    x.has_floats_ = true;
  }
  return x.floats_.data();
}

void MatMul(Activations& x, std::span<const MatMulJob> jobs, ThreadPool& pool) {
  const int64_t n_rows = MatMulAccess::X(x).shape[0];
  if (n_rows == 0) return;
  int64_t total = 0;
  for (const MatMulJob& job : jobs) {
    KV_CHECK(job.weights->n_in() == MatMulAccess::X(x).shape[1]);
    KV_CHECK(job.y.shape[0] == n_rows && job.y.shape[1] == job.weights->n_out());
    total += static_cast<int64_t>(job.weights->n_bytes());
    if (HasFloats(MatMulAccess::Kind(*job.weights))) {
      MatMulAccess::Floats(x, pool);
    } else {
      MatMulAccess::Codes(x, job.precise, pool);
    }
  }
  const int64_t most = pool.n_threads() == 1 ? 1 : pool.n_threads() * kTasksPerThread;
  const int64_t n_tasks = std::clamp<int64_t>(total * n_rows / kTaskBytes, 1, most);
  pool.For(n_tasks, [&](int64_t task, int) {
    int64_t first = total * task / n_tasks, last = total * (task + 1) / n_tasks;
    for (const MatMulJob& job : jobs) {
      const bool floats = HasFloats(MatMulAccess::Kind(*job.weights));
      const std::byte* prepared =
          floats ? MatMulAccess::Floats(x, pool) : MatMulAccess::Codes(x, job.precise, pool);
      const int64_t n_bytes = static_cast<int64_t>(job.weights->n_bytes());
      if (first < n_bytes && last > 0) {
        RunBytes(job, prepared, MatMulAccess::Residuals(x), n_rows, first, last);
      }
      first -= n_bytes;
      last -= n_bytes;
    }
  });
}

}  // namespace kvasir
