// What sums of integers stand for: the scales and minima of a plane, and the way back to floats.
// Over the primitives of code_dot-inl.h. Included inside a target region and an anonymous
// namespace.

// Half of the codes' range: what they are counted from.
HWY_INLINE float MiddleOf(const Grid& grid) {
  return grid.has_min ? static_cast<float>((1 << grid.bits) - 1) / 2 : grid.zero;
}

// Scales and minima of some lanes or weights as floats; the minima moved to the middle code.
struct Constants {
  alignas(64) float scale[kMostChannels];
  alignas(64) float min[kMostChannels];
};

template <class L>
HWY_INLINE typename L::V LoadConstants(const Grid& grid, const std::byte* array, int64_t index) {
  if (grid.f32) return L::Load(reinterpret_cast<const float*>(array) + index);
  return L::LoadF16(reinterpret_cast<const uint16_t*>(array) + index);
}

// From element `index` of the arrays on; n is a multiple of 8. Minima are zeros where there are
// none.
template <class S>
void ReadConstants(const Grid& grid, const std::byte* plane, int64_t index, int n, Constants& to) {
  const float middle = MiddleOf(grid);
  OverLanes<S>(n, [&]<class L>(L, int i) {
    const auto scale =
        L::Mul(LoadConstants<L>(grid, plane + grid.scales, index + i), L::Set(grid.factor));
    auto min = L::Set(0.0f);
    if (grid.has_min) {
      min = L::Fma(L::Set(middle), scale, LoadConstants<L>(grid, plane + grid.mins, index + i));
    }
    L::Store(scale, to.scale + i);
    L::Store(min, to.min + i);
  });
}

// The constants of the next plane, taken to be like this one, into the second level; its codes
// follow while this one's are multiplied.
HWY_INLINE void PrefetchConstants(const Grid& grid, const std::byte* next) {
  if (next == nullptr) return;
  for (int64_t i = grid.scales; i < grid.end; i += 64) __builtin_prefetch(next + i, 0, 3);
}

// Zero for slots that are not seen: they may hold anything.
void MaskConstants(uint64_t seen, Constants& constants) {
  if (seen == ~uint64_t{0}) return;
  for (int slot = 0; slot < kPageEntries; ++slot) {
    if ((seen >> slot & 1) == 0) constants.scale[slot] = constants.min[slot] = 0;
  }
}

// The words of `lane` and the lanes after it in one inner group.
HWY_INLINE Words WordsAt(const Grid& grid, const std::byte* plane, const std::byte* next,
                         int inner_group, int n_inner, int lane) {
  const int bits = grid.bits == 3 ? 2 : grid.bits;
  const int64_t row = grid.n_lanes();
  const int64_t low = BlocksBefore(grid, inner_group, bits) * row + lane;
  const int64_t high = BlocksBefore(grid, inner_group, 1) * row + lane;
  const int n = WordsOf(n_inner, bits);
  const int64_t ahead = BlocksBefore(grid, inner_group, bits) * row + int64_t{lane} * n;
  const auto at = [](const std::byte* array, int64_t word) {
    return reinterpret_cast<const uint32_t*>(array) + word;
  };
  return {at(plane + grid.codes, low), at(plane + grid.high_codes, high),
          next == nullptr ? nullptr : at(next + grid.codes, ahead), row, n};
}

// Where sums go. out = step * sum + (out + offset), rows `stride` apart; out counts as 0 unless
// add.
struct AddTo {
  const Rounded& rounded;
  float* out;
  int64_t stride;
  bool add;

  template <class L>
  HWY_INLINE void Put(int query, int lane, typename L::V sum) const {
    float* to = out + query * stride + lane;
    const auto offset = L::Set(rounded.offset[query]);
    const auto before = add ? L::Add(L::Load(to), offset) : offset;
    L::Store(L::Fma(L::Set(rounded.step[query]), sum, before), to);
  }
};

// out = total * min + (scale * (step * sum + offset) + out), min and scale being the lane's.
struct AddScaledTo {
  const Rounded& rounded;
  float* out;
  int64_t stride;
  bool add;
  const Constants& constants;
  bool has_min;

  template <class L>
  HWY_INLINE void Put(int query, int lane, typename L::V sum) const {
    float* to = out + query * stride + lane;
    const auto before = add ? L::Load(to) : L::Set(0.0f);
    const auto product = L::Fma(L::Set(rounded.step[query]), sum, L::Set(rounded.offset[query]));
    auto x = L::Fma(L::Load(constants.scale + lane), product, before);
    if (has_min) x = L::Fma(L::Set(rounded.total[query]), L::Load(constants.min + lane), x);
    L::Store(x, to);
  }
};
