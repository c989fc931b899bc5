// The numbers of the methods' pages: KIVI, VidKV, MiKV and ThinK as codecs.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "kernels/codec.h"
#include "kernels/cpu/codec_layout.h"
#include "kernels/transform.h"
#include "tests/normal_vector.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

constexpr auto kKeys = PlaneKind::kKeys, kValues = PlaneKind::kValues;

struct Encoded {
  PlaneFormat format;
  PlaneKind kind;
  Buffer plane;

  // Rows of format.dim numbers.
  Encoded(const PlaneFormat& f, PlaneKind k, const std::vector<float>& x)
      : format(f), kind(k), plane(PlaneBytes(f, k)) {
    std::memset(plane.data(), 0xff, plane.size());
    EncodeEntries(Isa::kAvx2, format, kind, x.data(), format.dim, 0,
                  static_cast<int>(x.size()) / format.dim, plane.data());
  }
  std::vector<float> Decode(int n) const {
    std::vector<float> x(int64_t{n} * format.dim);
    DecodeEntries(format, kind, plane.data(), 0, n, x.data(), format.dim);
    return x;
  }
  // A code as the layout says where it is.
  int Code(int slot, int c) const {
    const cpu::Grids grids = cpu::GridsOf(format, kind);
    const cpu::Grid& grid = grids.grid[grids.n == 2 && c >= format.wide ? 1 : 0];
    const int lane = grid.keys ? slot : c, inner = grid.keys ? c - grid.first : slot;
    const auto field = [&](int bits, int64_t at) {
      const int size = grid.inner_group(), i = inner % size;
      const int block = cpu::BlocksBefore(grid, inner / size, bits) + i / (32 / bits);
      const uint32_t word = reinterpret_cast<const uint32_t*>(
          plane.data() + at)[int64_t{block} * grid.n_lanes() + lane];
      const int in_word = i % (32 / bits);
      return static_cast<int>(word >> (in_word % 4 * 8 + in_word / 4 * bits) & ((1u << bits) - 1));
    };
    if (grid.bits != 3) return field(grid.bits, grid.codes);
    return field(2, grid.codes) + 4 * field(1, grid.high_codes);
  }
};

// 32 slots of `dim` channels; channel c repeats `group`.
std::vector<float> InChannel(const std::vector<float>& group, int c, int dim) {
  std::vector<float> x(32 * dim, 0.0f);
  for (int i = 0; i < 32; ++i) x[i * dim + c] = group[i % group.size()];
  return x;
}

// KIVI 2, MiKV 3, VidKV 2: groups worked by hand, as a group of channels and as one of slots.
TEST(GroupCodec, GroupsWorkedByHand) {
  struct Case {
    std::vector<float> x;
    std::vector<int> codes;
    std::vector<float> decoded;
  };
  const Case cases[] = {
      {{0, .3f, .9f, 1.5f}, {0, 1, 2, 3}, {0, .5f, 1, 1.5f}},
      {{-2, -1, 0, 4}, {0, 0, 1, 3}, {-2, -2, 0, 4}},
      {{-1.0f, -0.2f, 0.5f, 2.0f}, {0, 1, 2, 3}, {-1, 0, 1, 2}},
      {{3, 1, 0, -1, 2, -2, 1, 0},
       {3, 2, 1, 1, 2, 0, 2, 1},
       {3, 1.3333f, -.3333f, -.3333f, 1.3333f, -2, 1.3333f, -.3333f}},
  };
  for (const Case& c : cases) {
    const size_t n = c.x.size();
    std::vector<float> entry(16);
    for (size_t i = 0; i < entry.size(); ++i) entry[i] = c.x[i % n];
    for (PlaneKind kind : {kKeys, kValues}) {
      const Encoded token(TokenPlane(2, 16, 16), kind, entry);
      const Encoded channel(ChannelPlane(2, 16), kind, InChannel(c.x, 3, 16));
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(token.Code(0, static_cast<int>(i)), c.codes[i % n]);
        EXPECT_NEAR(token.Decode(1)[i], c.decoded[i % n], 1e-3);
        EXPECT_EQ(channel.Code(static_cast<int>(i), 3), c.codes[i % n]);
        EXPECT_NEAR(channel.Decode(32)[i * 16 + 3], c.decoded[i % n], 1e-3);
      }
    }
  }
}

