#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvasir {
namespace {

// Every finite 16-bit pattern survives the way to float and back.
TEST(Half, RoundTripsEveryPattern) {
  for (uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const F16 h{static_cast<uint16_t>(bits)};
    const BF16 b{static_cast<uint16_t>(bits)};
    if (std::isnan(ToFloat(h))) {
      EXPECT_TRUE(std::isnan(ToFloat(ToF16(ToFloat(h)))));
    } else {
      ASSERT_EQ(ToF16(ToFloat(h)).bits, bits);
    }
    if (std::isnan(ToFloat(b))) {
      EXPECT_TRUE(std::isnan(ToFloat(ToBF16(ToFloat(b)))));
    } else {
      ASSERT_EQ(ToBF16(ToFloat(b)).bits, bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  // Halfway between two neighbours goes to the even one; a hair above goes up.
  for (uint16_t bits = 0; bits < 0x7bffu; ++bits) {
    const double low = ToFloat(F16{bits});
    const double high = ToFloat(F16{static_cast<uint16_t>(bits + 1)});
    const float mid = static_cast<float>((low + high) / 2);
    ASSERT_EQ(ToF16(mid).bits, bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(ToF16(std::nextafter(mid, INFINITY)).bits, bits + 1) << bits;
    ASSERT_EQ(ToF16(std::nextafter(mid, -INFINITY)).bits, bits) << bits;
  }
  EXPECT_EQ(ToBF16(1.00390625f).bits, 0x3f80u);                        // 1 + 2^-8: half way, even
  EXPECT_EQ(ToBF16(std::nextafter(1.00390625f, 2.0f)).bits, 0x3f81u);  // truncation would fail
}

TEST(Half, OverflowsToInfinity) {
  EXPECT_EQ(ToF16(65520.0f).bits, 0x7c00u);
  EXPECT_EQ(ToF16(-1e30f).bits, 0xfc00u);
  EXPECT_EQ(ToBF16(std::numeric_limits<float>::max()).bits, 0x7f80u);
}

}  // namespace
}  // namespace kvasir
