// Products of codes with weights as integers, over the primitives of an instruction set:
//   kLanes; I: a vector of that many 32-bit words; Zero, Set, Load, Store, ShiftRight, ShiftLeft2,
//   And, Or, Add32
//   AddBytes(sum, codes, weights): adds the products of four bytes of codes, unsigned, with four of
//   weights, signed; where kBytesAddTo16 to two 16-bit sums, which Widen adds up to 32
//   AddWide0, AddWide1(sum, codes, weights): the same with one and with the other of the two words
//   that hold four weights of 16 bits; where kHalves low and high halves: AddHalves(low, high)
//   PackBytes, PackWide(x, inverse, n, out): n floats, a multiple of 32, times inverse as integers
//   of 8 bits, four in a word, or of 16, two words for four; returns sums of the integers, whose
//   eight lanes make up the whole
//   Floats: the widest vectors of floats (code_vectors-inl.h)
// Included inside a target region and an anonymous namespace.

// Queries whose sums fit the registers, on every path.
constexpr int kQueryTile = 3;
// Words of a query's weights, of up to 256 codes.
constexpr int kMostWeights = kMostChannels / 2;

// Weights of codes of so many bits have 8 bits, four in a word, or 16, two words for four.
constexpr bool WeightsHave8Bits(int bits) { return bits <= 2; }

// Words of `kVectors` vectors of lanes, and what belongs to them.
struct Words {
  const uint32_t* low;
  const uint32_t* high;  // of three bits
  const uint32_t* next;  // of the next plane: to prefetch, from there on; or null
  int64_t row;           // words from a block to the next
  int n;                 // blocks
};

// The codes from bit `shift` on of each byte.
template <class S, int kBits>
HWY_INLINE typename S::I Field(typename S::I words, int shift) {
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  return S::And(S::ShiftRight(words, shift), S::Set(static_cast<int32_t>(kMask)));
}

// Codes 4 * quad to 4 * quad + 3 of a word, a byte each.
template <class S, int kBits>
HWY_INLINE typename S::I Quad(typename S::I low, [[maybe_unused]] typename S::I high, int quad) {
  if constexpr (kBits == 8) {
    return low;
  } else if constexpr (kBits == 3) {
    return S::Or(Field<S, 2>(low, quad * 2), S::ShiftLeft2(Field<S, 1>(high, quad)));
  } else {
    return Field<S, kBits>(low, quad * kBits);
  }
}

template <class S>
HWY_INLINE typename S::I WeightAt(const int32_t* at) {
  typename S::I weight = S::Set(*at);
  asm volatile("" : "+v"(weight));  // stays here: GCC 12 would load all of them first, and spill
  return weight;
}

