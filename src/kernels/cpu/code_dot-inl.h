// Products of codes with weights as integers, over the primitives of an instruction set:
//   kLanes; I: a vector of that many 32-bit words; Zero, Set, Load, Store, ShiftRight, ShiftLeft2,
//   And, Or, Add32
//   WeightAt(at): the word there in all lanes
//   AddBytes(sum, codes, weights): adds the products of four bytes of codes, unsigned, with four of
//   weights, signed; where kBytesAddTo16 to two 16-bit sums, which Widen adds up to 32
//   AddOdd(even, odd, bits): even + odd / 2^bits, where not kBytesAddTo16
//   AddWide0, AddWide1(sum, codes, weights): the same with one and with the other of the two words
//   that hold four weights of 16 bits; where kHalves low and high halves: AddHalves(low, high)
//   PackBytes, PackWide(x, inverse, n, out): n floats, a multiple of 32, times inverse as integers
//   of 8 bits, four in a word, or of 16, two words for four; returns sums of the integers, whose
//   lanes make up the whole
//   Keep(words): in a register; AsFloats: the same bits
//   Lanes: vectors of kLanes floats; Floats: of sixteen; HalfFloats: likewise, but eight are read,
//   the others are zeros (code_vectors-inl.h)
// Included inside a target region and an anonymous namespace.

template <int kBytes>
HWY_INLINE void PrefetchPart(const std::byte* at) {
  for (int i = 0; i < kBytes; i += 64) __builtin_prefetch(at + i, 0, 2);
}

// Sums over the words of some vectors of lanes from `lane` on, for each of the queries, to where
// they go. As much of the next plane is prefetched while these are multiplied, in the order of its
// addresses: at once its lines would wait for each other. kWords: of a lane, or 0 where that is not
// known beforehand. L: S::Lanes, or Floats8 where only half of the last vector is left.
template <class S, int kBits, int kQueries, int kVectors, int kWords, class Out, class L>
HWY_INLINE void SumWords(const Block block, const int32_t* HWY_RESTRICT weights,
                         const Rounded& rounded, const Shape shape, int lane) {
  using I = typename S::I;
  const int n_words = kWords > 0 ? kWords : shape.n_words;
  constexpr bool kBytes = WeightsHave8Bits(kBits);
  constexpr bool kTo16 = kBytes && S::kBytesAddTo16;
  constexpr int kQuads = 8 / (kBits == 3 ? 2 : kBits);  // of codes a word
  // 16 bits hold 32767 / (2 * 127 * code) sums of pairs of codes: two a quad.
  constexpr int kWordsAtOnce = kBits == 1 ? 16 : 8;
  static_assert(!kTo16 || kWordsAtOnce * kQuads * 2 * 127 * ((1 << kBits) - 1) <= 32767);
  // Two sums each: of low and high halves of weights, or of 16 bits and 32; or of even and odd
  // quads, where one could not hide the latency of additions.
  constexpr bool kTwoSums = !kBytes ? S::kHalves : !kTo16 && kVectors < 4;
  constexpr bool kOddScaled = kBytes && kTwoSums;
  const uint32_t* low_at = block.low + lane;
  constexpr int kCodeBytes = kVectors * S::kLanes * 4, kPart = CodesPerConstant(kBits);
  const int64_t ahead = int64_t{lane} * 4 * n_words;
  const std::byte *next_codes = block.next + ahead,
                  *next_scales = block.next_scales + ahead / kPart;
  const int32_t* at[kQueries];
  HWY_UNROLL(3)
  for (int i = 0; i < kQueries; ++i) {
    at[i] = weights + i * shape.weight_stride;
    asm("" : "+r"(at[i]));  // one address: GCC 12 would keep that of each weight, and spill them
  }
  alignas(64) [[maybe_unused]] int32_t earlier[kTo16 ? kQueries * kVectors * S::kLanes : 1];
  const int n_at_once = kTo16 ? kWordsAtOnce : n_words;
  for (int first = 0; first < n_words; first += n_at_once) {
    const int end = HWY_MIN(first + n_at_once, n_words);
    I a[kQueries][kVectors], b[kQueries][kVectors];
    HWY_UNROLL(3)
    for (int i = 0; i < kQueries; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) a[i][v] = b[i][v] = S::Zero();
    }
    HWY_UNROLL(4)
    for (int w = first; w < end; ++w, low_at += shape.row) {
      PrefetchPart<kCodeBytes>(next_codes);
      if constexpr (Out::kOfLanes) PrefetchPart<kCodeBytes / kPart>(next_scales);
      next_codes += kCodeBytes, next_scales += kCodeBytes / kPart;
      I low[kVectors], high[kVectors];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        low[v] = S::Load(low_at + v * S::kLanes);
        S::Keep(low[v]);  // stays there: GCC 12 would load it for each shift
        // Two words of low bits share one of high.
        if constexpr (kBits == 3) {
          high[v] = S::Load(block.high + w / 2 * shape.row + lane + v * S::kLanes);
          high[v] = S::ShiftRight(high[v], w % 2 * 4);
        }
      }
      HWY_UNROLL(8)
      for (int j = 0; j < kQuads; ++j) {
        I codes[kVectors];
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) {
          codes[v] = Quad<S, kBits, kOddScaled>(low[v], kBits == 3 ? high[v] : low[v], j);
        }
        HWY_UNROLL(3)
        for (int i = 0; i < kQueries; ++i) {
          if constexpr (kBytes) {
            const I weight = S::WeightAt(at[i] + j);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v) {
              S::AddBytes(kTwoSums && j % 2 == 1 ? b[i][v] : a[i][v], codes[v], weight);
            }
          } else {
            const I w0 = S::WeightAt(at[i] + 2 * j);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v) S::AddWide0(a[i][v], codes[v], w0);
            const I w1 = S::WeightAt(at[i] + 2 * j + 1);
            HWY_UNROLL(4)
            for (int v = 0; v < kVectors; ++v)
              S::AddWide1(kTwoSums ? b[i][v] : a[i][v], codes[v], w1);
          }
        }
      }
      HWY_UNROLL(3)
      for (int i = 0; i < kQueries; ++i) at[i] += kQuads * (kBytes ? 1 : 2);
    }
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const int at_lane = lane + v * S::kLanes;
      const auto lanes = Out::template Lanes<L>::At(block, shape, at_lane);
      float* to = block.out + at_lane;
      HWY_UNROLL(3)
      for (int i = 0; i < kQueries; ++i, to += shape.out_stride) {
        I sum = kTo16 ? S::Widen(a[i][v]) : S::Add32(a[i][v], b[i][v]);
        if constexpr (!kBytes && S::kHalves) sum = S::AddHalves(a[i][v], b[i][v]);
        if constexpr (kOddScaled) sum = S::AddOdd(a[i][v], b[i][v], kBits);
        if constexpr (kTo16) {
          int32_t* const sofar = earlier + (i * kVectors + v) * S::kLanes;
          if (first > 0) sum = S::Add32(sum, S::Load(reinterpret_cast<const uint32_t*>(sofar)));
          if (end < n_words) {
            S::Store(sum, sofar);
            continue;
          }
        }
        const auto x = L::Part(S::Lanes::FromInts(sum));
        const auto before = shape.add ? L::Load(to) : L::Set(0.0f);
        L::Store(lanes.Add(rounded, i, x, before), to);
      }
    }
  }
}

