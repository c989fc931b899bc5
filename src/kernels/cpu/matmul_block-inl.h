// A block of a panel times a block of activations, over the primitives of an instruction set:
//   kLanes; F, I: vectors of f32 and of integers; Zero, Set, Load, LoadF16, LoadBF16, Store, Add,
//   Mul, Fma(a, b, c) = a b + c, ToFloat; SetInt, ShiftRight<n>, LoadInts, LowHalves, HighHalves
//   (nibbles of bytes); kCode8Offset; Dot4<n>, Dot8<n>(quads, x, sums): adds to the sum of each
//   row the exact products of n quads of weights with x[row], for kRowsADot rows at once.
// Included by matmul_tile-inl.h.

template <class S, int kBits>
struct Quads {
  typename S::I quad[8];
  HWY_INLINE explicit Quads(const uint8_t* values) {
    if constexpr (kBits == 4) {
      HWY_UNROLL(4)
      for (int v = 0; v < 4; ++v) {
        const typename S::I raw = S::LoadInts(values + v * S::kLanes * 4);
        quad[v] = S::LowHalves(raw);
        quad[v + 4] = S::HighHalves(raw);
      }
    } else {
      HWY_UNROLL(8)
      for (int v = 0; v < 8; ++v) quad[v] = S::LoadInts(values + v * S::kLanes * 4);
    }
  }
};

template <class S, bool kHalf>
HWY_INLINE typename S::F LoadScales(const std::byte* at) {
  if constexpr (kHalf) {
    return S::LoadF16(reinterpret_cast<const uint16_t*>(at));
  } else {
    return S::Load(reinterpret_cast<const float*>(at));
  }
}

// acc[t] += the product of a block of weights with rows first + t of a block of activations.
template <class S, PackedKind kKind, int T, int N>
HWY_INLINE void AddBlock(const std::byte* values, const CodeBlock<T>& x, int first,
                         typename S::F (&acc)[N]) {
  using F = typename S::F;
  using I = typename S::I;
  constexpr PanelFormat kFormat = FormatOf(kKind);
  constexpr int kScaleBytes = S::kLanes * (kFormat.half_scales ? 2 : 4);
  constexpr int kGroupBytes = kScaleBytes * (kFormat.has_min ? 2 : 1);
  constexpr int kQuads = 8 / kFormat.groups;
  constexpr int kRows = N < S::kRowsADot ? N : S::kRowsADot;
  const std::byte* scales = values + S::kLanes * 4 * kFormat.bits;
  const Quads<S, kFormat.bits> weights(reinterpret_cast<const uint8_t*>(values));
  HWY_UNROLL(2)
  for (int g = 0; g < kFormat.groups; ++g) {
    const I* quads = weights.quad + g * kQuads;
    const F scale = LoadScales<S, kFormat.half_scales>(scales + g * kGroupBytes);
    F min = scale;
    if constexpr (kFormat.has_min) {
      min = LoadScales<S, kFormat.half_scales>(scales + g * kGroupBytes + kScaleBytes);
    }
    HWY_UNROLL(16)
    for (int t = 0; t < N; t += kRows) {
      I dot[kRows];
      const int8_t* codes[kRows];
      HWY_UNROLL(4)
      for (int i = 0; i < kRows; ++i) {
        const int row = first + t + i;
        const int32_t zero = kFormat.groups == 1 ? x.zero[row] : x.half_zero[row][g];
        constexpr bool kUnsigned = kFormat.bits == 4 ? kFormat.has_min : S::kCode8Offset == 0;
        dot[i] = S::SetInt(kUnsigned ? 0 : zero);
        if constexpr (kFormat.bits == 4 && !kUnsigned) dot[i] = S::template ShiftRight<4>(dot[i]);
        codes[i] = x.code[row] + g * kQuads * 4;
      }
      if constexpr (kFormat.bits == 4) {
        S::template Dot4<kQuads, kRows>(quads, codes, dot);
      } else {
        S::template Dot8<kQuads, kRows>(quads, codes, dot);
      }
      HWY_UNROLL(4)
      for (int i = 0; i < kRows; ++i) {
        const int row = first + t + i;
        F& sum = acc[t + i];
        sum = S::Fma(S::ToFloat(dot[i]), S::Mul(scale, S::Set(x.scale[row])), sum);
        if constexpr (kFormat.has_min && kFormat.groups == 1) {
          sum = S::Fma(min, S::Set(x.sum[row]), sum);
        } else if constexpr (kFormat.has_min) {
          const float codes_sum = static_cast<float>(x.half_zero[row][g]) * (-1.0f / 128);
          sum = S::Fma(min, S::Set(x.scale[row] * codes_sum), sum);
        }
      }
    }
  }
}

template <class S, PackedKind kKind, int T, int N>
HWY_INLINE void AddBlock(const std::byte* values, const FloatBlock<T>& x, int first,
                         typename S::F (&acc)[N]) {
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
    for (int t = 0; t < N; ++t) acc[t] = S::Fma(weights, S::Set(x.x[first + t][k]), acc[t]);
  }
}
