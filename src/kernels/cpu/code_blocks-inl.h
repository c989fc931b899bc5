// Blocks of codes, their scales and minima, and what becomes of their sums. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// Words of a query's weights, of up to 256 codes.
constexpr int kMostWeights = kMostChannels / 2;

// Weights of codes of so many bits have 8 bits, four in a word, or 16, two words for four.
constexpr bool WeightsHave8Bits(int bits) { return bits <= 2; }

// The codes from bit `shift` on of each byte.
template <class S, int kBits>
HWY_INLINE typename S::I Field(typename S::I words, int shift) {
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  return S::And(S::ShiftRight(words, shift), S::Set(static_cast<int32_t>(kMask)));
}

// Codes 4 * quad to 4 * quad + 3 of a word, a byte each. kOddScaled: of odd quads 2^kBits times as
// much, which takes no shift of their own.
template <class S, int kBits, bool kOddScaled>
HWY_INLINE typename S::I Quad(typename S::I low, [[maybe_unused]] typename S::I high, int quad) {
  if constexpr (kBits == 8) {
    return low;
  } else if constexpr (kOddScaled) {
    constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
    const uint32_t mask = quad % 2 == 0 ? kMask : kMask << kBits;
    return S::And(S::ShiftRight(low, quad / 2 * 2 * kBits), S::Set(static_cast<int32_t>(mask)));
  } else if constexpr (kBits == 3) {
    return S::Or(Field<S, 2>(low, quad * 2), S::ShiftLeft2(Field<S, 1>(high, quad)));
  } else {
    return Field<S, kBits>(low, quad * kBits);
  }
}

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
  bool add = true;        // to what is there; else it is overwritten
  // The constants: value = min + scale * factor * (code - zero), the minima moved to `middle`.
  bool has_min;
  float factor, middle;
};

inline Shape ShapeOf(const Grid& grid, int n_inner) {
  Shape shape{};
  shape.row = grid.n_lanes();
  shape.n_words = WordsOf(n_inner, grid.bits == 3 ? 2 : grid.bits);
  shape.has_min = grid.has_min;
  shape.factor = grid.factor;
  shape.middle = MiddleOf(grid);
  return shape;
}

// Where a part of a plane lies that becomes a block: one half of the slots, or a group of channels.
struct Part {
  int64_t scales, mins, low, high;  // bytes from the plane's begin
  int64_t next, next_scales;
  int x, out;      // floats
  uint64_t slots;  // that it has
};

// With the constants from `constant` on and the words of `n_inner` codes a lane from this lane of
// an inner group on.
inline Part PartOf(const Grid& grid, int constant, int inner_group, int n_inner, int lane) {
  const int bits = grid.bits == 3 ? 2 : grid.bits;
  const int64_t row = grid.n_lanes(), before = BlocksBefore(grid, inner_group, bits) * row;
  const int64_t ahead = (before + int64_t{lane} * WordsOf(n_inner, bits)) * 4;
  return {.scales = grid.scales + int64_t{constant} * grid.scale_bytes(),
          .mins = grid.mins + int64_t{constant} * grid.scale_bytes(),
          .low = grid.codes + (before + lane) * 4,
          .high = grid.high_codes + (BlocksBefore(grid, inner_group, 1) * row + lane) * 4,
          .next = grid.codes + ahead,
          .next_scales = grid.scales + ahead / CodesPerConstant(grid.bits),
          .x = 0,
          .out = 0,
          .slots = ~uint64_t{0}};
}

HWY_INLINE Block BlockOf(const std::byte* plane, const std::byte* next, const Part& part,
                         const float* x, float* out) {
  const auto words = [](const std::byte* at) { return reinterpret_cast<const uint32_t*>(at); };
  return {.low = words(plane + part.low),
          .high = words(plane + part.high),
          .next = next + part.next,
          .next_scales = next + part.next_scales,
          .scales = plane + part.scales,
          .mins = plane + part.mins,
          .x = x + part.x,
          .out = out + part.out};
}

// The scales and minima of a group of values, of slots that are not seen zeros: there may be
// anything.
struct Masked {
  alignas(8) std::byte scales[kPageEntries * 4], mins[kPageEntries * 4];
};
inline void Mask(const Grid& grid, uint64_t seen, Block& block, Masked& masked) {
  const int size = grid.scale_bytes();
  std::memcpy(masked.scales, block.scales, kPageEntries * size);
  if (grid.has_min) std::memcpy(masked.mins, block.mins, kPageEntries * size);
  for (uint64_t hidden = ~seen; hidden != 0; hidden &= hidden - 1) {
    const int64_t at = int64_t{__builtin_ctzll(hidden)} * size;
    std::memset(masked.scales + at, 0, size);
    std::memset(masked.mins + at, 0, size);
  }
  block.scales = masked.scales;
  block.mins = masked.mins;
}

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
  static constexpr bool kOfLanes = false;
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
  static constexpr bool kOfLanes = true;
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
