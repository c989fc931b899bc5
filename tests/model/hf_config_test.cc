// config.json against the metadata of the golden GGUF files: the config that transformers has for
// the same model must give the same keys.
#include "model/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "model/source.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Translation {
  Metadata metadata;
  HfConfig config;
  std::string error = "no error";
};

Translation Translate(const std::string& text) {
  Translation out;
  const auto json = ParseJsonObject(text, "config.json");
  if (!json) return {{}, {}, json.error().message};
  const auto config = TranslateConfig(*json, "config.json", out.metadata);
  if (!config) return {{}, {}, config.error().message};
  out.config = *config;
  return out;
}

// A valid config with some keys replaced or added.
std::string With(const std::string& more) {
  Json json = Json::parse(R"({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
      "intermediate_size": 128, "num_attention_heads": 4, "max_position_embeddings": 1024})");
  json.update(Json::parse(more));
  return json.dump();
}

// Every "<architecture>.*" key of the GGUF file has the same value, and no other number differs.
void ExpectKeysOf(const std::string& model, const std::string& config) {
  SCOPED_TRACE(model);
  const auto gguf = OpenModel(GoldenDir() + "/models/" + model + ".gguf");
  ASSERT_TRUE(gguf) << gguf.error().message;
  const Translation hf = Translate(config);
  ASSERT_EQ(hf.error, "no error");
  const Metadata& expected = (*gguf)->metadata();
  const std::string prefix(std::string(*expected.String("general.architecture")) + ".");
  for (const auto& [key, value] : expected.values()) {
    if (!key.starts_with(prefix)) continue;
    const MetaValue* found = hf.metadata.Find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_TRUE(*found == value) << key;
  }
  // What GGUF leaves to be derived.
  for (const auto& [key, value] : hf.metadata.values()) {
    const bool is_derived = key.ends_with("_length") || key.ends_with("dimension_count") ||
                            key.ends_with("attention.scale");
    EXPECT_TRUE(expected.Has(key) || is_derived) << key;
  }
}

TEST(HfConfig, GivesTheKeysOfTheGoldenGgufFiles) {
  ExpectKeysOf("llama3-rope", R"({"model_type": "llama", "vocab_size": 512, "hidden_size": 96,
      "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 6,
      "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 65536,
      "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": true,
      "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                       "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})");
  ExpectKeysOf("qwen2", R"({"model_type": "qwen2", "vocab_size": 512, "hidden_size": 96,
      "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 6,
      "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 8192,
      "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "use_sliding_window": false,
      "sliding_window": 4096, "max_window_layers": 1})");
  ExpectKeysOf("qwen2-yarn", R"({"model_type": "qwen2", "vocab_size": 512, "hidden_size": 96,
      "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 6,
      "num_key_value_heads": 2, "max_position_embeddings": 8192, "rms_norm_eps": 1e-05,
      "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}})");
  ExpectKeysOf("gemma2", R"({"model_type": "gemma2", "vocab_size": 512, "hidden_size": 96,
      "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 32, "hidden_activation": "gelu_pytorch_tanh",
      "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "sliding_window": 96,
      "query_pre_attn_scalar": 32, "layer_types": ["sliding_attention", "full_attention",
      "sliding_attention", "full_attention"]})");
  ExpectKeysOf("phi3", R"({"model_type": "phi3", "vocab_size": 512, "hidden_size": 96,
      "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 3,
      "num_key_value_heads": 3, "max_position_embeddings": 8192, "rms_norm_eps": 1e-05,
      "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}})");
}

constexpr char kGemma3[] = R"("vocab_size": 512, "hidden_size": 96, "intermediate_size": 128,
    "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "sliding_window": 96,
    "query_pre_attn_scalar": 32, )";

TEST(HfConfig, Gemma3InAllItsWritings) {
  ExpectKeysOf("gemma3", std::string("{") + kGemma3 + R"("model_type": "gemma3_text",
      "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 6,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}})");
  const std::string parameters = R"("rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
      "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})";
  ExpectKeysOf("gemma3", R"({"model_type": "gemma3", "vision_config": {}, "text_config": {)" +
                             std::string(kGemma3) + R"("model_type": "gemma3_text", )" +
                             parameters + "}}");
}

