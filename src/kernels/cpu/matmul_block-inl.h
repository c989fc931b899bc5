// A block of a panel times a block of activations, over the primitives of an instruction set:
//   kLanes; F, I: vectors of f32 and of integers; Zero, Set, Load, LoadF16, LoadBF16, Store, Add,
//   Mul, Fma(a, b, c) = a b + c, ToFloat; SetInt, ShiftRight<n>, LoadInts, LowHalves, HighHalves
//   (nibbles of bytes); kCode8Offset; Dot4<n>, Dot8<n>(quads, first, x, sums): adds to sums[m][row]
//   the exact products of n quads of panel m, from `first` on, with x[row], for kRowsADot rows at
//   once.
// Included by matmul_tile-inl.h.

template <class S, int kBits>
HWY_INLINE void LoadQuads(const std::byte* values, typename S::I (&quads)[8]) {
  const auto* at = reinterpret_cast<const uint8_t*>(values);
  if constexpr (kBits == 4) {
    HWY_UNROLL(4)
    for (int v = 0; v < 4; ++v) {
      const typename S::I raw = S::LoadInts(at + v * S::kLanes * 4);
      quads[v] = S::LowHalves(raw);
      quads[v + 4] = S::HighHalves(raw);
    }
  } else {
    HWY_UNROLL(8)
    for (int v = 0; v < 8; ++v) quads[v] = S::LoadInts(at + v * S::kLanes * 4);
  }
}

template <class S, bool kHalf>
HWY_INLINE typename S::F LoadScales(const std::byte* at) {
  if constexpr (kHalf) {
    return S::LoadF16(reinterpret_cast<const uint16_t*>(at));
  } else {
    return S::Load(reinterpret_cast<const float*>(at));
  }
}

// acc[m][t] += the product of a block of panel m, panels being `stride` bytes apart, with rows
// first + t of a block of activations.
template <class S, PackedKind kKind, int T, int M, int N>
HWY_INLINE void AddBlock(const std::byte* values, int64_t stride, const CodeBlock<T>& x, int first,
                         typename S::F (&acc)[M][N]) {
  using F = typename S::F;
  using I = typename S::I;
  constexpr PanelFormat kFormat = FormatOf(kKind);
  constexpr int kScaleBytes = S::kLanes * (kFormat.half_scales ? 2 : 4);
  constexpr int kGroupBytes = kScaleBytes * (kFormat.has_min ? 2 : 1);
  constexpr int kQuads = 8 / kFormat.groups;
  constexpr int kRows = N < S::kRowsADot ? N : S::kRowsADot;
  I quads[M][8];
  HWY_UNROLL(2)
  for (int m = 0; m < M; ++m) LoadQuads<S, kFormat.bits>(values + m * stride, quads[m]);
  HWY_UNROLL(2)
  for (int g = 0; g < kFormat.groups; ++g) {
    F scale[M], min[M];
    HWY_UNROLL(2)
    for (int m = 0; m < M; ++m) {
      const std::byte* at = values + m * stride + S::kLanes * 4 * kFormat.bits + g * kGroupBytes;
      scale[m] = LoadScales<S, kFormat.half_scales>(at);
      if constexpr (kFormat.has_min) min[m] = LoadScales<S, kFormat.half_scales>(at + kScaleBytes);
    }
    HWY_UNROLL(16)
    for (int t = 0; t < N; t += kRows) {
      I dot[M][kRows];
      const int8_t* codes[kRows];
      HWY_UNROLL(4)
      for (int i = 0; i < kRows; ++i) {
        const int row = first + t + i;
        const int32_t zero = kFormat.groups == 1 ? x.zero[row] : x.half_zero[row][g];
        constexpr bool kUnsigned = kFormat.bits == 4 ? kFormat.has_min : S::kCode8Offset == 0;
        I start = S::SetInt(kUnsigned ? 0 : zero);
        if constexpr (kFormat.bits == 4 && !kUnsigned) start = S::template ShiftRight<4>(start);
        HWY_UNROLL(2)
        for (int m = 0; m < M; ++m) dot[m][i] = start;
        codes[i] = x.code[row] + g * kQuads * 4;
      }
      if constexpr (kFormat.bits == 4) {
        S::template Dot4<kQuads>(quads, g * kQuads, codes, dot);
      } else {
        S::template Dot8<kQuads>(quads, g * kQuads, codes, dot);
      }
      HWY_UNROLL(4)
      for (int i = 0; i < kRows; ++i) {
        const int row = first + t + i;
        const F x_scale = S::Set(x.scale[row]);
        F x_sum = x_scale;
        if constexpr (kFormat.has_min && kFormat.groups == 1) {
          x_sum = S::Set(x.sum[row]);
        } else if constexpr (kFormat.has_min) {
          const float codes_sum = static_cast<float>(x.half_zero[row][g]) * (-1.0f / 128);
          x_sum = S::Set(x.scale[row] * codes_sum);
        }
        HWY_UNROLL(2)
        for (int m = 0; m < M; ++m) {
          F& sum = acc[m][t + i];
          sum = S::Fma(S::ToFloat(dot[m][i]), S::Mul(scale[m], x_scale), sum);
          if constexpr (kFormat.has_min) sum = S::Fma(min[m], x_sum, sum);
        }
      }
    }
  }
}

template <class S, PackedKind kKind, int T, int M, int N>
HWY_INLINE void AddBlock(const std::byte* values, int64_t stride, const FloatBlock<T>& x, int first,
                         typename S::F (&acc)[M][N]) {
  HWY_UNROLL(4)
  for (int m = 0; m < M; ++m, values += stride) {
    HWY_UNROLL(8)
    for (int k = 0; k < 8; ++k) {
      typename S::F weights;
      if constexpr (kKind == PackedKind::kF32) {
        weights = S::Load(reinterpret_cast<const float*>(values) + k * S::kLanes);
      } else if constexpr (kKind == PackedKind::kF16) {
        weights = S::LoadF16(reinterpret_cast<const uint16_t*>(values) + k * S::kLanes);
      } else {
        weights = S::LoadBF16(reinterpret_cast<const uint16_t*>(values) + k * S::kLanes);
      }
      HWY_UNROLL(16)
      for (int t = 0; t < N; ++t) acc[m][t] = S::Fma(weights, S::Set(x.x[first + t][k]), acc[m][t]);
    }
  }
}
