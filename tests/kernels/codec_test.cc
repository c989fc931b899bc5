#include "kernels/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/buffer.h"
#include "base/half.h"

namespace kvasir {
namespace {

constexpr CodecId kCodecs[] = {CodecId::kF32, CodecId::kF16, CodecId::kBF16, CodecId::kQ8,
                               CodecId::kQ4};
constexpr PlaneKind kKinds[] = {PlaneKind::kKeys, PlaneKind::kValues};
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Normal(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.3f, 2.0f);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

class Codec : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!CpuSupports(GetParam())) GTEST_SKIP() << "this CPU lacks " << IsaName(GetParam());
  }
};

TEST(CodecNames, ParseBackAndRefuseOthers) {
  for (CodecId codec : kCodecs) EXPECT_EQ(*ParseCodec(CodecName(codec)), codec);
  const auto wrong = ParseCodec("q5");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("q5"), std::string::npos);
  EXPECT_FALSE(ParseCodec(""));
}

TEST(CodecSizes, AreWhatTheLayoutSays) {
  EXPECT_EQ(PlaneBytes(CodecId::kF32, PlaneKind::kKeys, 64), 64 * 64 * 4);
  EXPECT_EQ(PlaneBytes(CodecId::kF16, PlaneKind::kValues, 128), 64 * 128 * 2);
  EXPECT_EQ(PlaneBytes(CodecId::kQ8, PlaneKind::kKeys, 64), 64 * 64 + 2 * 64 * 2);
  EXPECT_EQ(PlaneBytes(CodecId::kQ4, PlaneKind::kValues, 64), 64 * 32 + 2 * 2 * 64 * 2);
  for (CodecId codec : kCodecs) {
    for (PlaneKind kind : kKinds) {
      for (int d = 16; d <= 256; d += 16) EXPECT_EQ(PlaneBytes(codec, kind, d) % 128, 0);
    }
  }
}