// sums[query][lane], rows kMostChannels apart, become codes x weights over the words of some
// vectors of lanes. The weights of the queries are `stride` apart. As many words of the next plane
// are prefetched while these are multiplied, in the order of their addresses: at once their lines
// would wait for each other.
template <class S, int kBits, int kQueries, int kVectors>
HWY_NOINLINE void SumWords(const Words& words, const int32_t* HWY_RESTRICT weights, int64_t stride,
                           int lane, int32_t* HWY_RESTRICT sums) {
  using I = typename S::I;
  constexpr bool kBytes = WeightsHave8Bits(kBits);
  constexpr bool kTo16 = kBytes && S::kBytesAddTo16;
  constexpr int kQuads = 8 / (kBits == 3 ? 2 : kBits);  // of codes a word
  // 16 bits hold 32767 / (2 * 127 * code) sums of pairs of codes: two a quad.
  constexpr int kWordsAtOnce = kBits == 1 ? 16 : 8;
  static_assert(!kTo16 || kWordsAtOnce * kQuads * 2 * 127 * ((1 << kBits) - 1) <= 32767);
  // Two sums each: of low and high halves of weights, or of 16 bits and 32; or of even and odd
  // quads, where one could not hide the latency of additions.
  constexpr bool kTwoSums = !kBytes ? S::kHalves : !kTo16 && kVectors < 4;
  const uint32_t* low_at = words.low + lane;
  const int32_t* at[kQueries];
  HWY_UNROLL(3)
  for (int i = 0; i < kQueries; ++i) at[i] = weights + i * stride;
  const int n_at_once = kTo16 ? kWordsAtOnce : words.n;
  for (int first = 0; first < words.n; first += n_at_once) {
    const int end = HWY_MIN(first + n_at_once, words.n);
    I a[kQueries][kVectors], b[kQueries][kVectors];
    HWY_UNROLL(3)
    for (int i = 0; i < kQueries; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) a[i][v] = b[i][v] = S::Zero();
    }
    for (int w = first; w < end; ++w, low_at += words.row) {
      if (words.next != nullptr) {
        for (int v = 0; v < kVectors * S::kLanes; v += 16) {
          __builtin_prefetch(words.next + lane * words.n + w * kVectors * S::kLanes + v, 0, 3);
        }
      }
      I low[kVectors], high[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        low[v] = S::Load(low_at + v * S::kLanes);
        // Two words of low bits share one of high.
        if constexpr (kBits == 3) {
          high[v] = S::Load(words.high + w / 2 * words.row + lane + v * S::kLanes);
          high[v] = S::ShiftRight(high[v], w % 2 * 4);
        }
      }
      HWY_UNROLL(8)
      for (int j = 0; j < kQuads; ++j) {
        I codes[kVectors];
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) {
          codes[v] = Quad<S, kBits>(low[v], kBits == 3 ? high[v] : low[v], j);
        }
        HWY_UNROLL(3)
        for (int i = 0; i < kQueries; ++i) {
          if constexpr (kBytes) {
            const I weight = WeightAt<S>(at[i] + j);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v) {
              S::AddBytes(kTwoSums && j % 2 == 1 ? b[i][v] : a[i][v], codes[v], weight);
            }
          } else {
            const I w0 = WeightAt<S>(at[i] + 2 * j);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v) S::AddWide0(a[i][v], codes[v], w0);
            const I w1 = WeightAt<S>(at[i] + 2 * j + 1);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v)
              S::AddWide1(kTwoSums ? b[i][v] : a[i][v], codes[v], w1);
          }
        }
      }
      HWY_UNROLL(3)
      for (int i = 0; i < kQueries; ++i) at[i] += kQuads * (kBytes ? 1 : 2);
    }
    HWY_UNROLL(3)
    for (int i = 0; i < kQueries; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        int32_t* to = sums + i * kMostChannels + lane + v * S::kLanes;
        I sum = kTo16 ? S::Widen(a[i][v]) : S::Add32(a[i][v], b[i][v]);
        if constexpr (!kBytes && S::kHalves) sum = S::AddHalves(a[i][v], b[i][v]);
        if (first > 0) sum = S::Add32(sum, S::Load(reinterpret_cast<const uint32_t*>(to)));
        S::Store(sum, to);
      }
    }
  }
}

// All lanes, a multiple of 8; of the last 16 half may be left over: what lies behind the words is
// read (there are always scales) and its sums are of no matter.
template <class S, int kBits, int kQueries>
void SumLanes(const Words& words, const int32_t* weights, int64_t stride, int n_lanes,
              int32_t* sums) {
  // Vectors at once: what the registers hold.
  constexpr int kVectors = S::kHalves && WeightsHave8Bits(kBits) ? 4 : 2;
  constexpr int kTile = kVectors * S::kLanes;
  int lane = 0;
  for (; lane + kTile <= n_lanes; lane += kTile) {
    SumWords<S, kBits, kQueries, kVectors>(words, weights, stride, lane, sums);
  }
  if constexpr (kVectors == 4) {
    for (; lane + kTile / 2 <= n_lanes; lane += kTile / 2) {
      SumWords<S, kBits, kQueries, 2>(words, weights, stride, lane, sums);
    }
  }
  for (; lane < n_lanes; lane += S::kLanes) {
    SumWords<S, kBits, kQueries, 1>(words, weights, stride, lane, sums);
  }
}

template <class S, int kBits>
void SumQueries(const Words& words, const int32_t* weights, int64_t stride, int n_queries,
                int n_lanes, int32_t* sums) {
  if (n_queries == 3) return SumLanes<S, kBits, 3>(words, weights, stride, n_lanes, sums);
  if (n_queries == 2) return SumLanes<S, kBits, 2>(words, weights, stride, n_lanes, sums);
  SumLanes<S, kBits, 1>(words, weights, stride, n_lanes, sums);
}

// sums[query][lane], rows kMostChannels apart, of up to kQueryTile queries.
template <class S>
void Dot(int bits, const Words& words, const int32_t* weights, int64_t stride, int n_queries,
         int n_lanes, int32_t* sums) {
  switch (bits) {
    case 1:
      return SumQueries<S, 1>(words, weights, stride, n_queries, n_lanes, sums);
    case 2:
      return SumQueries<S, 2>(words, weights, stride, n_queries, n_lanes, sums);
    case 3:
      return SumQueries<S, 3>(words, weights, stride, n_queries, n_lanes, sums);
    case 4:
      return SumQueries<S, 4>(words, weights, stride, n_queries, n_lanes, sums);
    default:
      return SumQueries<S, 8>(words, weights, stride, n_queries, n_lanes, sums);
  }
}
