#include "model/architecture.h"

#include <array>
#include <cmath>

namespace kvasir {

extern const Architecture kGemma2;
extern const Architecture kGemma3;
extern const Architecture kLlama;
extern const Architecture kPhi3;
extern const Architecture kQwen2;
extern const Architecture kQwen3;

namespace {

constexpr std::array kArchitectures = {&kGemma2, &kGemma3, &kLlama, &kPhi3, &kQwen2, &kQwen3};

// A size from the metadata, within bounds that keep every product of sizes far from overflow.
Result<int> Size(const Metadata& metadata, const std::string& key, int64_t most) {
  KV_ASSIGN_OR_RETURN(const int64_t value, metadata.I64(key));
  if (value < 1 || value > most) return Fail("{} is {}: not in 1..{}", key, value, most);
  return static_cast<int>(value);
}

}  // namespace

Result<ModelConfig> ReadConfig(const ModelSource& source) {
  KV_ASSIGN_OR_RETURN(const std::string_view name,
                      source.metadata().String("general.architecture"));
  std::string known;
  for (const Architecture* architecture : kArchitectures) {
    if (architecture->name == name) return architecture->config(source);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture->name);
  }
  return Fail("{}: architecture '{}' is not one that kvasir runs ({})", source.path(), name, known);
}

Result<ModelConfig> ReadCommonConfig(const ModelSource& source, std::string_view architecture) {
  const Metadata& metadata = source.metadata();
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", architecture, name); };
  ModelConfig config;
  config.architecture = architecture;
  KV_ASSIGN_OR_RETURN(config.name, metadata.String("general.name", architecture));
  KV_ASSIGN_OR_RETURN(config.n_layers, Size(metadata, key("block_count"), 1024));
  KV_ASSIGN_OR_RETURN(config.hidden, Size(metadata, key("embedding_length"), 1 << 17));
  KV_ASSIGN_OR_RETURN(config.ffn, Size(metadata, key("feed_forward_length"), 1 << 20));
  KV_ASSIGN_OR_RETURN(config.n_q_heads, Size(metadata, key("attention.head_count"), 1024));
  config.n_kv_heads = config.n_q_heads;
  if (metadata.Has(key("attention.head_count_kv"))) {
    KV_ASSIGN_OR_RETURN(config.n_kv_heads, Size(metadata, key("attention.head_count_kv"), 1024));
  }
  if (config.n_q_heads % config.n_kv_heads != 0) {
    return Fail("{}: {} query heads do not divide among {} KV heads", source.path(),
                config.n_q_heads, config.n_kv_heads);
  }
  config.head_dim = config.hidden / config.n_q_heads;
  if (metadata.Has(key("attention.key_length"))) {
    KV_ASSIGN_OR_RETURN(config.head_dim, Size(metadata, key("attention.key_length"), 256));
  }
  KV_ASSIGN_OR_RETURN(const int64_t value_length,
                      metadata.I64(key("attention.value_length"), config.head_dim));
  if (config.head_dim % 8 != 0 || config.head_dim > 256 || value_length != config.head_dim) {
    return Fail(
        "{}: head size {} (values {}) is not one that kvasir runs: a multiple of 8, at "
        "most 256, equal for keys and values",
        source.path(), config.head_dim, value_length);
  }
  KV_ASSIGN_OR_RETURN(config.n_ctx_train, metadata.I64(key("context_length"), 2048));
  if (config.n_ctx_train < 1 || config.n_ctx_train > (int64_t{1} << 30)) {
    return Fail("{}: {} is {}: not in 1..2^30", source.path(), key("context_length"),
                config.n_ctx_train);
  }
  KV_ASSIGN_OR_RETURN(const double eps,
                      metadata.F64(key("attention.layer_norm_rms_epsilon"), 1e-5));
  config.rms_eps = static_cast<float>(eps);
  KV_ASSIGN_OR_RETURN(const double scale, metadata.F64(key("attention.scale"), 0.0));
  config.attention_scale =
      scale > 0 ? static_cast<float>(scale) : 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  KV_ASSIGN_OR_RETURN(const TensorView* embedding, source.Tensor("token_embd.weight"));
  config.n_vocab = static_cast<int>(embedding->n_rows());
  config.layers.assign(config.n_layers, LayerConfig{});
  KV_ASSIGN_OR_RETURN(RopeTable rope, ReadRope(source, config));
  config.ropes.push_back(std::move(rope));
  return config;
}

Result<int32_t> ReadWindow(const ModelSource& source, std::string_view architecture) {
  const std::string key = fmt::format("{}.attention.sliding_window", architecture);
  KV_ASSIGN_OR_RETURN(const int64_t window, source.metadata().I64(key, 0));
  if (window < 0 || window > INT32_MAX) {
    return Fail("{}: {} is {}: not a number of positions", source.path(), key, window);
  }
  return static_cast<int32_t>(window);
}

}  // namespace kvasir
