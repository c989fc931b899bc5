// Every block format against ggml's values: all_types.gguf holds each type twice, as blocks and as
// the float32 values that gguf's reference gives (see tests/golden/quants/README.md).
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "model/source.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

TEST(QuantsGolden, EveryTypeGivesTheSameBitsAsGgml) {
  auto source = OpenModel(GoldenDir() + "/quants/all_types.gguf");
  ASSERT_TRUE(source) << source.error().message;
  int n_types = 0;
  for (const TensorView& blocks : (*source)->tensors()) {
    if (!blocks.name.ends_with(".q")) continue;
    const std::string type = blocks.name.substr(0, blocks.name.size() - 2);
    SCOPED_TRACE(type);
    EXPECT_EQ(InfoOf(blocks.type).name, type);
    const TensorView* expected = (*source)->Find(type + ".f32");
    ASSERT_NE(expected, nullptr);
    ASSERT_EQ(expected->n_values(), blocks.n_values());
    std::vector<float> values(static_cast<size_t>(blocks.n_values()));
    ASSERT_TRUE(Dequantize(blocks.type, blocks.data, blocks.n_values(), values.data()));
    for (size_t i = 0; i < values.size(); ++i) {
      float wanted;
      std::memcpy(&wanted, expected->data + 4 * i, 4);
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(wanted))
          << "value " << i << ": " << values[i] << ", not " << wanted;
    }
    ++n_types;
  }
  EXPECT_EQ(n_types, 25);
}

}  // namespace
}  // namespace kvasir