// KIVI 4.
TEST(GroupCodec, ALoudChannelOrEntryChangesNoOther) {
  const std::vector<float> x = NormalVector(64 * 64, 1);
  std::vector<float> loud_channel = x, loud_entry = x;
  for (int i = 0; i < 64; ++i) loud_channel[i * 64 + 5] *= 1000;
  for (int c = 0; c < 64; ++c) loud_entry[9 * 64 + c] *= 1000;
  for (int bits : {2, 4, 8}) {
    const Encoded k(ChannelPlane(bits, 64), kKeys, x), loud_k(k.format, kKeys, loud_channel);
    const Encoded v(TokenPlane(bits, 64), kValues, x), loud_v(v.format, kValues, loud_entry);
    for (int i = 0; i < 64; ++i) {
      for (int c = 0; c < 64; ++c) {
        if (c != 5) {
          ASSERT_EQ(k.Code(i, c), loud_k.Code(i, c));
        }
        if (i != 9) {
          ASSERT_EQ(v.Code(i, c), loud_v.Code(i, c));
        }
      }
    }
  }
}

// VidKV 3: eight numbers (here four times over), both scales.
TEST(GroupCodec, TernaryWorkedByHand) {
  const std::vector<float> x = {.9f, -.1f, .05f, -1.2f, .4f, -.3f, 0, .85f};
  const int trits[] = {1, 0, 0, -1, 1, -1, 0, 1};
  const auto mse = [&](TernaryScale scale, float alpha) {
    const Encoded encoded(TernaryPlane(16, scale), kValues, InChannel(x, 7, 16));
    const std::vector<float> back = encoded.Decode(32);
    double sum = 0;
    for (int i = 0; i < 32; ++i) {
      EXPECT_EQ(encoded.Code(i, 7) - 1, trits[i % 8]);
      EXPECT_NEAR(back[i * 16 + 7], alpha * trits[i % 8], 3e-4);
      EXPECT_EQ(back[i * 16 + 6], 0.0f);  // a group of zeros
      sum += std::pow(back[i * 16 + 7] - x[i % 8], 2) / 32;
    }
    return sum;
  };
  EXPECT_NEAR(mse(TernaryScale::kMean, .475f), .11195, 2e-4);
  EXPECT_NEAR(mse(TernaryScale::kLeastSquares, .73f), .07131, 2e-4);
}

TEST(GroupCodec, SignsWorkedByHand) {
  const std::vector<float> x = {.9f, -.1f, .05f, -1.2f, .4f, -.3f, 0, .85f};
  const Encoded encoded(SplitPlane(8, 16), kKeys, InChannel(x, 12, 16));
  const std::vector<float> back = encoded.Decode(32);
  double mse = 0;
  for (int i = 0; i < 32; ++i) {
    EXPECT_NEAR(back[i * 16 + 12], x[i % 8] >= 0 ? .475f : -.475f, 3e-4);  // 0 counts as positive
    mse += std::pow(back[i * 16 + 12] - x[i % 8], 2) / 32;
  }
  EXPECT_NEAR(mse, .17875, 2e-4);
}

