// Hugging Face folders: the golden twins of GGUF files, and small folders written here.
#include "model/hf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/template_tokens.h"
#include "model/tokenizer/tokenizer_json.h"
#include "tests/model/safetensors_bytes.h"
#include "tests/model/temp_folder.h"
#include "tests/paths.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> Values(const TensorView& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.n_values()));
  EXPECT_TRUE(Dequantize(tensor.type, tensor.data, tensor.n_values(), values.data()));
  return values;
}

std::string Golden(const std::string& name) { return GoldenDir() + "/models/" + name; }

// Row r of a GGUF `llama` q or k head comes from row (r / 2) + (r % 2) * head_dim / 2 of the
// original: neighbours rotate together instead of halves.
std::vector<float> UndoPermutation(const std::vector<float>& rows, int64_t n_cols, int64_t dim) {
  std::vector<float> out(rows.size());
  const int64_t n_rows = static_cast<int64_t>(rows.size()) / n_cols;
  for (int64_t row = 0; row < n_rows; ++row) {
    const int64_t head = row / dim, r = row % dim;
    const int64_t original = head * dim + r / 2 + (r % 2) * (dim / 2);
    std::copy_n(rows.begin() + row * n_cols, n_cols, out.begin() + original * n_cols);
  }
  return out;
}

void ExpectTwins(const ModelSource& gguf, const ModelSource& hf) {
  EXPECT_EQ(gguf.tensors().size(), hf.tensors().size());
  EXPECT_EQ(gguf.n_bytes(), hf.n_bytes());
  const bool permuted = !*gguf.metadata().Bool("kvasir.rope.neox");
  for (const TensorView& expected : gguf.tensors()) {
    SCOPED_TRACE(expected.name);
    const TensorView* found = hf.Find(expected.name);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->rank, expected.rank);
    EXPECT_TRUE(std::ranges::equal(found->shape, expected.shape));
    std::vector<float> wanted = Values(expected);
    const bool is_rotated =
        expected.name.ends_with("attn_q.weight") || expected.name.ends_with("attn_k.weight");
    if (permuted && is_rotated) wanted = UndoPermutation(wanted, expected.n_cols(), 32);
    EXPECT_EQ(Values(*found), wanted);
  }
  for (const auto& [key, value] : gguf.metadata().values()) {
    const bool is_shared = key.find(".attention.") != key.npos || key.find(".rope.") != key.npos ||
                           key.ends_with("_length") || key.ends_with("_count") ||
                           key.ends_with("_size") || key.ends_with("token_id") ||
                           key == "general.architecture" || key == "tokenizer.chat_template";
    if (!is_shared || key == "kvasir.rope.neox") continue;
    const MetaValue* found = hf.metadata().Find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_TRUE(*found == value) << key;
  }
}

TEST(HfModel, LlamaFolderEqualsItsGgufTwin) {
  auto gguf = OpenModel(Golden("llama.gguf"));
  auto hf = OpenModel(Golden("llama.hf"));
  ASSERT_TRUE(gguf) << gguf.error().message;
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_FALSE(*(*gguf)->metadata().Bool("kvasir.rope.neox"));
  EXPECT_TRUE(*(*hf)->metadata().Bool("kvasir.rope.neox"));
  ExpectTwins(**gguf, **hf);
}

TEST(HfModel, ShardedQwen3FolderEqualsItsGgufTwin) {
  auto gguf = OpenModel(Golden("qwen3.gguf"));
  auto hf = OpenModel(Golden("qwen3.hf"));
  ASSERT_TRUE(gguf) << gguf.error().message;
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_EQ((*hf)->files().size(), 2u);
  ExpectTwins(**gguf, **hf);
}

// ---- Folders written here ----------------------------------------------------------------------

// A model of one layer, hidden size 2, one head; its tensors are constants.
class Folder {
 public:
  explicit Folder(const std::string& model_type = "llama", const std::string& more = "") {
    Config(R"({"model_type": ")" + model_type + R"(", "hidden_size": 2, "intermediate_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 2,
        "bos_token_id": 1, "eos_token_id": 2)" +
           more + "}");
    files_.Write("tokenizer.json", "{\"version\": \"1.0\"}");
  }
  void Config(const std::string& text) const { files_.Write("config.json", text); }
  void Write(const std::string& name, const std::string& bytes) const { files_.Write(name, bytes); }
  Result<std::unique_ptr<ModelSource>> Open() const { return OpenModel(files_.path()); }
  std::string Error() const {
    const auto source = Open();
    return source ? "no error" : source.error().message;
  }

 private:
  TempFolder files_;
};

SafetensorsBytes Weights() {
  SafetensorsBytes weights;
  return weights.F32("model.embed_tokens.weight", {3, 2}, 0.25f)
      .F32("model.norm.weight", {2}, 0.5f)
      .F32("model.layers.0.input_layernorm.weight", {2}, 0.75f)
      .F32("model.layers.0.post_attention_layernorm.weight", {2}, 1.5f);
}

