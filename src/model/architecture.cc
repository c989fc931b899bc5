#include "model/architecture.h"

#include <algorithm>
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

constexpr int kHeadStep =
    16;  // attention reads heads in whole steps (src/kernels/cpu/attention.cc)

// GGUF may state a number for each layer: where all are equal, they are one.
Result<int64_t> OneNumber(const Metadata& metadata, const std::string& key) {
  const MetaValue* value = metadata.Find(key);
  const auto* list = value == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(value);
  if (list == nullptr) return metadata.I64(key);
  const auto other = std::ranges::adjacent_find(*list, std::ranges::not_equal_to());
  if (!list->empty() && other == list->end()) return list->front();
  return Fail("{} differs from layer to layer, which kvasir does not run", key);
}

// A size from the metadata, within bounds that keep every product of sizes far from overflow.
Result<int> Size(const Metadata& metadata, const std::string& key, int64_t most) {
  KV_ASSIGN_OR_RETURN(const int64_t value, OneNumber(metadata, key));
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
  config.file_head_dim = config.hidden / config.n_q_heads;
  if (metadata.Has(key("attention.key_length"))) {
    KV_ASSIGN_OR_RETURN(config.file_head_dim, Size(metadata, key("attention.key_length"), 65536));
  }
  KV_ASSIGN_OR_RETURN(const int64_t value_length,
                      metadata.I64(key("attention.value_length"), config.file_head_dim));
  if (config.file_head_dim < 2 || config.file_head_dim > 256 ||
      value_length != config.file_head_dim) {
    return Fail(
        "{}: head size {} (values {}) is not one that kvasir runs: 2 to 256, equal for keys and "
        "values",
        source.path(), config.file_head_dim, value_length);
  }
  config.head_dim = (config.file_head_dim + kHeadStep - 1) / kHeadStep * kHeadStep;
  KV_ASSIGN_OR_RETURN(config.n_ctx_train, metadata.I64(key("context_length"), 2048));
  if (config.n_ctx_train < 1 || config.n_ctx_train > (int64_t{1} << 30)) {
    return Fail("{}: {} is {}: not in 1..2^30", source.path(), key("context_length"),
                config.n_ctx_train);
  }
  KV_ASSIGN_OR_RETURN(const double eps,
                      ReadPositive(source, key("attention.layer_norm_rms_epsilon"), 1e-5));
  config.rms_eps = static_cast<float>(eps);
  KV_ASSIGN_OR_RETURN(const double scale, ReadNotNegative(source, key("attention.scale"), 0.0));
  config.attention_scale = scale > 0 ? static_cast<float>(scale)
                                     : 1.0f / std::sqrt(static_cast<float>(config.file_head_dim));
  KV_ASSIGN_OR_RETURN(const TensorView* embedding, source.Tensor("token_embd.weight"));
  KV_ASSIGN_OR_RETURN(const int64_t n_vocab, metadata.I64(key("vocab_size"), embedding->n_rows()));
  if (n_vocab != embedding->n_rows() || n_vocab > INT32_MAX) {
    return Fail("{}: {} is {}, but tensor token_embd.weight has {} rows", source.path(),
                key("vocab_size"), n_vocab, embedding->n_rows());
  }
  config.n_vocab = static_cast<int>(n_vocab);
  config.layers.assign(config.n_layers, LayerConfig{});
  KV_ASSIGN_OR_RETURN(RopeTable rope, ReadRope(source, config));
  config.ropes.push_back(std::move(rope));
  KV_ASSIGN_OR_RETURN(config.short_ctx, ReadShortContext(source, config));
  if (config.short_ctx > 0) {
    KV_ASSIGN_OR_RETURN(rope, ReadRope(source, config, TextLength::kShort));
    config.short_ropes.push_back(std::move(rope));
  }
  return config;
}

Result<double> ReadNotNegative(const ModelSource& source, const std::string& key, double fallback) {
  KV_ASSIGN_OR_RETURN(const double value, source.metadata().F64(key, fallback));
  // In float, as it will be used: 1e300 is infinite there.
  if (value >= 0 && std::isfinite(static_cast<float>(value))) return value;
  return Fail("{}: {} is {}: a finite number of at least 0 is needed", source.path(), key, value);
}

Result<double> ReadPositive(const ModelSource& source, const std::string& key, double fallback) {
  KV_ASSIGN_OR_RETURN(const double value, ReadNotNegative(source, key, fallback));
  if (static_cast<float>(value) > 0) return value;
  return Fail("{}: {} is {}: a positive number is needed", source.path(), key, value);
}

Status ReadWindows(const ModelSource& source, ModelConfig& config, WindowPattern pattern) {
  const Metadata& metadata = source.metadata();
  const std::string key = fmt::format("{}.attention.sliding_window", config.architecture);
  const auto by_layer = [&](const std::string& name) -> Result<std::span<const int64_t>> {
    KV_ASSIGN_OR_RETURN(const std::span<const int64_t> values, metadata.Ints(name));
    if (std::ssize(values) == config.n_layers) return values;
    return Fail("{}: {} has {} entries for {} layers", source.path(), name, values.size(),
                config.n_layers);
  };
  KV_ASSIGN_OR_RETURN(int64_t window, metadata.I64(key, 0));
  if (window == 0) window = pattern.window;
  if (window < 0 || window > INT32_MAX) {
    return Fail("{}: {} is {}: not a number of positions", source.path(), key, window);
  }
  std::vector<int64_t> windows(config.n_layers, window);
  const std::string pattern_key = key + "_pattern";
  const MetaValue* given = pattern.full_every > 0 ? metadata.Find(pattern_key) : nullptr;
  if (metadata.Has("kvasir.layer_windows")) {
    KV_ASSIGN_OR_RETURN(const auto values, by_layer("kvasir.layer_windows"));
    windows.assign(values.begin(), values.end());
  } else if (given != nullptr && std::holds_alternative<std::vector<int64_t>>(*given)) {
    KV_ASSIGN_OR_RETURN(const auto slides, by_layer(pattern_key));  // booleans
    for (int l = 0; l < config.n_layers; ++l) windows[l] = slides[l] != 0 ? window : 0;
  } else if (pattern.full_every > 0) {
    KV_ASSIGN_OR_RETURN(const int64_t n, metadata.I64(pattern_key, pattern.full_every));
    if (n < 1) return Fail("{}: {} is {}: not in 1..", source.path(), pattern_key, n);
    for (int64_t l = n - 1; l < config.n_layers; l += n) windows[l] = 0;
  }
  for (int l = 0; l < config.n_layers; ++l) {
    config.layers[l].window = static_cast<int32_t>(std::clamp<int64_t>(windows[l], 0, INT32_MAX));
  }
  return {};
}

}  // namespace kvasir