// Every codec, both layouts, every head size: what comes back is within the codec's error.
TEST_P(Codec, RoundTripsWithinItsStep) {
  for (CodecId codec : kCodecs) {
    for (PlaneKind kind : kKinds) {
      for (int d = 16; d <= 256; d += 16) {
        const int n = 37, slot = 20;
        const std::vector<float> x = Normal(n * d, d);
        Buffer plane(PlaneBytes(codec, kind, d));
        std::memset(plane.data(), 0xff, plane.size());
        EncodeEntries(GetParam(), codec, kind, d, x.data(), d, slot, n, plane.data());
        std::vector<float> back(n * d);
        DecodeEntries(codec, kind, d, plane.data(), slot, n, back.data(), d);
        for (int i = 0; i < n; ++i) {
          for (int c0 = 0; c0 < d; c0 += 32) {
            const int end = std::min(c0 + 32, d);
            float low = kInf, high = -kInf;
            for (int c = c0; c < end; ++c) {
              low = std::min(low, x[i * d + c]), high = std::max(high, x[i * d + c]);
            }
            const float amax = std::max(-low, high);
            for (int c = c0; c < end; ++c) {
              const float v = x[i * d + c];
              float error = 0;
              if (codec == CodecId::kF16) error = std::abs(v) * 0x1p-11f;
              if (codec == CodecId::kBF16) error = std::abs(v) * 0x1p-8f;
              // Half a step, plus what rounding the scale and minimum to f16 costs.
              if (codec == CodecId::kQ8) error = amax / 127 * 0.5f + amax * 0x1p-10f;
              if (codec == CodecId::kQ4) error = (high - low) / 15 * 0.51f + amax * 0x1p-10f;
              ASSERT_LE(std::abs(v - back[i * d + c]), error * 1.0001f)
                  << CodecName(codec) << " head_dim " << d << " value " << v;
            }
          }
        }
      }
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
  Buffer plane(PlaneBytes(CodecId::kF16, PlaneKind::kValues, 16));
  const auto bits = plane.as<uint16_t>();
  EncodeEntries(GetParam(), CodecId::kF16, PlaneKind::kValues, 16, x, 16, 0, 1, plane.data());
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(bits[i], ToF16(std::clamp(x[i], -65504.0f, 65504.0f)).bits) << x[i];
  }
  EXPECT_TRUE(std::isnan(ToFloat(F16{bits[15]})));
  EncodeEntries(GetParam(), CodecId::kBF16, PlaneKind::kValues, 16, x, 16, 0, 1, plane.data());
  for (int i = 0; i < 15; ++i) EXPECT_EQ(bits[i], ToBF16(x[i]).bits) << x[i];
  EXPECT_TRUE(std::isnan(ToFloat(BF16{bits[15]})));
}

TEST_P(Codec, DecodesEveryHalfExactly) {
  Buffer plane(PlaneBytes(CodecId::kF16, PlaneKind::kValues, 256));
  for (uint32_t first = 0; first < 0x10000; first += 64 * 256) {
    for (uint32_t i = 0; i < 64 * 256; ++i) {
      plane.as<uint16_t>()[i] = static_cast<uint16_t>(first + i);
    }
    std::vector<float> back(64 * 256);
    DecodeEntries(CodecId::kF16, PlaneKind::kValues, 256, plane.data(), 0, 64, back.data(), 256);
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
  Buffer plane(PlaneBytes(CodecId::kQ4, PlaneKind::kKeys, 32));
  EncodeEntries(GetParam(), CodecId::kQ4, PlaneKind::kKeys, 32, x.data(), 32, 7, 1, plane.data());
  EXPECT_EQ(plane.as<uint8_t>()[2 * 64 + 7], 0x54);               // channels 4 and 5
  EXPECT_EQ(plane.as<uint16_t>()[16 * 64 / 2 + 7], 0x3c00);       // scale 1
  EXPECT_EQ(plane.as<uint16_t>()[16 * 64 / 2 + 64 + 7], 0xc200);  // minimum -3
  DecodeEntries(CodecId::kQ4, PlaneKind::kKeys, 32, plane.data(), 7, 1, back.data(), 32);
  EXPECT_EQ(x, back);
  for (int c = 0; c < 32; ++c) x[c] = static_cast<float>(c) * 8 - 127;  // -127, a step of 1
  plane = Buffer(PlaneBytes(CodecId::kQ8, PlaneKind::kValues, 32));
  EncodeEntries(GetParam(), CodecId::kQ8, PlaneKind::kValues, 32, x.data(), 32, 2, 1, plane.data());
  EXPECT_EQ(plane.as<int8_t>()[2 * 32 + 1], -119);
  DecodeEntries(CodecId::kQ8, PlaneKind::kValues, 32, plane.data(), 2, 1, back.data(), 32);
  EXPECT_EQ(x, back);
}

TEST_P(Codec, BitsAreTheSameOnEveryInstructionSet) {
  for (CodecId codec : kCodecs) {
    for (PlaneKind kind : kKinds) {
      const std::vector<float> x = Normal(64 * 80, 7);
      Buffer a(PlaneBytes(codec, kind, 80)), b(a.size());
      std::memset(a.data(), 0, a.size()), std::memset(b.data(), 0, b.size());
      EncodeEntries(Isa::kAvx2, codec, kind, 80, x.data(), 80, 0, 64, a.data());
      EncodeEntries(GetParam(), codec, kind, 80, x.data(), 80, 0, 64, b.data());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0);
    }
  }
}

// Entries encoded one by one, or copied from elsewhere, have the same bytes as those encoded at
// once.
TEST_P(Codec, EntriesAreIndependentAndCopyExactly) {
  for (CodecId codec : kCodecs) {
    for (PlaneKind kind : kKinds) {
      for (int d : {16, 48, 64, 80}) {
        const std::vector<float> x = Normal(64 * d, d + 1);
        Buffer whole(PlaneBytes(codec, kind, d)), single(whole.size()), copied(whole.size());
        std::memset(whole.data(), 0, whole.size());
        std::memset(single.data(), 0, single.size());
        std::memset(copied.data(), 0, copied.size());
        EncodeEntries(GetParam(), codec, kind, d, x.data(), d, 0, 64, whole.data());
        for (int i = 63; i >= 0; --i) {
          EncodeEntries(GetParam(), codec, kind, d, x.data() + i * d, d, i, 1, single.data());
        }
        EXPECT_EQ(std::memcmp(whole.data(), single.data(), whole.size()), 0);
        for (int i = 0; i < 64; ++i) {
          CopyEntry(codec, kind, d, whole.data(), i, copied.data(), (i * 5 + 3) % 64);
        }
        std::vector<float> a(64 * d), b(64 * d);
        DecodeEntries(codec, kind, d, whole.data(), 0, 64, a.data(), d);
        DecodeEntries(codec, kind, d, copied.data(), 0, 64, b.data(), d);
        for (int i = 0; i < 64; ++i) {
          for (int c = 0; c < d; ++c) ASSERT_EQ(a[i * d + c], b[(i * 5 + 3) % 64 * d + c]);
        }
      }
    }
  }
}

TEST_P(Codec, ConstantsZerosAndHugeValuesStayFinite) {
  for (CodecId codec : kCodecs) {
    for (float value : {0.0f, 1.0f, -3.5f, 1e-7f, 1e30f, -1e30f}) {
      const std::vector<float> x(32, value);
      Buffer plane(PlaneBytes(codec, PlaneKind::kValues, 32));
      EncodeEntries(GetParam(), codec, PlaneKind::kValues, 32, x.data(), 32, 5, 1, plane.data());
      std::vector<float> back(32);
      DecodeEntries(codec, PlaneKind::kValues, 32, plane.data(), 5, 1, back.data(), 32);
      for (float v : back) {
        EXPECT_TRUE(std::isfinite(v));
        const float error = std::abs(value) > 3.5f ? kInf : 0.02f * std::abs(value) + 1e-7f;
        EXPECT_NEAR(v, value, error);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, Codec, testing::ValuesIn(AllIsas().begin(), AllIsas().end()),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

}  // namespace
}  // namespace kvasir