TEST(HfModel, GemmaNormsGetTheirOneAndTheirNames) {
  const Folder folder("gemma2");
  folder.Write(
      "model.safetensors",
      Weights().F32("model.layers.0.pre_feedforward_layernorm.weight", {2}, -0.5f).Build());
  const auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  const auto value = [&](const char* name) { return Values(**(*source)->Tensor(name))[1]; };
  EXPECT_EQ(value("output_norm.weight"), 1.5f);
  EXPECT_EQ(value("blk.0.attn_norm.weight"), 1.75f);
  EXPECT_EQ(value("blk.0.post_attention_norm.weight"), 2.5f);
  EXPECT_EQ(value("blk.0.ffn_norm.weight"), 0.5f);
  EXPECT_EQ(value("token_embd.weight"), 0.25f);
}

TEST(HfModel, LlamaNormsStayAsTheyAre) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true)");
  folder.Write("model.safetensors", Weights().F32("lm_head.weight", {3, 2}, 9).Build());
  const auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(Values(**(*source)->Tensor("output_norm.weight")), ElementsAre(0.5f, 0.5f));
  EXPECT_THAT(Values(**(*source)->Tensor("blk.0.ffn_norm.weight")), ElementsAre(1.5f, 1.5f));
  EXPECT_EQ((*source)->Find("output.weight"), nullptr) << "tied embeddings have no output";
}

TEST(HfModel, VectorsBecomeF32AndMatricesKeepTheirTypeAtAnyAlignment) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true)");
  const std::string halves("\x80\x3f\x00\x40", 4);  // bf16: 1, 2
  folder.Write("model.safetensors", SafetensorsBytes()
                                        .Add("model.norm.weight", "BF16", "[2]", halves)
                                        .Add("odd.rotary_emb.inv_freq", "I8", "[1]", "x")
                                        .Add("model.embed_tokens.weight", "BF16", "[1,2]", halves)
                                        .Build());
  const auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  const TensorView& norm = **(*source)->Tensor("output_norm.weight");
  const TensorView& embedding = **(*source)->Tensor("token_embd.weight");
  EXPECT_EQ(norm.type, TensorType::kF32);
  EXPECT_THAT(Values(norm), ElementsAre(1, 2));
  EXPECT_EQ(embedding.type, TensorType::kBF16);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(embedding.data) % 8, 0u);
  EXPECT_THAT(Values(embedding), ElementsAre(1, 2));
  EXPECT_EQ((*source)->tensors().size(), 2u) << "stored rotary tables are left out";
}

TEST(HfModel, TextModelOfAVisionFolderIsFound) {
  const Folder folder;
  folder.Config(R"({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text",
      "hidden_size": 2, "intermediate_size": 4, "num_hidden_layers": 1}})");
  folder.Write("model.safetensors",
               SafetensorsBytes()
                   .F32("language_model.model.norm.weight", {2}, 0)
                   .F32("model.language_model.layers.0.mlp.up_proj.weight", {4, 2}, 1)
                   .F32("vision_tower.vision_model.embeddings.patch_embedding.bias", {2}, 0)
                   .F32("multi_modal_projector.mm_input_projection_weight", {2, 2}, 0)
                   .Build());
  const auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->tensors().size(), 2u);
  EXPECT_NE((*source)->Find("output_norm.weight"), nullptr);
  EXPECT_NE((*source)->Find("blk.0.ffn_up.weight"), nullptr);
}

TEST(HfModel, RopeScalingBecomesTensors) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true, "rope_scaling": {
      "rope_type": "llama3", "factor": 8, "original_max_position_embeddings": 8192})");
  folder.Write("model.safetensors", Weights().Build());
  const auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(Values(**(*source)->Tensor("rope_freqs.weight")), ElementsAre(1));
}

TEST(HfModel, TokenizerFilesAndTemplatesAreThere) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true)");
  folder.Write("model.safetensors", Weights().Build());
  folder.Write("generation_config.json",
               R"({"eos_token_id": [7, 8], "temperature": 0.5, "top_k": 20})");
  const std::string config = R"({"add_bos_token": true, "chat_template": [
      {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]})";
  folder.Write("tokenizer_config.json", config);
  auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  const Metadata& metadata = (*source)->metadata();
  EXPECT_EQ(*metadata.String("kvasir.tokenizer_json"), "{\"version\": \"1.0\"}");
  EXPECT_EQ(*metadata.String("kvasir.tokenizer_config_json"), config);
  EXPECT_EQ(*metadata.String("tokenizer.chat_template"), "plain");
  EXPECT_EQ(*metadata.String("tokenizer.chat_template.tool_use"), "tools");
  EXPECT_THAT(*metadata.Strings("tokenizer.chat_templates"), ElementsAre("tool_use"));
  EXPECT_TRUE(*metadata.Bool("tokenizer.ggml.add_bos_token"));
  EXPECT_EQ(*metadata.I64("tokenizer.ggml.bos_token_id"), 1);
  EXPECT_EQ(*metadata.I64("tokenizer.ggml.eos_token_id"), 7);
  EXPECT_THAT(*metadata.Ints("kvasir.eos_token_ids"), ElementsAre(7, 8));
  EXPECT_EQ(*metadata.F64("general.sampling.temp"), 0.5);
  EXPECT_EQ(*metadata.I64("general.sampling.top_k"), 20);

  folder.Write("chat_template.jinja", "from its own file");
  source = folder.Open();
  EXPECT_EQ(*(*source)->metadata().String("tokenizer.chat_template"), "from its own file");
  // Also over those that an older list has for tools.
  EXPECT_FALSE((*source)->metadata().Has("tokenizer.chat_template.tool_use"));
  EXPECT_FALSE((*source)->metadata().Has("tokenizer.chat_templates"));
}

