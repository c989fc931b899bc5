// Products of 16 rows of int8 activations on AMX tiles, where a chunk of the prompt or a batch has
// that many; fewer rows go to VNNI. Sums of a block are exact integers and are scaled in the order
// of matmul_tile-inl.h, so both paths give the same bits.
//
// A tile takes 32 inputs in 16 cycles, after which 16 x 16 sums are scaled by vectors: about 64
// vector instructions, which are the limit (VNNI needs three times as many).
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "hwy/base.h"
#include "kernels/cpu/matmul_layout.h"

#if HWY_COMPILER_GCC_ACTUAL  // of its own intrinsics, which start from undefined registers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

HWY_PUSH_ATTRIBUTES(
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vnni,amx-tile,amx-int8")
namespace kvasir::cpu {
namespace {

constexpr int kRows = 16, kLanes = 16;
constexpr int64_t kBlocks = 4;  // whose sums are made at a time

// A block of a panel as the tiles and the vectors want it.
struct alignas(64) WideBlock {
  uint8_t code[8][64];  // quads; see matmul_layout.h
  float scale[kLanes], min[kLanes];
};

// Palette 1: tiles 0 to 3 are sums, 4 and 6 activations, 5 and 7 weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 32, 64, 32, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 8, 16, 8};
};

HWY_INLINE __m512 WidenScales(const std::byte* at, bool half) {
  if (!half) return _mm512_loadu_ps(at);
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

template <PackedKind kKind>
void WidenPanel(const std::byte* panel, const PanelShape& shape, WideBlock* out) {
  constexpr PanelFormat kFormat = FormatOf(kKind);
  constexpr int kScaleBytes = kLanes * (kFormat.half_scales ? 2 : 4);
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t b = 0; b < shape.n_blocks; ++b, panel += shape.block_bytes, ++out) {
    if constexpr (kFormat.bits == 4) {
      for (int v = 0; v < 4; ++v) {
        const __m512i raw = _mm512_loadu_si512(panel + 64 * v);
        _mm512_store_si512(out->code[v], _mm512_and_si512(raw, low));
        _mm512_store_si512(out->code[v + 4], _mm512_and_si512(_mm512_srli_epi16(raw, 4), low));
      }
    } else {
      std::memcpy(out->code, panel, sizeof out->code);
    }
    const std::byte* scales = panel + shape.value_bytes;
    _mm512_store_ps(out->scale, WidenScales(scales, kFormat.half_scales));
    if constexpr (kFormat.has_min) {
      _mm512_store_ps(out->min, WidenScales(scales + kScaleBytes, kFormat.half_scales));
    }
  }
}

// sum[t] += the scaled sums of a block, row after row.
template <PackedKind kKind>
HWY_INLINE void AddScaled(const int32_t (&dots)[kRows][kLanes], const WideBlock& weights,
                          const CodeBlock<kRows>& x, __m512 (&sum)[kRows]) {
  constexpr PanelFormat kFormat = FormatOf(kKind);
  const __m512 scale = _mm512_load_ps(weights.scale);
  const __m512 min = kFormat.has_min ? _mm512_load_ps(weights.min) : scale;
  HWY_UNROLL(16)
  for (int t = 0; t < kRows; ++t) {
    __m512i dot = _mm512_load_si512(dots[t]);
    if constexpr (kFormat.bits == 8) dot = _mm512_add_epi32(dot, _mm512_set1_epi32(x.zero[t]));
    if constexpr (kFormat.bits == 4 && !kFormat.has_min) {
      dot = _mm512_add_epi32(dot, _mm512_set1_epi32(x.zero[t] >> 4));
    }
    const __m512 by = _mm512_mul_ps(scale, _mm512_set1_ps(x.scale[t]));
    sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), by, sum[t]);
    if constexpr (kFormat.has_min) {
      sum[t] = _mm512_fmadd_ps(min, _mm512_set1_ps(x.sum[t]), sum[t]);
    }
  }
}

// The intrinsics take the numbers of tiles as text.
#define KVASIR_MULTIPLY(i, sums, activations, codes) \
  _tile_zero(sums);                                  \
  _tile_loadd(activations, x[i].code, 32);           \
  _tile_loadd(codes, weights[i].code, 64);           \
  _tile_dpbsud(sums, activations, codes);

// The sums of up to four blocks.
HWY_INLINE void Multiply(const WideBlock* weights, const CodeBlock<kRows>* x, int64_t n,
                         int32_t (&dots)[kBlocks][kRows][kLanes]) {
  KVASIR_MULTIPLY(0, 0, 4, 5)
  if (n > 1) {
    KVASIR_MULTIPLY(1, 1, 6, 7)
  }
  if (n > 2) {
    KVASIR_MULTIPLY(2, 2, 4, 5)
  }
  if (n > 3) {
    KVASIR_MULTIPLY(3, 3, 6, 7)
  }
  _tile_stored(0, dots[0], 64);
  if (n > 1) _tile_stored(1, dots[1], 64);
  if (n > 2) _tile_stored(2, dots[2], 64);
  if (n > 3) _tile_stored(3, dots[3], 64);
}
#undef KVASIR_MULTIPLY