// Lanes [begin, end) of blocks, some vectors at a time.
template <class S, int kBits, int kQueries, int kVectors, int kWords, class Out>
HWY_NOINLINE void SumTiles(const Block* blocks, int n_blocks, const int32_t* weights,
                           const Rounded* rounded, const Shape& shape_of, int begin, int end) {
  constexpr int kTile = kVectors * S::kLanes;
  const Shape shape = shape_of;  // where no store can change it
  for (int b = 0; b < n_blocks; ++b, weights += shape.block_stride) {
    for (int lane = begin; lane < end; lane += kTile) {
      using Lanes = typename S::Lanes;
      if (kVectors == 1 && end - lane < kTile) {
        SumWords<S, kBits, kQueries, 1, kWords, Out, Floats8>(blocks[b], weights, rounded[b], shape,
                                                              lane);
      } else {
        SumWords<S, kBits, kQueries, kVectors, kWords, Out, Lanes>(blocks[b], weights, rounded[b],
                                                                   shape, lane);
      }
    }
  }
}

// All lanes. Of the last 16 half may be left over: what lies behind the words is read (there are
// always scales), and what comes of it left out.
template <class S, int kBits, int kQueries, int kWords, class Out>
void SumLanes(const Block* blocks, int n_blocks, const int32_t* weights, const Rounded* rounded,
              const Shape& shape) {
  // Vectors at once: what the registers hold.
  constexpr int kVectors = S::kHalves && WeightsHave8Bits(kBits) ? 4 : 2;
  constexpr int kTile = kVectors * S::kLanes, kPair = 2 * S::kLanes;
  const int n = shape.n_lanes, tiles = n / kTile * kTile, pairs = n / kPair * kPair;
  const auto sum = [&](auto tiles_of, int begin, int end) {
    if (begin < end) tiles_of(blocks, n_blocks, weights, rounded, shape, begin, end);
  };
  sum(SumTiles<S, kBits, kQueries, kVectors, kWords, Out>, 0, tiles);
  sum(SumTiles<S, kBits, kQueries, 2, kWords, Out>, tiles, pairs);
  sum(SumTiles<S, kBits, kQueries, 1, 0, Out>, pairs, n);
}

template <class S, int kBits, class Out>
void SumBlocksOf(int n_queries, const Block* blocks, int n_blocks, const int32_t* weights,
                 const Rounded* rounded, const Shape& shape) {
  // Of 64 slots, or as many channels; of a group of 32 channels.
  constexpr int kLong = WordsOf(64, kBits == 3 ? 2 : kBits), kShort = kLong / 2;
  const auto sum = n_queries == 3   ? shape.n_words == kLong    ? SumLanes<S, kBits, 3, kLong, Out>
                                      : shape.n_words == kShort ? SumLanes<S, kBits, 3, kShort, Out>
                                                                : SumLanes<S, kBits, 3, 0, Out>
                     : n_queries == 2 ? SumLanes<S, kBits, 2, 0, Out>
                                    : SumLanes<S, kBits, 1, 0, Out>;
  sum(blocks, n_blocks, weights, rounded, shape);
}

// The sums of blocks for up to kQueryTile queries; weights and what they stand for block by block.
template <class S, class Out>
void SumBlocks(int bits, int n_queries, const Block* blocks, int n_blocks, const int32_t* weights,
               const Rounded* rounded, const Shape& shape) {
  const auto sum = bits == 1   ? SumBlocksOf<S, 1, Out>
                   : bits == 2 ? SumBlocksOf<S, 2, Out>
                   : bits == 3 ? SumBlocksOf<S, 3, Out>
                   : bits == 4 ? SumBlocksOf<S, 4, Out>
                               : SumBlocksOf<S, 8, Out>;
  sum(n_queries, blocks, n_blocks, weights, rounded, shape);
}
