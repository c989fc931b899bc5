#include "kernels/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/buffer.h"
#include "base/half.h"
#include "tests/kernels/formats.h"

namespace kvasir {
namespace {

constexpr PlaneKind kKinds[] = {PlaneKind::kKeys, PlaneKind::kValues};
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Normal(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.3f, 2.0f);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

// A plane of garbage.
Buffer Plane(const PlaneFormat& format, PlaneKind kind) {
  Buffer plane(PlaneBytes(format, kind));
  std::memset(plane.data(), 0xff, plane.size());
  return plane;
}

// Encodes rows of format.dim numbers from slot 0 on and decodes them.
std::vector<float> RoundTrip(const PlaneFormat& format, PlaneKind kind,
                             const std::vector<float>& x) {
  const int n = static_cast<int>(x.size()) / format.dim;
  const Buffer plane = Plane(format, kind);
  EncodeEntries(Isa::kAvx2, format, kind, x.data(), format.dim, 0, n, plane.data());
  std::vector<float> back(x.size());
  DecodeEntries(format, kind, plane.data(), 0, n, back.data(), format.dim);
  return back;
}

class Codec : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU lacks " << IsaName(GetParam());
  }
};

TEST(CodecNames, ParseBackAndRefuseOthers) {
  for (const char* name : {"f32", "f16", "bf16", "i16", "q8", "q4"}) {
    EXPECT_EQ(FormatName(*ParseFormat(name, 64)), name);
    EXPECT_EQ(ParseFormat(name, 64)->dim, 64);
  }
  const auto wrong = ParseFormat("q5", 64);
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("q5"), std::string::npos);
  EXPECT_FALSE(ParseFormat("", 64));
  EXPECT_EQ(FormatName(TokenPlane(2, 64, 64)), "token2/64");
  EXPECT_EQ(FormatName(SplitPlane(32, 64)), "split32");
}

TEST(CodecNames, FormatsFromOutsideAreChecked) {
  const auto bad = [](PlaneFormat format, PlaneKind kind) {
    return !CheckFormat(format, kind).has_value();
  };
  EXPECT_TRUE(bad(FloatPlane(CodecId::kF16, 0), PlaneKind::kKeys));
  EXPECT_TRUE(bad(FloatPlane(CodecId::kF16, 257), PlaneKind::kKeys));
  EXPECT_FALSE(bad(FloatPlane(CodecId::kF16, 39), PlaneKind::kValues));
  EXPECT_TRUE(bad(I16Plane(24), PlaneKind::kValues));
  EXPECT_FALSE(bad(I16Plane(24), PlaneKind::kKeys));
  EXPECT_TRUE(bad(TokenPlane(4, 39), PlaneKind::kValues));
  EXPECT_FALSE(bad(TokenPlane(4, 40), PlaneKind::kValues));
  EXPECT_TRUE(bad(FloatPlane(static_cast<CodecId>(99), 64), PlaneKind::kKeys));
  EXPECT_TRUE(bad(TokenPlane(5, 64), PlaneKind::kKeys));
  EXPECT_TRUE(bad(TokenPlane(4, 64, 12), PlaneKind::kKeys));
  EXPECT_TRUE(bad(TokenPlane(4, 64, 0), PlaneKind::kKeys));
  EXPECT_TRUE(bad(ChannelPlane(3, 64), PlaneKind::kKeys));
  for (int group : {-32, 0, 16, 48, 128}) {
    EXPECT_TRUE(bad(ChannelPlane(2, 64, group), PlaneKind::kKeys)) << group;
  }
  EXPECT_FALSE(bad(ChannelPlane(2, 64, 64), PlaneKind::kKeys));
  EXPECT_TRUE(bad(SplitPlane(32, 64), PlaneKind::kValues));
  EXPECT_TRUE(bad(SplitPlane(65, 64), PlaneKind::kKeys));
  EXPECT_TRUE(bad(TernaryPlane(64), PlaneKind::kKeys));
}

