// What config.json can say beyond the golden models (odd head sizes, windows by layer, rope
// settings) against the float64 forward pass of tools/references/hf_variants.py, with the weights
// that it makes from the tensors' names.
#include <cmath>

#include "model/safetensors.h"
#include "tests/engine/engine_test_util.h"
#include "tests/model/safetensors_bytes.h"
#include "tests/model/temp_folder.h"

namespace kvasir::testing_ {
namespace {

// n floats in [-1, 1): splitmix64 from the FNV-1a hash of a name.
std::vector<float> Uniform(const std::string& name, int64_t n) {
  uint64_t state = 0xcbf29ce484222325u;
  for (const char c : name) state = (state ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  std::vector<float> values;
  for (int64_t i = 1; i <= n; ++i) {
    uint64_t x = state + static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    values.push_back(static_cast<float>(x >> 40) / 8388608.0f - 1.0f);
  }
  return values;
}

class Folder {
 public:
  explicit Folder(const nlohmann::json& config)
      : config_(config), is_gemma_(Kind().starts_with("gemma")) {
    const int64_t hidden = Size("hidden_size"), ffn = Size("intermediate_size");
    const int64_t n_q = Size("num_attention_heads"), n_kv = Size("num_key_value_heads");
    const int64_t d = config.value("head_dim", hidden / n_q), vocab = Size("vocab_size");
    Add("model.embed_tokens.weight", {vocab, hidden});
    Add("model.norm.weight", {hidden});
    if (!config["tie_word_embeddings"]) Add("lm_head.weight", {vocab, hidden});
    for (int64_t l = 0; l < Size("num_hidden_layers"); ++l) {
      const std::string layer = fmt::format("model.layers.{}.", l);
      const auto add = [&](const char* name, std::vector<int64_t> shape) {
        Add(layer + name, std::move(shape));
      };
      for (const char* norm : {"input_layernorm.weight", "post_attention_layernorm.weight"}) {
        add(norm, {hidden});
      }
      if (is_gemma_) {
        add("pre_feedforward_layernorm.weight", {hidden});
        add("post_feedforward_layernorm.weight", {hidden});
      }
      if (Kind() == "phi3") {
        add("self_attn.qkv_proj.weight", {(n_q + 2 * n_kv) * d, hidden});
        add("mlp.gate_up_proj.weight", {2 * ffn, hidden});
      } else {
        add("self_attn.q_proj.weight", {n_q * d, hidden});
        add("self_attn.k_proj.weight", {n_kv * d, hidden});
        add("self_attn.v_proj.weight", {n_kv * d, hidden});
        add("mlp.gate_proj.weight", {ffn, hidden});
        add("mlp.up_proj.weight", {ffn, hidden});
      }
      if (Kind() == "qwen2") {
        add("self_attn.q_proj.bias", {n_q * d});
        add("self_attn.k_proj.bias", {n_kv * d});
        add("self_attn.v_proj.bias", {n_kv * d});
      }
      if (Kind() == "qwen3" || Kind() == "gemma3_text") {
        add("self_attn.q_norm.weight", {d});
        add("self_attn.k_norm.weight", {d});
      }
      add("self_attn.o_proj.weight", {hidden, n_q * d});
      add("mlp.down_proj.weight", {hidden, ffn});
    }
    folder_.Write("config.json", config.dump());
    folder_.Write("model.safetensors", tensors_.Build());
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy(GoldenModel(std::string("llama.hf/") + name),
                            folder_.path() + "/" + name);
    }
  }
  std::string path() const { return folder_.path(); }

 private:
  std::string Kind() const { return config_["model_type"]; }
  int64_t Size(const char* key) const { return config_[key]; }

  // Matrices of unit gain, sharper queries and keys; norms near 1; small biases.
  void Add(const std::string& name, std::vector<int64_t> shape) {
    double gain = 0.25, offset = is_gemma_ ? 0 : 1;
    const bool is_matrix = shape.size() == 2;
    if (name.ends_with(".bias")) {
      gain = 0.5, offset = 0;
    } else if (is_matrix) {
      const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
      const bool is_sharp = has("q_proj") || has("k_proj") || has("qkv_proj");
      const bool is_unscaled = has("embed_tokens") && !is_gemma_;
      gain = (is_sharp ? 2.5 : 1.75) / (is_unscaled ? 1 : std::sqrt(double(shape[1])));
      offset = 0;
    }
    std::vector<float> values = Uniform(name, is_matrix ? shape[0] * shape[1] : shape[0]);
    for (float& x : values) x = x * static_cast<float>(gain) + static_cast<float>(offset);
    const std::string dims =
        is_matrix ? fmt::format("[{},{}]", shape[0], shape[1]) : fmt::format("[{}]", shape[0]);
    tensors_.Add(name, "F32", dims,
                 {reinterpret_cast<const char*>(values.data()), 4 * values.size()});
  }

  const nlohmann::json& config_;
  const bool is_gemma_;
  SafetensorsBytes tensors_;
  TempFolder folder_;
};

class HfVariants : public testing::TestWithParam<size_t> {};

nlohmann::json Variants() { return ReadJson(GoldenModel("hf-variants.json")); }

TEST_P(HfVariants, MatchFloat64) {
  const nlohmann::json variant = Variants()[GetParam()];
  SCOPED_TRACE(variant["name"].get<std::string>());
  const std::vector<int32_t> ids = variant["ids"];
  const std::vector<double> logprobs = variant["logprobs"];
  const Folder folder(variant["config"]);
  for (const std::string& cpu : SupportedCpus()) {
    const auto model = LoadModel(folder.path(), 2, cpu);
    ASSERT_NE(model, nullptr);
    SessionOptions options;
    options.length = std::ssize(ids);
    auto session = OpenSession(model, options);
    ASSERT_TRUE(session->FeedScored(ids, [&](int64_t row, std::span<const float> logits) {
      if (row + 1 == std::ssize(ids)) return;
      EXPECT_NEAR(LogProb(logits, ids[row + 1]), logprobs[row], 1e-3) << cpu << " row " << row;
    }));
    session = OpenSession(model, options);
    ASSERT_TRUE(session->Feed({ids.data(), 1}, {}));
    for (size_t i = 1; i < ids.size(); ++i) {
      ASSERT_NEAR(LogProb(session->logits(), ids[i]), logprobs[i - 1], 1e-3) << cpu << " " << i;
      ASSERT_TRUE(session->Step(ids[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HfVariants, testing::Range(size_t{0}, Variants().size()),
                         [](const testing::TestParamInfo<size_t>& test) {
                           std::string name = Variants()[test.param]["name"];
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

nlohmann::json Variant(const std::string& name) {
  const nlohmann::json variants = Variants();
  for (const nlohmann::json& variant : variants) {
    if (variant["name"] == name) return variant;
  }
  return {};
}

// The zeros behind a head's dimensions change nothing that methods see.
TEST(PaddedHeads, GoWithMethodsThatLookAtQueriesAndOutputs) {
  const nlohmann::json variant = Variant("qwen3-head40");
  const std::vector<int32_t> ids = variant["ids"];
  const Folder folder(variant["config"]);
  const auto model = LoadModel(folder.path());
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->facts().head_dim, 40);
  for (const char* spec :
       {"criticalkv + snapkv:budget=50%", "expected:budget=50%", "think:ratio=0.4",
        "hadamard + kivi:bits=4", "renumber + streaming:budget=40"}) {
    auto session = OpenSession(model, {.kv = spec});
    ASSERT_NE(session, nullptr) << spec;
    ASSERT_TRUE(session->Feed(ids, {})) << spec;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(session->Step(ids[i])) << spec;
    for (const float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit)) << spec;
  }
}

// Phi-3's two sets of factors: of the length that a text will have, else of the context.
TEST(Longrope, IsChosenByTheLengthOfTheText) {
  const nlohmann::json variant = Variant("phi3-short");
  const std::vector<int32_t> ids = variant["ids"];
  const Folder folder(variant["config"]);
  const auto model = LoadModel(folder.path());
  ASSERT_NE(model, nullptr);
  const auto logits = [&](const SessionOptions& options) {
    auto session = OpenSession(model, options);
    EXPECT_TRUE(session->Feed(ids, {}));
    return std::vector<float>(session->logits().begin(), session->logits().end());
  };
  const std::vector<float> within = logits({.ctx = 256});
  EXPECT_EQ(logits({.length = 256}), within);
  EXPECT_NE(logits({.length = 257}), within);
  EXPECT_NE(logits({}), within);  // the model's context is 4096
  // What one has rotated the other cannot read.
  const std::string path = folder.path() + "/saved";
  auto session = OpenSession(model, {.ctx = 256});
  ASSERT_TRUE(session->Feed(ids, {}));
  ASSERT_TRUE(session->Save(path));
  EXPECT_TRUE(OpenSession(model, {.ctx = 200})->Load(path));
  EXPECT_FALSE(OpenSession(model)->Load(path));
}

}  // namespace
}  // namespace kvasir::testing_