TEST(HfModel, ReadsTheTokensThatTemplatesSee) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true)");
  folder.Write("model.safetensors", Weights().Build());
  folder.Write("generation_config.json", R"({"eos_token_id": [2, -1]})");
  folder.Write("tokenizer_config.json",
               R"({"bos_token": null, "pad_token": "<pad>", "unk_token": {"content": "<unk>"}})");
  auto source = folder.Open();
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(*(*source)->metadata().Ints("kvasir.eos_token_ids"), ElementsAre(2));
  const auto tokenizer = TokenizerFromJson(
      R"({"model": {"type": "BPE", "vocab": {"a": 0, "<s>": 1, "</s>": 2}, "merges": []}})",
      R"({"bos_token": "<s>", "eos_token": "</s>"})");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const TemplateTokens tokens = ReadTemplateTokens((*source)->metadata(), *tokenizer);
  EXPECT_EQ(tokens.bos, std::nullopt);  // null in the file, whatever id the model has
  EXPECT_EQ(tokens.eos, "</s>");        // not there: the tokenizer's
  EXPECT_EQ(tokens.pad, "<pad>");
  EXPECT_EQ(tokens.unk, "<unk>");
  folder.Write("tokenizer_config.json", R"({"pad_token": 7})");
  EXPECT_THAT(folder.Error(), HasSubstr("'pad_token' must be a text"));
}

TEST(HfModel, BrokenFoldersSayWhatIsWrong) {
  const auto error = [](const SafetensorsBytes& weights, const std::string& more = "") {
    const Folder folder("llama", more.empty() ? R"(, "tie_word_embeddings": true)" : more);
    folder.Write("model.safetensors", weights.Build());
    return folder.Error();
  };
  EXPECT_EQ(error(Weights()), "no error");
  EXPECT_THAT(error(Weights(), R"(, "tie_word_embeddings": false)"), HasSubstr("lm_head.weight"));
  EXPECT_THAT(error(Weights().F32("model.layers.1.mlp.up_proj.weight", {4, 2}, 1)),
              HasSubstr("'model.layers.1.mlp.up_proj.weight' has no place in a llama model of 1"));
  EXPECT_THAT(error(Weights().F32("model.layers.00000000000000000000001.x", {1}, 1)),
              HasSubstr("no place"));
  EXPECT_THAT(error(Weights().F32("score.weight", {1}, 1)), HasSubstr("'score.weight'"));
  EXPECT_THAT(error(Weights().F32("model.layers.0.mlp.up_proj.weight", {1, 1, 1, 1, 2}, 1)),
              HasSubstr("5 dimensions"));
  EXPECT_THAT(error(Weights().Add("lm_head.weight", "F8_E4M3", "[1]", "x"),
                    R"(, "tie_word_embeddings": false)"),
              HasSubstr("dtype F8_E4M3"));
  EXPECT_THAT(error(Weights().F32("language_model.model.norm.weight", {2}, 1)),
              HasSubstr("'output_norm.weight' is there twice"));
  const Folder empty;
  EXPECT_THAT(empty.Error(), HasSubstr("0 .safetensors files"));
}

TEST(HfModel, IndexMustStayInItsFolderAndBeTrue) {
  const Folder folder("llama", R"(, "tie_word_embeddings": true)");
  folder.Write("a.safetensors", Weights().Build());
  const auto error = [&](const std::string& map) {
    folder.Write("model.safetensors.index.json", R"({"weight_map": )" + map + "}");
    return folder.Error();
  };
  EXPECT_EQ(error(R"({"model.norm.weight": "a.safetensors"})"), "no error");
  for (const char* name :
       {"../a.safetensors", "/etc/passwd", "..", "sub/a.safetensors", "", ".safetensors",
        "a.safetensors\\u0000", "config.json", "..\\\\a.safetensors"}) {
    EXPECT_THAT(error(R"({"model.norm.weight": ")" + std::string(name) + "\"}"),
                HasSubstr("in the same folder"))
        << name;
  }
  EXPECT_THAT(error(R"({"x": 7})"), HasSubstr("in the same folder"));
  EXPECT_THAT(error("[]"), HasSubstr("'weight_map' is a JSON array"));
  EXPECT_THAT(error("null"), HasSubstr("'weight_map' is missing"));
  EXPECT_THAT(error(R"({"x": "b.safetensors"})"), HasSubstr("b.safetensors: cannot open"));
  EXPECT_THAT(error(R"({"x": "a.safetensors"})"), HasSubstr("has no tensor 'x'"));
}

}  // namespace
}  // namespace kvasir