// N * elements / 8, and 2 bytes a scale or minimum.
TEST(CodecSizes, AreWhatTheSheetsSay) {
  const auto bytes = [](const PlaneFormat& format, PlaneKind kind = PlaneKind::kKeys) {
    return PlaneBytes(format, kind);
  };
  constexpr auto kValues = PlaneKind::kValues;
  EXPECT_EQ(bytes(FloatPlane(CodecId::kF32, 64)), 64 * 64 * 4);
  EXPECT_EQ(bytes(FloatPlane(CodecId::kF16, 128), kValues), 64 * 128 * 2);
  EXPECT_EQ(bytes(FloatPlane(CodecId::kF16, 77)), 64 * 77 * 2);  // ThinK: 0.6 of 128
  EXPECT_EQ(bytes(I16Plane(64)), 64 * 64 * 2 + 64 * 4);
  EXPECT_EQ(bytes(I16Plane(77)), 64 * 78 * 2 + 64 * 4);  // in pairs
  EXPECT_EQ(bytes(I16Plane(128), kValues), 64 * 128 * 2 + 64 * 4);
  EXPECT_EQ(bytes(Q8Plane(64)), 64 * 64 + 2 * 64 * 2);
  EXPECT_EQ(bytes(TokenPlane(4, 64), kValues), 64 * 32 + 2 * 2 * 64 * 2);
  // KIVI, G = 32: bits + 1 a number, for keys and values.
  for (int bits : {2, 4, 8}) {
    EXPECT_EQ(bytes(ChannelPlane(bits, 64)), 64 * 64 * (bits + 1) / 8);
    EXPECT_EQ(bytes(TokenPlane(bits, 64), kValues), 64 * 64 * (bits + 1) / 8);
  }
  // G = 64: bits + 1/2.
  for (int bits : {2, 4, 8}) {
    EXPECT_EQ(bytes(ChannelPlane(bits, 64, 64)), 64 * 64 * (2 * bits + 1) / 16);
    EXPECT_EQ(bytes(ChannelPlane(bits, 64, 64), kValues), 64 * 64 * (2 * bits + 1) / 16);
  }
  // MiKV, groups of half a head of 128: bits + 1/2.
  for (int bits : {2, 3, 4, 8}) {
    EXPECT_EQ(bytes(TokenPlane(bits, 128, 64)), 64 * 128 * (2 * bits + 1) / 16);
    EXPECT_EQ(bytes(TokenPlane(bits, 128, 64), kValues), 64 * 128 * (2 * bits + 1) / 16);
  }
  // VidKV "1.5": 3 bits and 1.5 bits; ternary values 2.5.
  EXPECT_EQ(bytes(SplitPlane(64, 128)), 64 * 128 * 9 / 32);
  EXPECT_EQ(bytes(TernaryPlane(128), kValues), 64 * 128 * 5 / 16);
  PlaneFormat precise = ChannelPlane(2, 64);
  precise.f32_scales = true;
  EXPECT_EQ(bytes(precise), 64 * 64 * 4 / 8);
  for (int d = 16; d <= 256; d += 16) {
    for (PlaneKind kind : kKinds) {
      for (const PlaneFormat& format : FormatsOf(kind, d)) EXPECT_EQ(bytes(format, kind) % 128, 0);
    }
  }
}

