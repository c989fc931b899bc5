#include "model/hf_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "model/hf_rope.h"
#include "model/hf_windows.h"
#include "model/json_reader.h"
#include "model/source_builder.h"

namespace kvasir {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;  // of any dimension or count
constexpr int64_t kMaxLayers = 65536;

constexpr HfFamily kFamilies[] = {
    {.model_type = "llama", .architecture = "llama", .context = 2048},
    {.model_type = "mistral",
     .architecture = "llama",
     .n_kv_heads = 8,
     .context = 131072,
     .window = 4096},
    {.model_type = "qwen2", .architecture = "qwen2", .n_kv_heads = 32, .context = 32768},
    {.model_type = "qwen3",
     .architecture = "qwen3",
     .n_kv_heads = 32,
     .head_dim = 128,
     .context = 32768},
    {.model_type = "phi3",
     .architecture = "phi3",
     .has_partial_rotary = true,
     .context = 4096,
     .original_context = 4096,
     .rms_eps = 1e-5},
    {.model_type = "gemma2",
     .architecture = "gemma2",
     .is_gemma = true,
     .sliding_pattern = 2,
     .n_heads = 8,
     .n_kv_heads = 4,
     .head_dim = 256,
     .context = 8192,
     .window = 4096,
     .attention_softcap = 50,
     .logit_softcap = 30},
    {.model_type = "gemma3_text",
     .architecture = "gemma3",
     .is_gemma = true,
     .sliding_pattern = 6,
     .n_heads = 8,
     .n_kv_heads = 4,
     .head_dim = 256,
     .context = 131072,
     .window = 4096,
     .rope_theta = 1e6},
};

// One translation: what is read goes straight into the metadata.
class Translator {
 public:
  Translator(const JsonReader& config, const HfFamily& family, Metadata& metadata)
      : config_(config), family_(family), metadata_(metadata) {}

  Result<HfConfig> Run() {
    HfConfig out;
    out.family = &family_;
    metadata_.Set("general.architecture", std::string(family_.architecture));
    KV_RETURN_IF_ERROR(CheckActivation());
    KV_ASSIGN_OR_RETURN(const auto sees_later, config_.Bool("use_bidirectional_attention"));
    if (sees_later.value_or(false)) {
      return Fail("{}: use_bidirectional_attention: only models that generate can be run",
                  config_.where());
    }
    KV_ASSIGN_OR_RETURN(out.n_layers, Size("num_hidden_layers", 0, kMaxLayers));
    Set("block_count", out.n_layers);
    KV_ASSIGN_OR_RETURN(const int64_t hidden, Size("hidden_size", 0));
    Set("embedding_length", hidden);
    KV_ASSIGN_OR_RETURN(const int64_t ffn, Size("intermediate_size", 0));
    Set("feed_forward_length", ffn);
    KV_ASSIGN_OR_RETURN(const int64_t context, Size("max_position_embeddings", family_.context));
    Set("context_length", context);
    KV_ASSIGN_OR_RETURN(const auto vocab, config_.Int("vocab_size", 1, kMaxSize));
    if (vocab) Set("vocab_size", *vocab);
    KV_ASSIGN_OR_RETURN(const int64_t head_dim, Heads(hidden));
    KV_RETURN_IF_ERROR(Numerics());
    KV_RETURN_IF_ERROR(TranslateWindows(config_, family_, out.n_layers, metadata_));
    KV_ASSIGN_OR_RETURN(out.rope_factors,
                        TranslateRope(config_, family_, head_dim, context, metadata_));
    KV_ASSIGN_OR_RETURN(const auto tied, config_.Bool("tie_word_embeddings"));
    out.tied_embeddings = tied.value_or(family_.is_gemma);
    return out;
  }

 private:
  void Set(std::string_view key, MetaValue value) {
    metadata_.Set(fmt::format("{}.{}", family_.architecture, key), std::move(value));
  }
  // Floats as GGUF has them, in 32 bits.
  void SetFloat(std::string_view key, double value) { Set(key, double{static_cast<float>(value)}); }

  Result<int64_t> Size(std::string_view key, int64_t fallback, int64_t max = kMaxSize) {
    KV_ASSIGN_OR_RETURN(const auto value, config_.Int(key, 1, max));
    if (value) return *value;
    if (fallback > 0) return fallback;
    return Fail("{}: '{}' is missing", config_.where(), key);
  }

  Status CheckActivation() {
    for (const std::string_view key : {"hidden_act", "hidden_activation"}) {
      KV_ASSIGN_OR_RETURN(const auto name, config_.String(key));
      // Gemma configs may carry an older "hidden_act": "gelu", which was meant as the tanh form.
      const bool is_known =
          !name || (family_.is_gemma ? name->starts_with("gelu") : *name == "silu");
      if (!is_known) {
        return Fail("{}: '{}' is {}; a {} model must have {}", config_.where(), key, Quoted(*name),
                    family_.model_type, family_.is_gemma ? "gelu_pytorch_tanh" : "silu");
      }
    }
    return {};
  }

