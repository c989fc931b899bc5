// The product of panels with tiles of activations, over the primitives of an instruction set:
//   kLanes; F, I: vectors of f32 and of integers; Zero, Set, Load, LoadF16, LoadBF16, Store, Add,
//   Mul, Fma(a, b, c) = a b + c, ToFloat; SetInt, ShiftRight<n>, LoadInts, LowHalves, HighHalves
//   (nibbles of bytes); kCode8Offset; Dot4<n>, Dot8<n>(start, n quads of weights, activations):
//   start + exact integer sums of products.
// Included inside a target region and an anonymous namespace.

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

// acc[t] += the product of a block of weights with block x of T rows.
template <class S, PackedKind kKind, int T>
HWY_INLINE void AddBlock(const std::byte* values, const CodeBlock<T>& x, typename S::F (&acc)[T]) {
  using F = typename S::F;
  using I = typename S::I;
  constexpr PanelFormat kFormat = FormatOf(kKind);
  constexpr int kScaleBytes = S::kLanes * (kFormat.half_scales ? 2 : 4);
  constexpr int kGroupBytes = kScaleBytes * (kFormat.has_min ? 2 : 1);
  constexpr int kQuads = 8 / kFormat.groups;
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
    for (int t = 0; t < T; ++t) {
      const int32_t zero = kFormat.groups == 1 ? x.zero[t] : x.half_zero[t][g];
      const int8_t* codes = x.code[t] + g * kQuads * 4;
      I dot;
      if constexpr (kFormat.bits == 8) {
        dot = S::template Dot8<kQuads>(S::SetInt(S::kCode8Offset == 0 ? 0 : zero), quads, codes);
      } else if constexpr (kFormat.has_min) {
        dot = S::template Dot4<kQuads>(S::SetInt(0), quads, codes);
      } else {
        dot = S::template Dot4<kQuads>(S::template ShiftRight<4>(S::SetInt(zero)), quads, codes);
      }
      acc[t] = S::Fma(S::ToFloat(dot), S::Mul(scale, S::Set(x.scale[t])), acc[t]);
      if constexpr (kFormat.has_min && kFormat.groups == 1) {
        acc[t] = S::Fma(min, S::Set(x.sum[t]), acc[t]);
      } else if constexpr (kFormat.has_min) {
        const float sum = x.scale[t] * (static_cast<float>(zero) * (-1.0f / 128));
        acc[t] = S::Fma(min, S::Set(sum), acc[t]);
      }
    }
  }
}

template <class S, PackedKind kKind, int T>
HWY_INLINE void AddBlock(const std::byte* values, const FloatBlock<T>& x, typename S::F (&acc)[T]) {
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
    for (int t = 0; t < T; ++t) acc[t] = S::Fma(weights, S::Set(x.x[t][k]), acc[t]);
  }
}

// y = acc + bias, or y += acc + bias, for the rows of one panel.
template <class S>
HWY_INLINE void StoreRows(const PanelRange& range, int64_t panel, typename S::F acc, float* y) {
  const int64_t first = panel * S::kLanes, n = range.n_out - first;
  y += first;
  if (n >= S::kLanes) {
    if (range.bias != nullptr) acc = S::Add(acc, S::Load(range.bias + first));
    if (range.accumulate) acc = S::Add(S::Load(y), acc);
    S::Store(acc, y);
    return;
  }
  float sums[S::kLanes];
  S::Store(acc, sums);
  for (int64_t i = 0; i < n; ++i) {
    const float sum = range.bias != nullptr ? sums[i] + range.bias[first + i] : sums[i];
    y[i] = range.accumulate ? y[i] + sum : sum;
  }
}

template <class S, PackedKind kKind, int T>
HWY_NOINLINE void RunTile(const PanelRange& range, int64_t panel, int64_t row) {
  using Block = std::conditional_t<FormatOf(kKind).groups == 0, FloatBlock<T>, CodeBlock<T>>;
  const PanelShape& shape = range.shape;
  const std::byte* weights = range.panels + panel * shape.bytes;
  const int64_t row_bytes = shape.n_blocks * static_cast<int64_t>(sizeof(Block) / T);
  const auto* x = reinterpret_cast<const Block*>(range.x + row * row_bytes);
  typename S::F acc[T];
  HWY_UNROLL(16)
  for (int t = 0; t < T; ++t) acc[t] = S::Zero();
  for (int64_t b = 0; b < shape.n_blocks; ++b) {
    AddBlock<S, kKind, T>(weights, x[b], acc);
    weights += shape.block_bytes;
  }
  float* y = range.y + row * range.y_stride;
  HWY_UNROLL(16)
  for (int t = 0; t < T; ++t) StoreRows<S>(range, panel, acc[t], y + t * range.y_stride);
}

// Rows whose activations stay in the second-level cache while panels pass by.
constexpr int64_t kChunkBytes = 384 << 10;

template <class S, PackedKind kKind>
void RunPanels(const PanelRange& range) {
  const int64_t row_bytes =
      range.shape.n_blocks * (FormatOf(kKind).groups == 0 ? kFloatBlockBytes : kCodeBlockBytes);
  const int64_t chunk = std::max<int64_t>(16, kChunkBytes / row_bytes / 16 * 16);
  for (int64_t first = 0; first < range.n_rows; first += chunk) {
    const int64_t last = std::min(first + chunk, range.n_rows);
    for (int64_t panel = range.first_panel; panel < range.last_panel; ++panel) {
      int64_t row = first;
      for (; row + 16 <= last; row += 16) RunTile<S, kKind, 16>(range, panel, row);
      if (const int64_t left = last - row; left > 0) {
        if (left & 8) RunTile<S, kKind, 8>(range, panel, row), row += 8;
        if (left & 4) RunTile<S, kKind, 4>(range, panel, row), row += 4;
        if (left & 2) RunTile<S, kKind, 2>(range, panel, row), row += 2;
        if (left & 1) RunTile<S, kKind, 1>(range, panel, row);
      }
    }
  }
}

template <class S, int... kKinds>
constexpr MatMulKernels MakeKernels(std::integer_sequence<int, kKinds...>) {
  return {S::kLanes, S::kCode8Offset, {&RunPanels<S, static_cast<PackedKind>(kKinds)>...}};
}