// VidKV 4, spectra of [4, -1, 2, -3] and [2, 1, 2, -1], taken turns to fill a group: both decode to
// [3, 0, 2, -2].
TEST(GroupCodec, SignsOfSpectraWorkedByHand) {
  const float tokens[2][4] = {{4, -1, 2, -3}, {2, 1, 2, -1}};
  const RealFourier fourier(4);
  std::vector<float> y(32 * 4);
  for (int i = 0; i < 32; ++i) fourier.Forward(tokens[i % 2], y.data() + i * 4);
  const Encoded encoded(SplitPlane(0, 4), kKeys, y);
  const std::vector<float> back = encoded.Decode(32);
  const float expected[4] = {3, 0, 2, -2};
  for (int i = 0; i < 32; ++i) {
    float x[4];
    fourier.Inverse(back.data() + i * 4, x);
    for (int c = 0; c < 4; ++c) EXPECT_NEAR(x[c], expected[c], 4e-3) << i;
  }
}

// VidKV 5: half of the spectrum decodes as the whole complex one does, and takes one bit a number.
TEST(GroupCodec, HalfSpectrumIsTheWholeOne) {
  constexpr int kDim = 64;
  const std::vector<float> x = NormalVector(32 * kDim, 5);
  const RealFourier fourier(kDim);
  std::vector<float> y(x.size());
  for (int i = 0; i < 32; ++i) fourier.Forward(x.data() + i * kDim, y.data() + i * kDim);
  const Encoded encoded(SplitPlane(0, kDim), kKeys, y);
  const cpu::Grids grids = cpu::GridsOf(encoded.format, kKeys);
  EXPECT_EQ(grids.grid[0].scales, 64 * kDim / 8);
  std::vector<float> back = encoded.Decode(32);

  // All 2n rows of the complex spectrum in double: sign times the mean magnitude of the group.
  std::vector<double> re(x.size()), im(x.size());
  for (int i = 0; i < 32; ++i) {
    for (int k = 0; k < kDim; ++k) {
      for (int j = 0; j < kDim; ++j) {
        re[i * kDim + k] += x[i * kDim + j] * std::cos(-2 * M_PI * j * k / kDim);
        im[i * kDim + k] += x[i * kDim + j] * std::sin(-2 * M_PI * j * k / kDim);
      }
    }
  }
  const auto signs = [](std::vector<double>& rows, bool real) {
    for (int k = 0; k < kDim; ++k) {
      double mean = 0;
      for (int i = 0; i < 32; ++i) mean += std::abs(rows[i * kDim + k]) / 32;
      if (!real && k % (kDim / 2) == 0) mean = 0;  // zero in exact arithmetic
      for (int i = 0; i < 32; ++i) {
        rows[i * kDim + k] = rows[i * kDim + k] >= 0 ? mean : -mean;
      }
    }
  };
  signs(re, true);
  signs(im, false);
  for (int i = 0; i < 32; ++i) {
    fourier.Inverse(back.data() + i * kDim, back.data() + i * kDim);
    for (int j = 0; j < kDim; ++j) {
      double expected = 0;
      for (int k = 0; k < kDim; ++k) {
        const double angle = 2 * M_PI * j * k / kDim;
        expected +=
            (re[i * kDim + k] * std::cos(angle) - im[i * kDim + k] * std::sin(angle)) / kDim;
      }
      ASSERT_NEAR(back[i * kDim + j], expected, 3e-3);  // scales are f16
    }
  }
}

// VidKV 10, for codes of one, two and three bits: every pattern of a word comes back.
TEST(GroupCodec, EveryPatternOfAByteComesBack) {
  for (int pattern = 0; pattern < 256; ++pattern) {
    std::vector<float> x(32 * 16);
    for (int i = 0; i < 32; ++i) {
      for (int c = 0; c < 16; ++c) {
        const int trit = (pattern / (c % 5 == 0   ? 1
                                     : c % 5 == 1 ? 3
                                     : c % 5 == 2 ? 9
                                     : c % 5 == 3 ? 27
                                                  : 81) +
                          i) %
                         3;
        x[i * 16 + c] = static_cast<float>(trit - 1);
      }
    }
    EXPECT_EQ(Encoded(TernaryPlane(16), kValues, x).Decode(32), x);
    for (float& v : x) v = v >= 0 ? 1.0f : -1.0f;
    EXPECT_EQ(Encoded(SplitPlane(0, 16), kKeys, x).Decode(32), x);
    for (int i = 0; i < 32; ++i) {
      for (int c = 0; c < 16; ++c) x[i * 16 + c] = static_cast<float>(((pattern >> c % 6) + i) & 7);
      x[i * 16] = 0, x[i * 16 + 8] = 7;
    }
    EXPECT_EQ(Encoded(TokenPlane(3, 16, 16), kValues, x).Decode(32), x);
    EXPECT_EQ(Encoded(TokenPlane(3, 16, 16), kKeys, x).Decode(32), x);
  }
}