  // Head counts; returns the head size.
  Result<int64_t> Heads(int64_t hidden) {
    KV_ASSIGN_OR_RETURN(const int64_t n_heads, Size("num_attention_heads", family_.n_heads));
    const int64_t default_kv = family_.n_kv_heads > 0 ? family_.n_kv_heads : n_heads;
    KV_ASSIGN_OR_RETURN(const int64_t n_kv_heads, Size("num_key_value_heads", default_kv));
    const int64_t default_dim = family_.head_dim > 0 ? family_.head_dim : hidden / n_heads;
    KV_ASSIGN_OR_RETURN(const int64_t head_dim, Size("head_dim", default_dim, 65536));
    if (n_heads % n_kv_heads != 0) {
      return Fail("{}: num_attention_heads {} is no multiple of num_key_value_heads {}",
                  config_.where(), n_heads, n_kv_heads);
    }
    if (n_heads * head_dim > kMaxSize) {
      return Fail("{}: {} heads of size {} are impossibly large", config_.where(), n_heads,
                  head_dim);
    }
    Set("attention.head_count", n_heads);
    Set("attention.head_count_kv", n_kv_heads);
    Set("attention.key_length", head_dim);
    Set("attention.value_length", head_dim);
    return head_dim;
  }

  Status Numerics() {
    KV_ASSIGN_OR_RETURN(const auto given, config_.Number("rms_norm_eps"));
    const double eps = given.value_or(family_.rms_eps);
    if (!(eps > 0))
      return Fail("{}: rms_norm_eps is {}; it must be positive", config_.where(), eps);
    SetFloat("attention.layer_norm_rms_epsilon", eps);
    if (!family_.is_gemma) return {};
    // null means none, but a key that is not there means the family's own value.
    const auto softcap = [&](std::string_view key, double fallback) -> Result<double> {
      KV_ASSIGN_OR_RETURN(const auto value, config_.Number(key));
      const double cap = value.value_or(config_.IsNull(key) ? 0 : fallback);
      if (cap >= 0) return cap;
      return Fail("{}: {} is {}; it must not be negative", config_.where(), key, cap);
    };
    KV_ASSIGN_OR_RETURN(const double attention,
                        softcap("attn_logit_softcapping", family_.attention_softcap));
    KV_ASSIGN_OR_RETURN(const double logits,
                        softcap("final_logit_softcapping", family_.logit_softcap));
    // gemma2's own values would stand in for missing keys, so 0 is written too.
    if (attention > 0 || family_.attention_softcap > 0) {
      SetFloat("attn_logit_softcapping", attention);
    }
    if (logits > 0 || family_.logit_softcap > 0) SetFloat("final_logit_softcapping", logits);
    KV_ASSIGN_OR_RETURN(const auto scalar, config_.Number("query_pre_attn_scalar"));
    const double divisor = scalar.value_or(256.0);
    if (!(divisor > 0)) return Fail("{}: query_pre_attn_scalar is {}", config_.where(), divisor);
    // Always: without it a 27B model is scaled otherwise (gemma2.cc, gemma3.cc).
    SetFloat("attention.scale", 1 / std::sqrt(divisor));
    return {};
  }

  const JsonReader& config_;
  const HfFamily& family_;
  Metadata& metadata_;
};

Result<const HfFamily*> FindFamily(const JsonReader& root, const JsonReader& config) {
  KV_ASSIGN_OR_RETURN(const auto outer, root.String("model_type"));
  KV_ASSIGN_OR_RETURN(const auto inner, config.String("model_type"));
  std::string type = inner ? *inner : outer.value_or("");
  if (type == "gemma3") type = "gemma3_text";
  std::string known;
  for (const HfFamily& family : kFamilies) {
    if (family.model_type == type) return &family;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", family.model_type);
  }
  return Fail("{}: model_type {} cannot be read; {} can", config.where(), Quoted(type), known);
}

}  // namespace

Result<HfConfig> TranslateConfig(const Json& root, const std::string& name, Metadata& metadata) {
  const JsonReader outer(root, name);
  KV_ASSIGN_OR_RETURN(const std::optional<JsonReader> nested, outer.Object("text_config"));
  const JsonReader& config = nested ? *nested : outer;
  for (const JsonReader* reader : {&outer, &config}) {
    if (reader->Has("quantization_config")) {
      return Fail(
          "{}: quantization_config: quantised safetensors cannot be read; use the plain "
          "weights or a GGUF file",
          reader->where());
    }
  }
  KV_ASSIGN_OR_RETURN(const HfFamily* family, FindFamily(outer, config));
  return Translator(config, *family, metadata).Run();
}

}  // namespace kvasir
