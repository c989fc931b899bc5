// Blocks of codes, their scales and minima, and what becomes of their sums. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// Scales and minima of some lanes or weights as floats; the minima moved to the middle code.
struct Constants {
  alignas(64) float scale[kMostChannels];
  alignas(64) float min[kMostChannels];
};

// Codes of one page whose sums are made together, because they share their weights: a group of
// channels or one half of the slots. Only what differs between the blocks of one grid.
struct Block {
  const uint32_t *low, *high;  // words of the first lane; high: of three bits
  const uint32_t* next;        // of the next plane: to prefetch, from there on
  const std::byte *scales, *mins;
  uint64_t seen;         // of the page
  const float* x;        // weights before they are rounded, rows of queries apart as the others'
  Constants* constants;  // read from scales and mins
  const int32_t* weights;
  const Rounded* rounded;
  float* out;  // of the first lane and query
  int n_lanes;
};

template <class L, bool kF32>
HWY_INLINE typename L::V LoadConstants(const std::byte* array, int i) {
  if constexpr (kF32) return L::Load(reinterpret_cast<const float*>(array) + i);
  return L::LoadF16(reinterpret_cast<const uint16_t*>(array) + i);
}

template <class S, bool kF32, bool kHasMin>
HWY_NOINLINE void ReadConstantsOf(const Grid& grid, const Block* blocks, int n_blocks, int n) {
  const float factor = grid.factor, middle = MiddleOf(grid);
  for (int b = 0; b < n_blocks; ++b) {
    const std::byte *scales = blocks[b].scales, *mins = blocks[b].mins;
    float* HWY_RESTRICT scale_to = blocks[b].constants->scale;
    float* HWY_RESTRICT min_to = blocks[b].constants->min;
    OverLanes<S>(n, [=]<class L>(L, int i) {
      const auto scale = L::Mul(LoadConstants<L, kF32>(scales, i), L::Set(factor));
      auto min = L::Set(0.0f);
      if constexpr (kHasMin) {
        min = L::Fma(L::Set(middle), scale, LoadConstants<L, kF32>(mins, i));
      }
      L::Store(scale, scale_to + i);
      L::Store(min, min_to + i);
    });
  }
}

// n, a multiple of 8, of each block. Minima are zeros where there are none.
template <class S>
void ReadConstants(const Grid& grid, const Block* blocks, int n_blocks, int n) {
  const auto read =
      grid.f32 ? grid.has_min ? ReadConstantsOf<S, true, true> : ReadConstantsOf<S, true, false>
      : grid.has_min ? ReadConstantsOf<S, false, true>
                     : ReadConstantsOf<S, false, false>;
  read(grid, blocks, n_blocks, n);
}

// Zero for slots that are not seen: they may hold anything.
inline void MaskConstants(const Block* blocks, int n_blocks) {
  for (int b = 0; b < n_blocks; ++b) {
    if (blocks[b].seen == ~uint64_t{0}) continue;
    Constants& constants = *blocks[b].constants;
    for (int slot = 0; slot < kPageEntries; ++slot) {
      if ((blocks[b].seen >> slot & 1) == 0) constants.scale[slot] = constants.min[slot] = 0;
    }
  }
}

// How blocks' sums are made and where they go: the same for all blocks.
struct SumShape {
  int64_t row;            // words from one to the next of a lane
  int n_words;            // of a lane
  int64_t weight_stride;  // 32-bit units from a query's weights to the next one's
  int64_t out_stride;     // floats from a query's lanes to the next one's
  bool add;               // to what is in `out`; or write it
  bool has_min;
};

// out = step * sum + (out + offset)
struct AddTo {
  template <class L>
  static HWY_INLINE void Put(const Block& block, const SumShape& shape, int query, int lane,
                             typename L::V sum) {
    float* to = block.out + query * shape.out_stride + lane;
    const auto offset = L::Set(block.rounded->offset[query]);
    const auto before = shape.add ? L::Add(L::Load(to), offset) : offset;
    L::Store(L::Fma(L::Set(block.rounded->step[query]), sum, before), to);
  }
};

// out = total * min + (scale * (step * sum + offset) + out), min and scale being the lane's.
struct AddScaledTo {
  template <class L>
  static HWY_INLINE void Put(const Block& block, const SumShape& shape, int query, int lane,
                             typename L::V sum) {
    float* to = block.out + query * shape.out_stride + lane;
    const Rounded& r = *block.rounded;
    const auto before = shape.add ? L::Load(to) : L::Set(0.0f);
    const auto product = L::Fma(L::Set(r.step[query]), sum, L::Set(r.offset[query]));
    auto x = L::Fma(L::Load(block.constants->scale + lane), product, before);
    if (shape.has_min) x = L::Fma(L::Set(r.total[query]), L::Load(block.constants->min + lane), x);
    L::Store(x, to);
  }
};