// The error that a format allows number c of entry i among 64 entries.
float AllowedError(const PlaneFormat& format, const std::vector<float>& x, int i, int c) {
  const int d = format.dim;
  const float v = x[i * d + c];
  if (format.codec == CodecId::kI16) {  // half a step of keys; those of values are smaller
    double norm = 0;
    for (int k = 0; k < d; ++k) norm += double{x[i * d + k]} * x[i * d + k];
    float largest = 0;
    for (int k = 0; k < d; ++k) largest = std::max(largest, std::abs(x[i * d + k]));
    const auto step = std::max(static_cast<float>(std::sqrt(norm) / 46300), largest / 32767);
    return step / 2 + std::abs(v) * 0x1p-22f;
  }
  int c0 = c, c1 = c + 1, i0 = i, i1 = i + 1;
  const int together = SlotsTogether(format);
  if (together == 1 && format.group > 0) {  // by entry
    c0 = c / format.group * format.group;
    c1 = std::min<int>(c0 + format.group, d);
  } else {
    i0 = i / together * together;
    i1 = i0 + together;
  }
  float low = kInf, high = -kInf, mean = 0;
  for (int row = i0; row < i1; ++row) {
    for (int k = c0; k < c1; ++k) {
      low = std::min(low, x[row * d + k]), high = std::max(high, x[row * d + k]);
      mean += std::abs(x[row * d + k]) / static_cast<float>((i1 - i0) * (c1 - c0));
    }
  }
  const float amax = std::max(-low, high), half = format.f32_scales ? 1e-6f : 0x1p-11f;
  // Half a step, and what rounding scale and minimum costs at the far end of the range.
  const auto affine = [&](int bits) {
    return (high - low) / static_cast<float>((1 << bits) - 1) / 2 + (high - low + 2 * amax) * half;
  };
  switch (format.codec) {
    case CodecId::kF32:
      return 0;
    case CodecId::kF16:
      return std::abs(v) * 0x1p-11f;
    case CodecId::kBF16:
      return std::abs(v) * 0x1p-8f;
    case CodecId::kI16:
      return 0;  // above
    case CodecId::kQ8:
      return amax / 127 / 2 + 2 * amax * half;
    case CodecId::kToken:
    case CodecId::kChannel:
      return affine(format.bits);
    case CodecId::kSplit:
      return c < format.wide ? affine(2) : std::abs(std::abs(v) - mean) + mean * 2 * half;
    case CodecId::kTernary:
      return std::max(mean, amax - mean) + amax * half;
  }
  return 0;
}

// Every format, both layouts, every head size: what comes back is within the codec's error.
TEST_P(Codec, RoundTripsWithinItsStep) {
  for (PlaneKind kind : kKinds) {
    for (int d = 16; d <= 256; d += 16) {
      for (const PlaneFormat& format : FormatsOf(kind, d)) {
        const std::vector<float> x = Normal(64 * format.dim, d);
        const std::vector<float> back = RoundTrip(format, kind, x);
        for (int i = 0; i < 64; ++i) {
          for (int c = 0; c < format.dim; ++c) {
            const int at = i * format.dim + c;
            ASSERT_LE(std::abs(x[at] - back[at]), AllowedError(format, x, i, c) * 1.0001f)
                << FormatName(format) << " dim " << format.dim << " value " << x[at];
          }
        }
      }
    }
  }
}

TEST_P(Codec, IntegersOfSixteenBitsKeepZerosAndStayFinite) {
  const float most = std::numeric_limits<float>::max();
  for (PlaneKind kind : kKinds) {
    const PlaneFormat format = I16Plane(16);
    const auto back = [&](std::vector<float> x) {
      x.resize(64 * 16);
      return RoundTrip(format, kind, x);
    };
    EXPECT_EQ(back({}), std::vector<float>(64 * 16));
    EXPECT_EQ(back({0, 1})[0], 0.0f);
    EXPECT_NEAR(back({0, 1})[1], 1.0f, 1e-4f);
    EXPECT_NEAR(back({1e-42f})[0], 0.0f, 1e-40f);
    for (const float x : {most, -most, kInf, -kInf}) {
      EXPECT_TRUE(std::isfinite(back({x, 1})[0])) << x;
      EXPECT_GT(std::abs(back({x, 1})[0]), 1e38f) << x;
    }
  }
}

