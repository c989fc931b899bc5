// Block formats by hand: one block each of the types that most models use, worked out on paper.
// All 25 types are compared with ggml's own values in tests/model/quants_golden_test.cc.
#include "kernels/tensor_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/half.h"

namespace kvasir {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// Bytes of a block, field by field.
class Block {
 public:
  Block& Half(float value) {
    const F16 half = ToF16(value);
    bytes_.insert(bytes_.end(), {std::byte(half.bits & 255), std::byte(half.bits >> 8)});
    return *this;
  }
  Block& Bytes(int n, uint8_t value) {
    bytes_.insert(bytes_.end(), static_cast<size_t>(n), std::byte{value});
    return *this;
  }
  std::vector<float> Decode(TensorType type) const {
    EXPECT_EQ(bytes_.size(), static_cast<size_t>(InfoOf(type).block_bytes));
    std::vector<float> values(static_cast<size_t>(InfoOf(type).block_values));
    EXPECT_TRUE(Dequantize(type, bytes_.data(), InfoOf(type).block_values, values.data()));
    return values;
  }

 private:
  std::vector<std::byte> bytes_;
};

TEST(TensorType, InfoIsFoundByGgufId) {
  EXPECT_EQ(FindTensorType(12)->name, "Q4_K");
  EXPECT_EQ(FindTensorType(12)->block_bytes, 144);
  EXPECT_EQ(InfoOf(TensorType::kIQ4_XS).block_values, 256);
  for (const uint32_t removed : {4u, 5u, 31u, 33u, 36u, 99u, ~0u}) {
    EXPECT_EQ(FindTensorType(removed), nullptr) << removed;
  }
}

TEST(Dequantize, Q4_0HasLowHalvesFirstAndAnOffsetOf8) {
  // Nibble 1 -> (1 - 8) * 0.5, nibble 15 -> (15 - 8) * 0.5.
  const std::vector<float> v = Block().Half(0.5f).Bytes(16, 0xf1).Decode(TensorType::kQ4_0);
  EXPECT_EQ(v[0], -3.5f);
  EXPECT_EQ(v[15], -3.5f);
  EXPECT_EQ(v[16], 3.5f);
  EXPECT_EQ(v[31], 3.5f);
}

TEST(Dequantize, Q4_1AddsAMinimum) {
  const std::vector<float> v =
      Block().Half(0.25f).Half(-1).Bytes(1, 0x84).Bytes(15, 0).Decode(TensorType::kQ4_1);
  EXPECT_EQ(v[0], 0.0f);   // 4 * 0.25 - 1
  EXPECT_EQ(v[16], 1.0f);  // 8 * 0.25 - 1
  EXPECT_EQ(v[1], -1.0f);
}

TEST(Dequantize, Q5_0TakesItsFifthBitFromAWord) {
  // High bits: of values 0 and 31.
  const std::vector<float> v =
      Block().Half(1).Bytes(1, 0x01).Bytes(2, 0).Bytes(1, 0x80).Bytes(16, 0x32).Decode(
          TensorType::kQ5_0);
  EXPECT_EQ(v[0], 2);     // 2 + 16 - 16
  EXPECT_EQ(v[1], -14);   // 2 - 16
  EXPECT_EQ(v[16], -13);  // 3 - 16
  EXPECT_EQ(v[31], 3);    // 3 + 16 - 16
}

TEST(Dequantize, Q8_0IsSigned) {
  const std::vector<float> v =
      Block().Half(2).Bytes(1, 0x80).Bytes(31, 0x7f).Decode(TensorType::kQ8_0);
  EXPECT_EQ(v[0], -256);
  EXPECT_EQ(v[31], 254);
}

TEST(Dequantize, Q4_KUnpacksScalesOfBothKinds) {
  // Scale bytes: group 0 has scale 63 and the upper bits 11 for group 4, whose low nibble is 5, so
  // scale 0x35 = 53; minima: group 1 has 2, group 5 has (nibble 1, upper bits 10) = 33.
  const std::vector<float> v = Block()
                                   .Half(1)
                                   .Half(0.5f)
                                   .Bytes(1, 0xff)  // group 0 scale, 4's upper bits
                                   .Bytes(3, 0x00)
                                   .Bytes(1, 0x00)  // group 0 minimum
                                   .Bytes(1, 0x82)  // group 1 minimum, 5's upper bits
                                   .Bytes(2, 0x00)
                                   .Bytes(1, 0x05)  // group 4: scale nibble
                                   .Bytes(1, 0x10)  // group 5: minimum nibble
                                   .Bytes(2, 0x00)
                                   .Bytes(128, 0x32)
                                   .Decode(TensorType::kQ4_K);
  EXPECT_EQ(v[0], 2 * 63);
  EXPECT_EQ(v[32], 3 * 0 - 0.5f * 2);
  EXPECT_EQ(v[64], 0);
  EXPECT_EQ(v[128], 2 * 53);
  EXPECT_EQ(v[160], -0.5f * 33);
}

TEST(Dequantize, Q6_KJoinsNibblesAndPairs) {
  // Nibbles 0x4 and 0xa, pairs 3, 2, 1, 0 from the low end; the last scale is -1, the others 1.
  const std::vector<float> v =
      Block().Bytes(128, 0xa4).Bytes(64, 0x1b).Bytes(15, 1).Bytes(1, 0xff).Half(1).Decode(
          TensorType::kQ6_K);
  EXPECT_EQ(v[0], 4 + 48 - 32);
  EXPECT_EQ(v[32], 4 + 32 - 32);
  EXPECT_EQ(v[64], 10 + 16 - 32);
  EXPECT_EQ(v[96], 10 + 0 - 32);
  EXPECT_EQ(v[239], 10 - 32);
  EXPECT_EQ(v[240], 32 - 10);
}

TEST(Dequantize, Mxfp4ExponentsReachTheSubnormals) {
  // Nibble 2 is 1.0 (doubled: 2), nibble 9 is -0.5 (doubled: -1).
  const auto decode = [](uint8_t exponent) {
    return Block().Bytes(1, exponent).Bytes(16, 0x92).Decode(TensorType::kMXFP4);
  };
  EXPECT_EQ(decode(127)[0], 1.0f);
  EXPECT_EQ(decode(127)[16], -0.5f);
  EXPECT_EQ(decode(130)[0], 8.0f);
  EXPECT_EQ(decode(0)[0], std::ldexp(1.0f, -127));
  EXPECT_EQ(decode(254)[0], std::ldexp(1.0f, 127));
}

TEST(Dequantize, Tq1_0HoldsFiveDigitsAByte) {
  // ceil(242 * 256 / 243) = 255 is 22222 in base 3: all digits 2, value +1; 0 is 00000: -1.
  const std::vector<float> v =
      Block().Bytes(32, 255).Bytes(16, 0).Bytes(4, 255).Half(3).Decode(TensorType::kTQ1_0);
  EXPECT_EQ(v[0], 3);
  EXPECT_EQ(v[159], 3);
  EXPECT_EQ(v[160], -3);
  EXPECT_EQ(v[239], -3);
  EXPECT_EQ(v[240], 3);
}

TEST(Dequantize, AllZeroCodebookBlocksGiveTheirSmallestPoint) {
  // Point 0 of every IQ2 and IQ3 codebook has the lowest level everywhere.
  EXPECT_THAT(Block().Half(1).Bytes(64, 0).Decode(TensorType::kIQ2_XXS), Each(8 * 0.5f * 0.25f));
  EXPECT_THAT(Block().Half(1).Bytes(96, 0).Decode(TensorType::kIQ3_XXS), Each(4 * 0.5f * 0.5f));
  EXPECT_THAT(Block().Half(1).Bytes(48, 0).Decode(TensorType::kIQ1_S), Each(-1 + 0.125f));
}

TEST(Dequantize, PlainNumbersConvert) {
  const auto convert = [](TensorType type, const auto& numbers) {
    std::vector<float> out(numbers.size());
    EXPECT_TRUE(Dequantize(type, reinterpret_cast<const std::byte*>(numbers.data()),
                           static_cast<int64_t>(numbers.size()), out.data()));
    return out;
  };
  EXPECT_THAT(convert(TensorType::kF32, std::vector<float>{1.5f, -2}), ElementsAre(1.5f, -2));
  EXPECT_THAT(convert(TensorType::kF64, std::vector<double>{0.1, 4}), ElementsAre(0.1f, 4));
  EXPECT_THAT(convert(TensorType::kI8, std::vector<int8_t>{-7}), ElementsAre(-7));
  EXPECT_THAT(convert(TensorType::kI16, std::vector<int16_t>{-700}), ElementsAre(-700));
  EXPECT_THAT(convert(TensorType::kI32, std::vector<int32_t>{1 << 20}), ElementsAre(1 << 20));
  EXPECT_THAT(convert(TensorType::kI64, std::vector<int64_t>{-9}), ElementsAre(-9));
  EXPECT_THAT(convert(TensorType::kF16, std::vector<uint16_t>{0x3c00, 0x0001}),
              ElementsAre(1, std::ldexp(1.0f, -24)));
  EXPECT_THAT(convert(TensorType::kBF16, std::vector<uint16_t>{0x3f80}), ElementsAre(1));
}

TEST(Dequantize, PartOfABlockIsAnError) {
  const std::vector<std::byte> bytes(64);
  float out[64];
  const Status status = Dequantize(TensorType::kQ8_0, bytes.data(), 33, out);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("Q8_0"));
  EXPECT_TRUE(Dequantize(TensorType::kQ8_0, bytes.data(), 0, out));
}

TEST(Dequantize, BlocksMayLieAtAnyAddress) {
  std::vector<std::byte> bytes(1 + 34);
  const F16 one = ToF16(1);
  std::memcpy(bytes.data() + 1, &one, 2);
  bytes[3] = std::byte{5};
  float out[32];
  ASSERT_TRUE(Dequantize(TensorType::kQ8_0, bytes.data() + 1, 32, out));
  EXPECT_EQ(out[0], 5);
}

}  // namespace
}  // namespace kvasir
