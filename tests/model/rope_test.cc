#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "model/architecture.h"
#include "tests/model/gguf_bytes.h"
#include "tests/model/temp_folder.h"

namespace kvasir {
namespace {

TEST(Rope, YarnAttentionFactorMultipliesTheUsualOne) {
  const TempFolder folder;
  const auto f32 = [](float value) { return GgufBytes::Raw(value); };
  for (const auto& [name, multiplier] :
       {std::pair("yarn_attn_factor", 1.0f), std::pair("yarn_attn_factor", 0.5f),
        std::pair("attn_factor", 0.5f)}) {
    GgufBytes gguf;
    gguf.String("general.architecture", "llama")
        .String("llama.rope.scaling.type", "yarn")
        .Key("llama.rope.scaling.factor", 6, f32(4))
        .Key(std::string("llama.rope.scaling.") + name, 6, f32(multiplier))
        .Tensor("x", {1});
    const std::string path = folder.Write("yarn.gguf", gguf.Build());
    auto source = OpenModel(path);
    ASSERT_TRUE(source) << source.error().message;
    ModelConfig config;
    config.architecture = "llama";
    config.file_head_dim = config.head_dim = 16;
    config.n_ctx_train = 256;
    const auto rope = ReadRope(**source, config);
    ASSERT_TRUE(rope) << rope.error().message;
    EXPECT_NEAR(rope->attention_factor, multiplier * (0.1 * std::log(4.0) + 1), 1e-6) << name;
  }
}

}  // namespace
}  // namespace kvasir