TEST(HfConfig, Gemma3LeavesMostToDefaults) {
  // All that the 4B model's text_config says.
  const Translation t = Translate(R"({"model_type": "gemma3", "text_config": {
      "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
      "model_type": "gemma3_text", "sliding_window": 1024,
      "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}})");
  ASSERT_EQ(t.error, "no error");
  EXPECT_EQ(*t.metadata.I64("gemma3.attention.head_count"), 8);
  EXPECT_EQ(*t.metadata.I64("gemma3.attention.head_count_kv"), 4);
  EXPECT_EQ(*t.metadata.I64("gemma3.attention.key_length"), 256);
  EXPECT_EQ(*t.metadata.I64("gemma3.context_length"), 131072);
  EXPECT_EQ(*t.metadata.I64("gemma3.attention.sliding_window"), 1024);
  EXPECT_EQ(*t.metadata.F64("gemma3.rope.freq_base"), 1e6);
  EXPECT_EQ(*t.metadata.F64("gemma3.rope.freq_base_swa"), 1e4);
  EXPECT_EQ(*t.metadata.F64("gemma3.attention.scale"), 1.0 / 16);
  EXPECT_TRUE(t.config.tied_embeddings);
}

TEST(HfConfig, Llama3ScalingGivesTheGoldenFactors) {
  const Translation t = Translate(With(R"({"hidden_size": 96, "num_attention_heads": 6,
      "max_position_embeddings": 65536, "rope_theta": 500000.0,
      "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                       "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})"));
  ASSERT_EQ(t.error, "no error");
  const auto gguf = OpenModel(GoldenDir() + "/models/llama3-rope.gguf");
  const TensorView& golden = *(*gguf)->Find("rope_freqs.weight");
  ASSERT_EQ(t.config.rope_factors.llama3.size(), static_cast<size_t>(golden.n_values()));
  for (size_t i = 0; i < t.config.rope_factors.llama3.size(); ++i) {
    float expected;
    std::memcpy(&expected, golden.data + 4 * i, 4);
    // The converter works in float32, we in float64: a few of its roundings.
    EXPECT_NEAR(t.config.rope_factors.llama3[i], expected, 2e-6 * expected) << i;
  }
}

TEST(HfConfig, YarnSettingsBecomeKeys) {
  const Translation t = Translate(With(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4,
      "original_max_position_embeddings": 256, "beta_fast": 16, "beta_slow": 2,
      "attention_factor": 1.5}})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_EQ(*t.metadata.String("llama.rope.scaling.type"), "yarn");
  EXPECT_EQ(*t.metadata.F64("llama.rope.scaling.factor"), 4);
  EXPECT_EQ(*t.metadata.I64("llama.rope.scaling.original_context_length"), 256);
  EXPECT_EQ(*t.metadata.F64("llama.rope.scaling.yarn_beta_fast"), 16);
  EXPECT_EQ(*t.metadata.F64("llama.rope.scaling.yarn_beta_slow"), 2);
  // GGUF's key multiplies the usual factor, this one stands alone.
  EXPECT_EQ(*t.metadata.F64("kvasir.rope.attention_factor"), 1.5);
  EXPECT_FALSE(t.metadata.Has("llama.rope.scaling.attn_factor"));
}

TEST(HfConfig, YarnTakesZerosForKeysThatAreNotThere) {
  const Translation t = Translate(With(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4,
      "mscale": 0, "mscale_all_dim": 0, "beta_fast": 0, "truncate": false}})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_FALSE(t.metadata.Has("kvasir.rope.attention_factor"));
  EXPECT_FALSE(t.metadata.Has("llama.rope.scaling.yarn_beta_fast"));
  EXPECT_FALSE(*t.metadata.Bool("kvasir.rope.yarn_truncate"));
}

TEST(HfConfig, LongropeBecomesKeysAndFactors) {
  const Translation t = Translate(With(R"({"model_type": "phi3", "hidden_size": 32,
      "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
      "rope_scaling": {"type": "longrope", "short_factor": [1, 1.5, 2, 2.5],
                       "long_factor": [1, 4, 16, 64]}})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_EQ(*t.metadata.String("phi3.rope.scaling.type"), "longrope");
  EXPECT_EQ(*t.metadata.I64("phi3.rope.scaling.original_context_length"), 4096);
  // sqrt(1 + ln 32 / ln 4096) = sqrt(1 + 5/12)
  EXPECT_NEAR(*t.metadata.F64("phi3.rope.scaling.attn_factor"), std::sqrt(17.0 / 12), 1e-7);
  EXPECT_THAT(t.config.rope_factors.short_context, ElementsAre(1, 1.5f, 2, 2.5f));
  EXPECT_THAT(t.config.rope_factors.long_context, ElementsAre(1, 4, 16, 64));
}

TEST(HfConfig, MistralIsLlamaWithAWindow) {
  const Translation mistral = Translate(With(R"({"model_type": "mistral", "hidden_size": 512,
      "num_attention_heads": 8, "sliding_window": 100})"));
  ASSERT_EQ(mistral.error, "no error");
  EXPECT_EQ(*mistral.metadata.String("general.architecture"), "llama");
  EXPECT_EQ(*mistral.metadata.I64("llama.attention.sliding_window"), 100);
  EXPECT_EQ(*mistral.metadata.I64("llama.attention.head_count_kv"), 8);
  const Translation none = Translate(With(R"({"model_type": "mistral", "sliding_window": null,
      "num_attention_heads": 8})"));
  ASSERT_EQ(none.error, "no error");
  EXPECT_FALSE(none.metadata.Has("llama.attention.sliding_window"));
}