TEST_P(Codec, HalvesRoundToNearestEvenAndSaturate) {
  const float x[16] = {1.0f + 0x1p-11f,
                       1.0f + 3 * 0x1p-11f,
                       1.0f + 0x1p-8f,
                       1.0f + 3 * 0x1p-8f,
                       1e6f,
                       -1e6f,
                       kInf,
                       0x1p-25f,
                       3 * 0x1p-25f,
                       -0.0f,
                       65504.0f,
                       65519.0f,
                       0.1f,
                       -0.1f,
                       1e-20f,
                       std::nanf("")};
  const PlaneFormat f16 = FloatPlane(CodecId::kF16, 16), bf16 = FloatPlane(CodecId::kBF16, 16);
  const Buffer plane = Plane(f16, PlaneKind::kValues);
  const auto bits = plane.as<uint16_t>();
  EncodeEntries(GetParam(), f16, PlaneKind::kValues, x, 16, 0, 1, plane.data());
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(bits[i], ToF16(std::clamp(x[i], -65504.0f, 65504.0f)).bits) << x[i];
  }
  EXPECT_TRUE(std::isnan(ToFloat(F16{bits[15]})));
  EncodeEntries(GetParam(), bf16, PlaneKind::kValues, x, 16, 0, 1, plane.data());
  for (int i = 0; i < 15; ++i) EXPECT_EQ(bits[i], ToBF16(x[i]).bits) << x[i];
  EXPECT_TRUE(std::isnan(ToFloat(BF16{bits[15]})));
}

TEST_P(Codec, DecodesEveryHalfExactly) {
  const PlaneFormat format = FloatPlane(CodecId::kF16, 256);
  const Buffer plane = Plane(format, PlaneKind::kValues);
  for (uint32_t first = 0; first < 0x10000; first += 64 * 256) {
    for (uint32_t i = 0; i < 64 * 256; ++i) {
      plane.as<uint16_t>()[i] = static_cast<uint16_t>(first + i);
    }
    std::vector<float> back(64 * 256);
    DecodeEntries(format, PlaneKind::kValues, plane.data(), 0, 64, back.data(), 256);
    for (uint32_t i = 0; i < 64 * 256; ++i) {
      const float expected = ToFloat(F16{static_cast<uint16_t>(first + i)});
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(back[i]));
      } else {
        ASSERT_EQ(back[i], expected);
      }
    }
  }
}

// Values that lie on the grid come back exactly, and the bytes are those of the layout.
TEST_P(Codec, GridsByHand) {
  std::vector<float> x(32), back(32);
  for (int c = 0; c < 32; ++c) x[c] = static_cast<float>(c % 16) - 3;  // minimum -3, step 1
  const PlaneFormat q4 = TokenPlane(4, 32);
  const Buffer plane = Plane(q4, PlaneKind::kKeys);
  EncodeEntries(GetParam(), q4, PlaneKind::kKeys, x.data(), 32, 7, 1, plane.data());
  EXPECT_EQ(plane.as<uint32_t>()[7], 0x73625140u);  // channels 0 to 7 of slot 7
  EXPECT_EQ(plane.as<uint32_t>()[64 + 7], 0xfbead9c8u);
  EXPECT_EQ(plane.as<uint16_t>()[4 * 64 * 2 + 7], 0x3c00);       // scale 1
  EXPECT_EQ(plane.as<uint16_t>()[4 * 64 * 2 + 64 + 7], 0xc200);  // minimum -3
  DecodeEntries(q4, PlaneKind::kKeys, plane.data(), 7, 1, back.data(), 32);
  EXPECT_EQ(x, back);
  for (int c = 0; c < 32; ++c) x[c] = static_cast<float>(c) * 8 - 127;  // -127, a step of 1
  const PlaneFormat q8 = Q8Plane(32);
  const Buffer values = Plane(q8, PlaneKind::kValues);
  EncodeEntries(GetParam(), q8, PlaneKind::kValues, x.data(), 32, 2, 1, values.data());
  EXPECT_EQ(values.as<uint8_t>()[1 * 4 + 2], 128 - 119);  // channel 1, slot 2
  DecodeEntries(q8, PlaneKind::kValues, values.data(), 2, 1, back.data(), 32);
  EXPECT_EQ(x, back);
}