// MiKV 3: at most half a step of the stored grid, and a constant group exactly.
TEST(GroupCodec, ErrorsAreWithinHalfAStepAndConstantsExact) {
  const std::vector<float> x = NormalVector(64 * 64, 8);
  for (int bits : {2, 3, 4, 8}) {
    const Encoded encoded(TokenPlane(bits, 64), kKeys, x);
    const std::vector<float> back = encoded.Decode(64);
    for (int i = 0; i < 64; ++i) {
      for (int c0 = 0; c0 < 64; c0 += 32) {
        const auto [low, high] =
            std::minmax_element(x.begin() + i * 64 + c0, x.begin() + i * 64 + c0 + 32);
        const float step = (*high - *low) / static_cast<float>((1 << bits) - 1);
        for (int c = c0; c < c0 + 32; ++c) {
          ASSERT_LE(std::abs(back[i * 64 + c] - x[i * 64 + c]), step / 2 + 4 * 0x1p-10f);
        }
      }
    }
    const std::vector<float> constant(32 * 64, -1.75f);
    EXPECT_EQ(Encoded(TokenPlane(bits, 64), kValues, constant).Decode(32), constant);
    if (bits != 3) {
      EXPECT_EQ(Encoded(ChannelPlane(bits, 64), kKeys, constant).Decode(32), constant);
    }
  }
}

// The tensors of a GGUF file of F32 and I16, just enough of the format.
class Fixture {
 public:
  explicit Fixture(const std::string& path) : file_(path, std::ios::binary) {
    if (!file_) return;
    file_.seekg(8);
    const auto n_tensors = Read<uint64_t>(), n_values = Read<uint64_t>();
    for (uint64_t i = 0; i < n_values; ++i) {
      String();
      SkipValue(Read<uint32_t>());
    }
    for (uint64_t i = 0; i < n_tensors; ++i) {
      Tensor tensor{.name = String()};
      tensor.n = 1;
      const auto n_dims = Read<uint32_t>();
      for (uint32_t d = 0; d < n_dims; ++d) tensor.n *= Read<uint64_t>();
      tensor.type = Read<uint32_t>();
      tensor.offset = Read<uint64_t>();
      tensors_.push_back(tensor);
    }
    data_ = (static_cast<int64_t>(file_.tellg()) + 31) / 32 * 32;
  }
  bool found() const { return !tensors_.empty(); }
  template <class T>
  std::vector<T> Get(const std::string& name) {
    for (const Tensor& tensor : tensors_) {
      if (tensor.name != name) continue;
      EXPECT_EQ(tensor.type, sizeof(T) == 4 ? 0u : 25u);  // F32, I16
      std::vector<T> x(tensor.n);
      file_.seekg(data_ + static_cast<int64_t>(tensor.offset));
      file_.read(reinterpret_cast<char*>(x.data()), static_cast<int64_t>(x.size() * sizeof(T)));
      return x;
    }
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }

