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
//   Lanes: vectors of kLanes floats (code_vectors-inl.h); Floats: the widest vectors of floats
//   (code_vectors-inl.h)
// Included inside a target region and an anonymous namespace.

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

// Sums over the words of some vectors of lanes, for each of the queries, whose weights are `stride`
// apart; half: of the last vector the lower half only. As many words of the next plane are
// prefetched while these are multiplied, in the order of their addresses: at once their lines would
// wait for each other.
template <class S, int kBits, int kQueries, int kVectors, class Out>
HWY_INLINE void SumWords(const Words words, const int32_t* HWY_RESTRICT weights, int64_t stride,
                         int lane, bool half, const Out out) {
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
  const uint32_t* next_at = words.next == nullptr ? nullptr : words.next + int64_t{lane} * words.n;
  const int32_t* at[kQueries];
  HWY_UNROLL(3)
  for (int i = 0; i < kQueries; ++i) at[i] = weights + i * stride;
  alignas(64) [[maybe_unused]] int32_t earlier[kTo16 ? kQueries * kVectors * S::kLanes : 1];
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
      if (next_at != nullptr) {
        for (int v = 0; v < kVectors * S::kLanes; v += 16) __builtin_prefetch(next_at + v, 0, 3);
        next_at += kVectors * S::kLanes;
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
        I sum = kTo16 ? S::Widen(a[i][v]) : S::Add32(a[i][v], b[i][v]);
        if constexpr (!kBytes && S::kHalves) sum = S::AddHalves(a[i][v], b[i][v]);
        if constexpr (kTo16) {
          int32_t* const sofar = earlier + (i * kVectors + v) * S::kLanes;
          if (first > 0) sum = S::Add32(sum, S::Load(reinterpret_cast<const uint32_t*>(sofar)));
          if (end < words.n) {
            S::Store(sum, sofar);
            continue;
          }
        }
        const auto x = S::Lanes::FromInts(sum);
        if (half) {
          out.template Put<Floats8>(i, lane, S::Lanes::Low(x));
        } else {
          out.template Put<typename S::Lanes>(i, lane + v * S::kLanes, x);
        }
      }
    }
  }
}

// All lanes, a multiple of 8. Of the last 16 half may be left over: what lies behind the words is
// read (there are always scales), and what comes of it left out.
template <class S, int kBits, int kQueries, class Out>
HWY_NOINLINE void SumLanes(const Words& words_of, const int32_t* weights, int64_t stride,
                           int n_lanes, const Out& out_of) {
  const Words words = words_of;  // where no store can change them
  const Out out = out_of;
  // Vectors at once: what the registers hold.
  constexpr int kVectors = S::kHalves && WeightsHave8Bits(kBits) ? 4 : 2;
  constexpr int kTile = kVectors * S::kLanes;
  int lane = 0;
  for (; lane + kTile <= n_lanes; lane += kTile) {
    SumWords<S, kBits, kQueries, kVectors>(words, weights, stride, lane, false, out);
  }
  if constexpr (kVectors == 4) {
    for (; lane + kTile / 2 <= n_lanes; lane += kTile / 2) {
      SumWords<S, kBits, kQueries, 2>(words, weights, stride, lane, false, out);
    }
  }
  for (; lane < n_lanes; lane += S::kLanes) {
    SumWords<S, kBits, kQueries, 1>(words, weights, stride, lane, n_lanes - lane < S::kLanes, out);
  }
}

// Sums of codes of so many bits for up to kQueryTile queries.
template <class Out>
using SumFunction = void (*)(const Words& words, const int32_t* weights, int64_t stride,
                             int n_lanes, const Out& out);

template <class S, int kBits, class Out>
SumFunction<Out> SumsOfQueries(int n_queries) {
  if (n_queries == 3) return SumLanes<S, kBits, 3, Out>;
  if (n_queries == 2) return SumLanes<S, kBits, 2, Out>;
  return SumLanes<S, kBits, 1, Out>;
}

template <class S, class Out>
SumFunction<Out> SumsOf(int bits, int n_queries) {
  switch (bits) {
    case 1:
      return SumsOfQueries<S, 1, Out>(n_queries);
    case 2:
      return SumsOfQueries<S, 2, Out>(n_queries);
    case 3:
      return SumsOfQueries<S, 3, Out>(n_queries);
    case 4:
      return SumsOfQueries<S, 4, Out>(n_queries);
    default:
      return SumsOfQueries<S, 8, Out>(n_queries);
  }
}
