// The product of panels with tiles of activations, over the primitives of an instruction set: those
// of matmul_block-inl.h, and kCodeRows, kFloatRows: rows a tile; kPanelsADot: panels that tiles of
// four rows of codes and more multiply at once.
// Included inside a target region and an anonymous namespace.

#include "kernels/cpu/matmul_block-inl.h"

// The last panel of a matrix, whose rows are not all there.
template <class S>
HWY_NOINLINE void StorePart(const PanelRange& range, int64_t first, const float* sums, float* y) {
  for (int64_t i = 0; i < range.n_out - first; ++i) {
    const float sum = range.bias != nullptr ? sums[i] + range.bias[first + i] : sums[i];
    y[i] = range.accumulate ? y[i] + sum : sum;
  }
}

// y = acc + bias, or y += acc + bias, for the rows of one panel.
template <class S>
HWY_INLINE void StoreRows(const PanelRange& range, int64_t panel, typename S::F acc, float* y) {
  const int64_t first = panel * S::kLanes;
  y += first;
  if (range.n_out - first < S::kLanes) {
    float sums[S::kLanes];
    S::Store(acc, sums);
    return StorePart<S>(range, first, sums, y);
  }
  if (range.bias != nullptr) acc = S::Add(acc, S::Load(range.bias + first));
  if (range.accumulate) acc = S::Add(S::Load(y), acc);
  S::Store(acc, y);
}

// How far ahead of the products weights are asked for, into the second-level cache. The hardware's
// prefetchers stop at the end of each 4 KiB, huge pages or not; with several rows the window of
// instructions ends before they start again. At the end of a range this reads on into what follows,
// which is the next matrix of the arena or the next range.
constexpr int64_t kPrefetchBytes = 8 << 10;

template <class S, PackedKind kKind>
HWY_INLINE void PrefetchBlock(const std::byte* weights) {
  constexpr int64_t kBytes = PanelShape(kKind, S::kLanes, 1).block_bytes;
  HWY_UNROLL(16)
  for (int64_t at = 0; at < kBytes; at += 64) {
    __builtin_prefetch(weights + kPrefetchBytes + at, /*rw=*/0, /*locality=*/2);
  }
}

// M panels times a tile of T rows.
template <class S, PackedKind kKind, int T, int M>
HWY_NOINLINE void RunTile(const PanelRange& range, int64_t panel, int64_t row) {
  constexpr bool kFloats = FormatOf(kKind).groups == 0;
  using Block = std::conditional_t<kFloats, FloatBlock<T>, CodeBlock<T>>;
  constexpr int kMost = kFloats ? S::kFloatRows : S::kCodeRows;
  constexpr int N = T < kMost ? T : kMost;
  const PanelShape shape = range.shape;
  const int64_t row_bytes = shape.n_blocks * static_cast<int64_t>(sizeof(Block) / T);
  const auto* x = reinterpret_cast<const Block*>(range.x + row * row_bytes);
  for (int first = 0; first < T; first += N) {
    const std::byte* weights = range.panels + panel * shape.bytes;
    typename S::F acc[M][N];
    HWY_UNROLL(4)
    for (int m = 0; m < M; ++m) {
      HWY_UNROLL(16)
      for (int t = 0; t < N; ++t) acc[m][t] = S::Zero();
    }
    for (int64_t b = 0; b < shape.n_blocks; ++b) {
      HWY_UNROLL(4)
      for (int m = 0; m < M && first == 0; ++m) PrefetchBlock<S, kKind>(weights + m * shape.bytes);
      AddBlock<S, kKind>(weights, shape.bytes, x[b], first, acc);
      weights += shape.block_bytes;
    }
    float* y = range.y + (row + first) * range.y_stride;
    HWY_UNROLL(16)
    for (int t = 0; t < N; ++t, y += range.y_stride) {
      HWY_UNROLL(4)
      for (int m = 0; m < M; ++m) StoreRows<S>(range, panel + m, acc[m][t], y);
    }
  }
}

// Tiles of rows [first, last) with M panels.
template <class S, PackedKind kKind, int M>
void RunRows(const PanelRange& range, int64_t panel, int64_t first, int64_t last) {
  // Of one or two rows, weights are waited for, and one stream of them is read fastest.
  const auto few = [&]<int T>(std::integral_constant<int, T>, int64_t row) {
    for (int m = 0; m < M; ++m) RunTile<S, kKind, T, 1>(range, panel + m, row);
  };
  int64_t row = first;
  for (; row + 16 <= last; row += 16) RunTile<S, kKind, 16, M>(range, panel, row);
  const int64_t left = last - row;
  if (left & 8) RunTile<S, kKind, 8, M>(range, panel, row), row += 8;
  if (left & 4) RunTile<S, kKind, 4, M>(range, panel, row), row += 4;
  if (left & 2) few(std::integral_constant<int, 2>(), row), row += 2;
  if (left & 1) few(std::integral_constant<int, 1>(), row);
}

// Rows whose activations and outputs stay in the second-level cache while panels pass by.
constexpr int64_t kChunkBytes = 256 << 10;

template <class S, PackedKind kKind>
void RunPanels(const PanelRange& range) {
  constexpr bool kFloats = FormatOf(kKind).groups == 0;
  const int64_t row_bytes = range.shape.n_blocks * (kFloats ? kFloatBlockBytes : kCodeBlockBytes);
  int64_t panel = range.first_panel;
  const int64_t y_bytes =
      (range.last_panel - panel) * S::kLanes * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::max<int64_t>(16, kChunkBytes / (row_bytes + y_bytes) / 16 * 16);
  if constexpr (kFloats) {
    // A single row is a chain of dependent multiply-adds: four panels make four.
    if (range.n_rows == 1) {
      for (; panel + 4 <= range.last_panel; panel += 4) RunTile<S, kKind, 1, 4>(range, panel, 0);
    }
  }
  for (int64_t first = 0; first < range.n_rows; first += chunk) {
    const int64_t last = std::min(first + chunk, range.n_rows);
    int64_t p = panel;
    if constexpr (!kFloats && S::kPanelsADot == 2) {
      for (; p + 2 <= range.last_panel; p += 2) RunRows<S, kKind, 2>(range, p, first, last);
    }
    for (; p < range.last_panel; ++p) RunRows<S, kKind, 1>(range, p, first, last);
  }
}

template <class S, int... kKinds>
constexpr MatMulKernels MakeKernels(std::integer_sequence<int, kKinds...>) {
  return {S::kLanes, S::kCode8Offset, {&RunPanels<S, static_cast<PackedKind>(kKinds)>...}};
}