TEST(HfConfig, WindowsThatGgufCannotSayAreListedByLayer) {
  struct Case {
    const char* change;
    std::vector<int64_t> windows;
  };
  const Case cases[] = {
      {R"({"model_type": "qwen2", "num_key_value_heads": 4, "use_sliding_window": true,
           "max_window_layers": 1, "sliding_window": 64})",
       {0, 64}},
      // What is listed goes before what follows from a number.
      {R"({"model_type": "qwen3", "num_key_value_heads": 4, "use_sliding_window": true,
           "max_window_layers": 28, "sliding_window": 64,
           "layer_types": ["sliding_attention", "full_attention"]})",
       {64, 0}},
      {R"({"model_type": "gemma2", "layer_types": ["full_attention", "full_attention"]})", {0, 0}},
      {R"({"model_type": "gemma3_text", "sliding_window": 64,
           "layer_types": ["full_attention", "sliding_attention"]})",
       {0, 64}},
  };
  for (const Case& c : cases) {
    const Translation t = Translate(With(c.change));
    ASSERT_EQ(t.error, "no error") << c.change;
    const auto windows = t.metadata.Ints("kvasir.layer_windows");
    ASSERT_TRUE(windows) << c.change;
    EXPECT_THAT(*windows, testing::ElementsAreArray(c.windows)) << c.change;
  }
  const Translation unused = Translate(With(R"({"model_type": "qwen2", "num_key_value_heads": 4,
      "use_sliding_window": false, "sliding_window": 64, "max_window_layers": 0})"));
  EXPECT_FALSE(unused.metadata.Has("qwen2.attention.sliding_window"));
  EXPECT_FALSE(unused.metadata.Has("kvasir.layer_windows"));
}

TEST(HfConfig, GemmaScaleAndSoftcapsOtherThanUsual) {
  const Translation t = Translate(With(R"({"model_type": "gemma2", "head_dim": 128,
      "query_pre_attn_scalar": 144, "attn_logit_softcapping": null})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_NEAR(*t.metadata.F64("gemma2.attention.scale"), 1.0 / 12, 1e-8);
  EXPECT_EQ(*t.metadata.F64("gemma2.attn_logit_softcapping"), 0);
  EXPECT_EQ(*t.metadata.F64("gemma2.final_logit_softcapping"), 30);
}

// As transformers 5: a context beside the scaling goes before one within, a factor before the ratio
// of contexts; phi3 was trained on 4096 where nothing beside the scaling says otherwise.
TEST(HfConfig, WhichOriginalContextAndFactorHold) {
  const Translation yarn = Translate(With(R"({"original_max_position_embeddings": 64,
      "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 256}})"));
  ASSERT_EQ(yarn.error, "no error");
  EXPECT_EQ(*yarn.metadata.I64("llama.rope.scaling.original_context_length"), 64);
  const std::string phi3 = R"("model_type": "phi3", "max_position_embeddings": 131072,
      "rope_scaling": {"type": "longrope", "factor": 4, "short_factor": [1, 1, 1, 1, 1, 1, 1, 1],
      "long_factor": [2, 2, 2, 2, 2, 2, 2, 2], "original_max_position_embeddings": 256})";
  const Translation given =
      Translate(With("{\"original_max_position_embeddings\": 1024, " + phi3 + "}"));
  ASSERT_EQ(given.error, "no error");
  EXPECT_EQ(*given.metadata.I64("phi3.rope.scaling.original_context_length"), 1024);
  EXPECT_NEAR(*given.metadata.F64("phi3.rope.scaling.attn_factor"), std::sqrt(1.2), 1e-6);
  const Translation usual = Translate(With("{" + phi3 + "}"));
  ASSERT_EQ(usual.error, "no error");
  EXPECT_EQ(*usual.metadata.I64("phi3.rope.scaling.original_context_length"), 4096);
}

