// Weights as integers, in the layout that a path's products take. Over the primitives of
// code_dot-inl.h. Included inside a target region and an anonymous namespace.

struct RoundedWeights {
  float step, total;  // weight = step * integer; total: of the floats (times minima, if any)
  int32_t sum;        // of the integers
};

// The largest integer. 127 * 256 + 127, so that its halves are signed bytes.
constexpr float MostInteger(int bits) { return WeightsHave8Bits(bits) ? 127.0f : 32639.0f; }

// Weights x, times scales if kScaled, as integers; n, a multiple of 8, is filled up with zeros to
// one of 32. Their total: of x, or of x * mins.
template <class S, bool kScaled>
HWY_INLINE RoundedWeights RoundWeights(int bits, const float* x, const float* scales,
                                       const float* mins, int n, int32_t* out) {
  using Floats = typename S::Floats;
  alignas(64) float products[kMostChannels];
  // In eight lanes on every path: the same bits.
  Floats8::V total = Floats8::Set(0.0f);
  for (int i = 0; i < n; i += Floats8::kLanes) {
    const Floats8::V v = Floats8::Load(x + i);
    total = kScaled ? Floats8::Fma(v, Floats8::Load(mins + i), total) : Floats8::Add(total, v);
  }
  typename Floats::V most = Floats::Set(0.0f);
  Floats8::V most8 = Floats8::Set(0.0f);
  OverLanes<S>(n, [&]<class L>(L, int i) {
    typename L::V v = L::Load(x + i);
    if constexpr (kScaled) v = L::Mul(v, L::Load(scales + i));
    L::Store(v, products + i);
    if constexpr (L::kLanes == Floats::kLanes) {
      most = L::MaxAbs(v, most);
    } else {
      most8 = L::MaxAbs(v, most8);
    }
  });
  int end = n;
  for (; end % 32 != 0; end += 8) Floats8::Store(Floats8::Set(0.0f), products + end);
  float largest = Floats::MaxOf(most);
  if (n % Floats::kLanes != 0) largest = std::max(largest, Floats8::MaxOf(most8));
  // Below 1e-30, and where the division would overflow, nothing is left of a weight.
  const float most_integer = MostInteger(bits);
  const float inverse = largest > 1e-30f ? most_integer / largest : 0.0f;
  const int32_t sum = WeightsHave8Bits(bits) ? S::PackBytes(products, inverse, end, out)
                                             : S::PackWide(products, inverse, end, out);
  return {largest > 1e-30f ? largest / most_integer : 0.0f, Floats8::SumOf(total), sum};
}
