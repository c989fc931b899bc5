// The numbers of an architecture: what GGUF may say, and what no model can mean.
#include "model/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/model/gguf_bytes.h"
#include "tests/model/temp_folder.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A file of four layers that has all that a config needs, and what a test adds.
class Gguf {
 public:
  explicit Gguf(const std::string& architecture) : architecture_(architecture) {
    bytes_.String("general.architecture", architecture);
    U32("block_count", 4).U32("embedding_length", 32).U32("attention.head_count", 2);
  }
  Gguf& U32(const std::string& key, uint32_t value) { return Key(key, 4, GgufBytes::Raw(value)); }
  Gguf& F32(const std::string& key, double value) {
    return Key(key, 6, GgufBytes::Raw(static_cast<float>(value)));
  }
  Gguf& Text(const std::string& key, const std::string& text) {
    return Key(key, 8, GgufBytes::Text(text));
  }
  template <class T>
  Gguf& Array(const std::string& key, uint32_t type, const std::vector<T>& values) {
    std::string raw = GgufBytes::Raw(type) + GgufBytes::Raw<uint64_t>(values.size());
    for (const T value : values) raw += GgufBytes::Raw(value);
    return Key(key, 9, raw);
  }

  Result<ModelConfig> Config() {
    if (!has_ffn_) U32("feed_forward_length", 48);
    bytes_.Entry("token_embd.weight", {32, 4}, 0, 0).Data(32 * 4 * 4);
    const TempFolder folder;
    KV_ASSIGN_OR_RETURN(const auto source, OpenModel(folder.Write("x.gguf", bytes_.Build())));
    return ReadConfig(*source);
  }
  std::string Error() {
    const auto config = Config();
    return config ? "no error" : config.error().message;
  }

 private:
  Gguf& Key(const std::string& key, uint32_t type, const std::string& raw) {
    has_ffn_ = has_ffn_ || key == "feed_forward_length";
    const bool is_ours = key.starts_with("kvasir.");
    bytes_.Key(is_ours ? key : architecture_ + "." + key, type, raw);
    return *this;
  }

  const std::string architecture_;
  GgufBytes bytes_;
  bool has_ffn_ = false;
};

std::vector<int32_t> Windows(const ModelConfig& config) {
  std::vector<int32_t> windows;
  for (const LayerConfig& layer : config.layers) windows.push_back(layer.window);
  return windows;
}

TEST(Architecture, TakesEqualNumbersOfAllLayersForOne) {
  const auto config = Gguf("llama")
                          .Array<uint32_t>("feed_forward_length", 4, {48, 48, 48, 48})
                          .Array<int32_t>("attention.head_count_kv", 5, {1, 1, 1, 1})
                          .Config();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->ffn, 48);
  EXPECT_EQ(config->n_kv_heads, 1);
  EXPECT_THAT(Gguf("llama").Array<int32_t>("attention.head_count_kv", 5, {1, 1, 2, 1}).Error(),
              HasSubstr("llama.attention.head_count_kv differs from layer to layer"));
  EXPECT_THAT(Gguf("llama").Array<int32_t>("attention.head_count_kv", 5, {}).Error(),
              HasSubstr("head_count_kv"));
}

TEST(Architecture, ReadsThePatternOfWindowsAsNumberOrList) {
  auto config = Gguf("gemma3")
                    .U32("attention.sliding_window", 8)
                    .Array<uint8_t>("attention.sliding_window_pattern", 7, {1, 0, 0, 1})
                    .Config();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(Windows(*config), ElementsAre(8, 0, 0, 8));
  EXPECT_EQ(config->layers[0].rope, 1);
  EXPECT_EQ(config->layers[1].rope, 0);
  config = Gguf("gemma3")
               .U32("attention.sliding_window", 8)
               .U32("attention.sliding_window_pattern", 2)
               .Config();
  ASSERT_TRUE(config);
  EXPECT_THAT(Windows(*config), ElementsAre(8, 0, 8, 0));
  config = Gguf("qwen2").Array<int32_t>("kvasir.layer_windows", 5, {0, 7, 0, 9}).Config();
  ASSERT_TRUE(config);
  EXPECT_THAT(Windows(*config), ElementsAre(0, 7, 0, 9));
  EXPECT_THAT(Gguf("qwen2").Array<int32_t>("kvasir.layer_windows", 5, {0, 7}).Error(),
              HasSubstr("kvasir.layer_windows has 2 entries for 4 layers"));
}

TEST(Architecture, RoundsHeadsUpToWhatKernelsTake) {
  const auto config =
      Gguf("llama").U32("attention.key_length", 12).U32("attention.value_length", 12).Config();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->file_head_dim, 12);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_FLOAT_EQ(config->attention_scale, 1 / std::sqrt(12.0f));
  EXPECT_EQ(config->ropes[0].n_rot(), 12);
}

TEST(Architecture, ScalesNothingWhereTheTypeIsNone) {
  auto config =
      Gguf("llama").Text("rope.scaling.type", "none").F32("rope.scaling.factor", 4).Config();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->ropes[0].inv_freq[0], 1.0);
  config = Gguf("llama").F32("rope.scaling.factor", 4).Config();  // as older files have it
  ASSERT_TRUE(config);
  EXPECT_EQ(config->ropes[0].inv_freq[0], 0.25);
}

TEST(Architecture, RefusesNumbersThatMakeNoSense) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const char* eps = "attention.layer_norm_rms_epsilon";
  for (const double bad : {kNan, kInf, -1.0, 0.0}) {
    EXPECT_THAT(Gguf("llama").F32(eps, bad).Error(), HasSubstr("llama." + std::string(eps)));
  }
  for (const double bad : {kNan, kInf, -1.0}) {
    EXPECT_THAT(Gguf("llama").F32("attention.scale", bad).Error(), HasSubstr("attention.scale is"));
    EXPECT_THAT(Gguf("llama").F32("rope.freq_base", bad).Error(), HasSubstr("rope.freq_base is"));
    for (const char* key : {"attn_factor", "yarn_attn_factor", "yarn_beta_fast"}) {
      EXPECT_THAT(Gguf("llama")
                      .Text("rope.scaling.type", "yarn")
                      .F32(std::string("rope.scaling.") + key, bad)
                      .Error(),
                  HasSubstr(std::string(key) + " is"));
    }
    for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
      EXPECT_THAT(Gguf("gemma2").F32(key, bad).Error(), HasSubstr(std::string(key) + " is"));
    }
    EXPECT_THAT(Gguf("gemma3").F32("rope.freq_base_swa", bad).Error(), HasSubstr("swa is"));
  }
  EXPECT_THAT(Gguf("llama").U32("vocab_size", 100).Error(),
              HasSubstr("llama.vocab_size is 100, but tensor token_embd.weight has 4 rows"));
}

}  // namespace
}  // namespace kvasir
