// Blocks of codes, their scales and minima, and what becomes of their sums. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// Codes of one page whose sums are made together because they share their weights: a group of
// channels, or one half of the slots.
struct Block {
  const uint32_t *low, *high;           // words of the first lane; high: of three bits
  const std::byte *next, *next_scales;  // of the next plane: to prefetch, from there on
  const std::byte *scales, *mins;       // of the weights, or of the lanes
  const float* x;                       // weights before they are rounded, of the first query
  float* out;                           // of the first lane and query
};

// Bytes of codes for each byte of scales and minima, at most: how many of these to prefetch.
constexpr int CodesPerConstant(int bits) { return bits <= 3 ? 2 : 4; }

// How blocks are read and where their sums go: the same for all.
struct Shape {
  int64_t row;            // words from one to the next of a lane
  int n_words;            // of a lane
  int n_lanes;            // a multiple of 8
  int64_t x_stride;       // floats from a query's x to the next one's
  int n_weights;          // a multiple of 8
  int64_t weight_stride;  // 32-bit units from a query's weights to the next one's
  int64_t block_stride;   // and from a block's
  int64_t out_stride;     // floats from a query's lanes to the next one's
  // The constants: value = min + scale * factor * (code - zero), the minima moved to `middle`.
  bool has_min;
  float factor, middle;
};

// The constants of some lanes or weights from the i-th on as floats. L: a type of vectors.
template <class L, bool kF32>
struct Constants {
  typename L::V scale, min;

  static HWY_INLINE typename L::V LoadFrom(const std::byte* array, int i) {
    if constexpr (kF32) return L::Load(reinterpret_cast<const float*>(array) + i);
    return L::LoadF16(reinterpret_cast<const uint16_t*>(array) + i);
  }
  static HWY_INLINE Constants At(const Block& block, const Shape& shape, int i) {
    Constants c;
    c.scale = L::Mul(LoadFrom(block.scales, i), L::Set(shape.factor));
    c.min = L::Set(0.0f);
    if (shape.has_min) c.min = L::Fma(L::Set(shape.middle), c.scale, LoadFrom(block.mins, i));
    return c;
  }
};

// out = step * sum + (out + offset)
struct AddTo {
  template <class L>
  struct Lanes {
    static HWY_INLINE Lanes At(const Block&, const Shape&, int) { return {}; }
    HWY_INLINE typename L::V Add(const Rounded& r, int query, typename L::V sum,
                                 typename L::V out) const {
      return L::Fma(L::Set(r.step[query]), sum, L::Add(out, L::Set(r.offset[query])));
    }
  };
};

// out = total * min + (scale * (step * sum + offset) + out), min and scale being the lane's.
template <bool kF32>
struct AddScaledTo {
  template <class L>
  struct Lanes {
    Constants<L, kF32> constants;
    static HWY_INLINE Lanes At(const Block& block, const Shape& shape, int lane) {
      return {Constants<L, kF32>::At(block, shape, lane)};
    }
    HWY_INLINE typename L::V Add(const Rounded& r, int query, typename L::V sum,
                                 typename L::V out) const {
      const auto product = L::Fma(L::Set(r.step[query]), sum, L::Set(r.offset[query]));
      return L::Fma(L::Set(r.total[query]), constants.min, L::Fma(constants.scale, product, out));
    }
  };
};