 private:
  struct Tensor {
    std::string name;
    uint64_t n = 0, offset = 0;
    uint32_t type = 0;
  };
  template <class T>
  T Read() {
    T x{};
    file_.read(reinterpret_cast<char*>(&x), sizeof x);
    return x;
  }
  std::string String() {
    std::string s(Read<uint64_t>(), '\0');
    file_.read(s.data(), static_cast<int64_t>(s.size()));
    return s;
  }
  void SkipValue(uint32_t type) {
    constexpr int kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      String();
    } else if (type == 9) {
      const auto item = Read<uint32_t>();
      const auto n = Read<uint64_t>();
      for (uint64_t i = 0; i < n; ++i) SkipValue(item);
    } else {
      file_.seekg(kSizes[type], std::ios::cur);
    }
  }

  std::ifstream file_;
  std::vector<Tensor> tensors_;
  int64_t data_ = 0;
};

// Codes and decoded numbers, computed elsewhere in f32 (fixtures/methods/README.md).
class QuantGroups : public testing::Test {
 protected:
  static constexpr int kDim = 64;
  void SetUp() override {
    if (!fixture_.found()) GTEST_SKIP() << "no fixtures beside this checkout";
  }
  // Encodes n entries of one head, page by page, and compares codes and what they decode to.
  void Check(PlaneFormat format, PlaneKind kind, const float* x, int n, const int16_t* codes,
             const float* decoded) {
    for (int begin = 0; begin < n; begin += 64) {
      const int here = std::min(64, n - begin);
      const Encoded page(format, kind, {x + begin * kDim, x + (begin + here) * kDim});
      const std::vector<float> back = page.Decode(here);
      for (int i = 0; i < here; ++i) {
        for (int c = 0; c < kDim; ++c) {
          const int at = (begin + i) * kDim + c;
          ASSERT_EQ(page.Code(i, c), codes[at]) << "entry " << begin + i << " channel " << c;
          ASSERT_EQ(back[i * kDim + c], decoded[at]) << "entry " << begin + i << " channel " << c;
        }
      }
    }
  }
  Fixture fixture_{SharedDir() + "/fixtures/methods/quant_groups.gguf"};
};

TEST_F(QuantGroups, WithScalesInF32EverythingIsEqual) {
  for (const char* plane : {"K", "V"}) {
    const bool keys = *plane == 'K';
    const std::vector<float> x = fixture_.Get<float>(plane);
    const int n = keys ? 288 : 300;
    for (int bits : {2, 4, 8}) {
      const std::string name = fmt::format("{}.int{}", plane, bits);
      const auto codes = fixture_.Get<int16_t>(fmt::format("{}.codes", name));
      const auto decoded = fixture_.Get<float>(fmt::format("{}.dequantised", name));
      PlaneFormat format = keys ? ChannelPlane(bits, kDim) : TokenPlane(bits, kDim);
      format.f32_scales = true;
      for (int head = 0; head < 2; ++head) {
        Check(format, keys ? kKeys : kValues, x.data() + head * 300 * kDim, n,
              codes.data() + head * n * kDim, decoded.data() + head * 300 * kDim);
      }
    }
  }
}

// With scales in f16 the grid moves by 2^-11 of its range: codes differ by one at most, and only of
// numbers that close to the middle of two.
TEST_F(QuantGroups, WithScalesInF16CodesAreTheNearest) {
  const std::vector<float> x = fixture_.Get<float>("K");
  for (int bits : {2, 4, 8}) {
    const auto codes = fixture_.Get<int16_t>(fmt::format("K.int{}.codes", bits));
    int different = 0;
    for (int begin = 0; begin + 64 <= 288; begin += 64) {
      const Encoded page(ChannelPlane(bits, kDim), kKeys,
                         {x.begin() + begin * kDim, x.begin() + (begin + 64) * kDim});
      for (int i = 0; i < 64; ++i) {
        for (int c = 0; c < kDim; ++c) {
          const int difference = page.Code(i, c) - codes[(begin + i) * kDim + c];
          ASSERT_LE(std::abs(difference), 1);
          different += difference != 0;
        }
      }
    }
    EXPECT_LT(different, 256 * 64 * (1 << bits) / 1000) << bits;
  }
}

}  // namespace
}  // namespace kvasir