// y = sum + bias, or y += sum + bias, for the rows of one panel that there are.
HWY_INLINE void StoreRow(const PanelRange& range, int64_t panel, __m512 sum, float* y) {
  const int64_t first = panel * kLanes;
  const int n = static_cast<int>(std::min<int64_t>(kLanes, range.n_out - first));
  const auto mask = static_cast<__mmask16>((1u << n) - 1);
  if (range.bias != nullptr) {
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, range.bias + first));
  }
  if (range.accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y + first), sum);
  _mm512_mask_storeu_ps(y + first, mask, sum);
}

// `next` is asked for meanwhile, where it is not null: as many bytes as the panel has.
template <PackedKind kKind>
void RunTile(const PanelRange& range, const WideBlock* weights, int64_t panel, int64_t row,
             const std::byte* next) {
  const int64_t n_blocks = range.shape.n_blocks;
  const auto* x =
      reinterpret_cast<const CodeBlock<kRows>*>(range.x + row * n_blocks * kCodeBlockBytes);
  __m512 sum[kRows];
  HWY_UNROLL(16)
  for (int t = 0; t < kRows; ++t) sum[t] = _mm512_setzero_ps();
  // A product takes 52 cycles from its tiles to its sums: four are under way, and the sums of the
  // four before are scaled meanwhile.
  alignas(64) int32_t dots[2][kBlocks][kRows][kLanes];
  const auto scale = [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      AddScaled<kKind>(dots[first / kBlocks & 1][b - first], weights[b], x[b], sum);
    }
  };
  for (int64_t first = 0; first < n_blocks; first += kBlocks) {
    Multiply(weights + first, x + first, std::min(kBlocks, n_blocks - first),
             dots[first / kBlocks & 1]);
    if (next != nullptr) {
      const int64_t bytes = std::min(kBlocks, n_blocks - first) * range.shape.block_bytes;
      for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(next + at, 0, 2);
      next += bytes;
    }
    if (first > 0) scale(first - kBlocks, first);
  }
  scale((n_blocks - 1) / kBlocks * kBlocks, n_blocks);
  float* y = range.y + row * range.y_stride;
  HWY_UNROLL(16)
  for (int t = 0; t < kRows; ++t, y += range.y_stride) StoreRow(range, panel, sum[t], y);
}

// Rows whose activations stay in the second-level cache while panels pass by.
constexpr int64_t kChunkBytes = 768 << 10;

template <PackedKind kKind>
void RunPanels(const PanelRange& range) {
  const int64_t row_bytes = range.shape.n_blocks * kCodeBlockBytes;
  const int64_t n_tiled = range.n_rows / kRows * kRows;
  if (n_tiled > 0) {
    const int64_t chunk = std::max<int64_t>(kRows, kChunkBytes / row_bytes / kRows * kRows);
    thread_local std::vector<WideBlock> wide;
    if (std::ssize(wide) < range.shape.n_blocks) wide.resize(range.shape.n_blocks);
    const TileConfig config;
    _tile_loadconfig(&config);
    for (int64_t first = 0; first < n_tiled; first += chunk) {
      const int64_t last = std::min(first + chunk, n_tiled);
      for (int64_t p = range.first_panel; p < range.last_panel; ++p) {
        WidenPanel<kKind>(range.panels + p * range.shape.bytes, range.shape, wide.data());
        asm volatile("" ::: "memory");  // GCC 12 does not know that tiles are loaded from memory
        // The panel after this one, or what follows the range: the next matrix of the arena.
        const std::byte* next = range.panels + (p + 1) * range.shape.bytes;
        for (int64_t row = first; row < last; row += kRows) {
          RunTile<kKind>(range, wide.data(), p, row, row == first ? next : nullptr);
        }
      }
    }
    _tile_release();  // else the kernel saves 8 KiB more at each switch of threads
  }
  if (n_tiled == range.n_rows) return;
  PanelRange rest = range;
  rest.x += n_tiled * row_bytes;
  rest.y += n_tiled * range.y_stride;
  rest.n_rows -= n_tiled;
  MatMulAvx512Vnni().run[static_cast<int>(kKind)](rest);
}

template <int... kKinds>
MatMulKernels MakeKernels(std::integer_sequence<int, kKinds...>) {
  MatMulKernels kernels = MatMulAvx512Vnni();
  const auto replace = [&]<int kKind>(std::integral_constant<int, kKind>) {
    if constexpr (kPanelFormats[kKind].groups == 1) {
      kernels.run[kKind] = &RunPanels<static_cast<PackedKind>(kKind)>;
    }
  };
  (replace(std::integral_constant<int, kKinds>()), ...);
  return kernels;
}

}  // namespace

const MatMulKernels& MatMulAmx() {
  static const MatMulKernels kKernels =
      MakeKernels(std::make_integer_sequence<int, kPackedKinds>());
  return kKernels;
}

}  // namespace kvasir::cpu
HWY_POP_ATTRIBUTES