TEST_P(Codec, BitsAreTheSameOnEveryInstructionSet) {
  for (PlaneKind kind : kKinds) {
    for (const PlaneFormat& format : FormatsOf(kind, 80)) {
      const std::vector<float> x = Normal(64 * format.dim, 7);
      Buffer a = Plane(format, kind), b = Plane(format, kind);
      EncodeEntries(Isa::kAvx2, format, kind, x.data(), format.dim, 0, 64, a.data());
      EncodeEntries(GetParam(), format, kind, x.data(), format.dim, 0, 64, b.data());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0);
    }
  }
}

// Entries encoded a group at a time, or copied from elsewhere, have the same bytes as those encoded
// at once.
TEST_P(Codec, GroupsAreIndependentAndCopyExactly) {
  for (PlaneKind kind : kKinds) {
    for (int dim : {16, 48, 64, 80}) {
      for (const PlaneFormat& format : FormatsOf(kind, dim)) {
        const int d = format.dim, step = SlotsTogether(format);
        const std::vector<float> x = Normal(64 * d, d + 1);
        const Buffer whole = Plane(format, kind), single = Plane(format, kind),
                     copied = Plane(format, kind);
        EncodeEntries(GetParam(), format, kind, x.data(), d, 0, 64, whole.data());
        for (int i = 64 - step; i >= 0; i -= step) {
          EncodeEntries(GetParam(), format, kind, x.data() + i * d, d, i, step, single.data());
        }
        EXPECT_EQ(std::memcmp(whole.data(), single.data(), whole.size()), 0);
        const auto place = [&](int i) { return step == 1 ? (i * 5 + 3) % 64 : (i + step) % 64; };
        for (int i = 0; i < 64; i += step) {
          CopyEntries(format, kind, whole.data(), i, step, copied.data(), place(i));
        }
        std::vector<float> a(64 * d), b(64 * d);
        DecodeEntries(format, kind, whole.data(), 0, 64, a.data(), d);
        DecodeEntries(format, kind, copied.data(), 0, 64, b.data(), d);
        for (int i = 0; i < 64; ++i) {
          for (int c = 0; c < d; ++c) ASSERT_EQ(a[i * d + c], b[place(i) * d + c]);
        }
      }
    }
  }
}

TEST_P(Codec, ConstantsZerosAndHugeValuesStayFinite) {
  for (PlaneKind kind : kKinds) {
    for (const PlaneFormat& format : FormatsOf(kind, 32)) {
      for (float value : {0.0f, 1.0f, -3.5f, 1e-7f, 1e30f, -1e30f}) {
        const std::vector<float> x(64 * format.dim, value);
        const std::vector<float> back = RoundTrip(format, kind, x);
        for (size_t i = 0; i < x.size(); ++i) {
          EXPECT_TRUE(std::isfinite(back[i])) << FormatName(format);
          if (std::abs(value) > 3.5f) continue;
          const bool sign = format.codec == CodecId::kSplit || format.codec == CodecId::kTernary;
          const bool symmetric = sign || format.codec == CodecId::kQ8;
          // A constant group is its minimum, which f16 (bf16) rounds; q8 its largest code.
          const float error = symmetric ? 0.01f * std::abs(value) : std::abs(value) * 0x1p-8f;
          EXPECT_NEAR(back[i], value, error + 4e-8f) << FormatName(format);
        }
      }
    }
  }
}

TEST(CodecNaN, DoesNotSpreadInAGroup) {
  for (PlaneKind kind : kKinds) {
    for (const PlaneFormat& format :
         {TokenPlane(4, 64), ChannelPlane(4, 64), Q8Plane(64), TokenPlane(3, 64)}) {
      std::vector<float> x = Normal(64 * 64, 3);
      x[7 * 64 + 9] = std::nanf("");
      const std::vector<float> back = RoundTrip(format, kind, x);
      for (float v : back) EXPECT_TRUE(std::isfinite(v));
      EXPECT_NEAR(back[7 * 64 + 10], x[7 * 64 + 10], 0.9f);
      EXPECT_NEAR(back[8 * 64 + 9], x[8 * 64 + 9], 0.9f);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, Codec, testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