// Who adds rope_scaling to a file of transformers 5 means it.
TEST(HfConfig, RopeScalingGoesBeforeRopeParameters) {
  const Translation t = Translate(With(R"({"rope_theta": null,
      "rope_parameters": {"rope_type": "default", "rope_theta": 1000000},
      "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 256}})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_EQ(*t.metadata.String("llama.rope.scaling.type"), "yarn");
  EXPECT_EQ(*t.metadata.F64("llama.rope.freq_base"), 1e6);
  const Translation phi3 = Translate(With(R"({"model_type": "phi3", "rope_scaling":
      {"type": "yarn", "short_factor": [1, 1, 1, 1, 1, 1, 1, 1],
       "long_factor": [2, 2, 2, 2, 2, 2, 2, 2]}})"));  // an older name of longrope
  ASSERT_EQ(phi3.error, "no error");
  EXPECT_EQ(*phi3.metadata.String("phi3.rope.scaling.type"), "longrope");
}

// As transformers: dynamic scaling leaves texts within the context alone, and of the families only
// phi3 looks at partial_rotary_factor.
TEST(HfConfig, RopeThatChangesNothing) {
  const Translation t = Translate(With(R"({"partial_rotary_factor": 0.5,
      "rope_scaling": {"rope_type": "dynamic", "factor": 4}})"));
  ASSERT_EQ(t.error, "no error");
  EXPECT_FALSE(t.metadata.Has("llama.rope.scaling.type"));
  EXPECT_EQ(*t.metadata.I64("llama.rope.dimension_count"),
            *t.metadata.I64("llama.attention.key_length"));
}

TEST(HfConfig, ErrorsNameTheKeyAndWhatWouldBeRight) {
  struct Case {
    const char *change, *mentions;
  };
  const Case cases[] = {
      {R"({"model_type": "bert"})", "model_type 'bert' cannot be read; llama, mistral, qwen2"},
      {R"({"model_type": null})", "model_type ''"},
      {R"({"model_type": 7})", "'model_type' is a JSON number; it must be a string"},
      {R"({"hidden_size": "64"})", "'hidden_size' is a JSON string; it must be a whole number"},
      {R"({"hidden_size": null})", "'hidden_size' is missing"},
      {R"({"hidden_size": -1})", "'hidden_size' is -1; it must be from 1"},
      {R"({"hidden_size": 18446744073709551615})", "'hidden_size' is 18446744073709551615"},
      {R"({"num_hidden_layers": 1000000})", "'num_hidden_layers' is 1000000"},
      {R"({"num_key_value_heads": 3})", "no multiple of num_key_value_heads 3"},
      {R"({"head_dim": 100000})", "'head_dim' is 100000"},
      {R"({"hidden_act": "relu"})", "'hidden_act' is 'relu'; a llama model must have silu"},
      {R"({"rms_norm_eps": "x"})", "'rms_norm_eps' is a JSON string"},
      {R"({"rope_theta": 0})", "'rope_theta' is 0; it must be positive"},
      {R"({"rope_scaling": []})", "'rope_scaling' is a JSON array"},
      {R"({"rope_scaling": {"type": "ntk"}})", "rope type 'ntk' is unknown; default"},
      {R"({"rope_scaling": {"type": "linear", "factor": -2}})", "'factor' is -2"},
      {R"({"rope_scaling": {"type": "longrope", "short_factor": [1]}})", "'long_factor' must be 8"},
      {R"({"rms_norm_eps": -1})", "rms_norm_eps is -1"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 2, "mscale": -1}})", "'mscale' is -1"},
      {R"({"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 4}})", "high_freq_factor 4"},
      {R"({"model_type": "phi3", "partial_rotary_factor": 0.01})", "partial_rotary_factor 0.01"},
      {R"({"model_type": "phi3", "partial_rotary_factor": 1e300})", "partial_rotary_factor"},
      {R"({"model_type": "gemma3_text", "rope_parameters":
           {"sliding_attention": {"rope_type": "linear", "factor": 2}}})",
       "rope type 'linear' of layers with a window"},
      {R"({"use_bidirectional_attention": true})", "only models that generate"},
      {R"({"quantization_config": {"bits": 4}})", "quantised safetensors cannot be read"},
      {R"({"layer_types": ["full_attention", "linear_attention"]})", "layer_types"},
      {R"({"model_type": "gemma2", "layer_types": ["full_attention"]})",
       "layer_types must be 2 entries"},
      {R"({"model_type": "gemma2", "final_logit_softcapping": -30})",
       "final_logit_softcapping is -30"},
      {R"({"model_type": "mistral", "num_key_value_heads": 4,
           "layer_types": ["full_attention", "sliding_attention"]})",
       "one kind of attention"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Translate(With(c.change)).error, HasSubstr(c.mentions)) << c.change;
  }
}

TEST(HfConfig, HostileJsonIsAnError) {
  EXPECT_THAT(Translate("").error, HasSubstr("config.json"));
  EXPECT_THAT(Translate("[1]").error, HasSubstr("must be an object"));
  EXPECT_THAT(Translate("{\"a\": 1,}").error, HasSubstr("config.json"));
  EXPECT_THAT(Translate("{\"a\": " + std::string(100000, '[')).error, HasSubstr("deeper than 64"));
  EXPECT_THAT(Translate(R"({"a": 1, "b": {"a": 2}, "a": 3})").error,
              HasSubstr("'a' is there twice"));
  EXPECT_THAT(Translate(R"({"rope_theta": 1e999})").error, HasSubstr("config.json"));
}

}  // namespace
}  // namespace kvasir
