// Rotary tables and their scalings.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/architecture.h"

namespace kvasir {
namespace {

constexpr std::string_view kLongFactors = "rope_factors_long.weight";
constexpr std::string_view kShortFactors = "rope_factors_short.weight";

// Tokens that the model read before its context was made longer.
Result<int64_t> OriginalContext(const ModelSource& source, const ModelConfig& config) {
  const std::string key =
      fmt::format("{}.rope.scaling.original_context_length", config.architecture);
  KV_ASSIGN_OR_RETURN(const int64_t n, source.metadata().I64(key, config.n_ctx_train));
  if (n > 0) return n;
  return Fail("{}: {} is {}: a number of tokens is needed", source.path(), key, n);
}

// YaRN (arXiv 2309.00071, section 3): low frequencies are interpolated by `factor`, high ones left,
// those between mixed along a ramp.
Status ScaleYarn(const ModelSource& source, const ModelConfig& config, double theta, double factor,
                 RopeTable& rope) {
  const Metadata& metadata = source.metadata();
  const auto key = [&](std::string_view name) {
    return fmt::format("{}.rope.scaling.{}", config.architecture, name);
  };
  KV_ASSIGN_OR_RETURN(const double beta_fast, ReadPositive(source, key("yarn_beta_fast"), 32.0));
  KV_ASSIGN_OR_RETURN(const double beta_slow, ReadPositive(source, key("yarn_beta_slow"), 1.0));
  KV_ASSIGN_OR_RETURN(const int64_t original, OriginalContext(source, config));
  KV_ASSIGN_OR_RETURN(const bool truncates, metadata.Bool("kvasir.rope.yarn_truncate", true));
  const auto n_rot = static_cast<double>(rope.n_rot());
  // The dimension whose wave makes `turns` turns in the original context.
  const auto dimension = [&](double turns) {
    const double wave = static_cast<double>(original) / (turns * 2 * std::numbers::pi);
    return n_rot * std::log(wave) / (2 * std::log(theta));
  };
  const double first = dimension(beta_fast), last = dimension(beta_slow);
  const double low = std::max(truncates ? std::floor(first) : first, 0.0);
  const double high = std::min(truncates ? std::ceil(last) : last, n_rot - 1);
  for (size_t i = 0; i < rope.inv_freq.size(); ++i) {
    const double width = std::max(high - low, 0.001);
    const double ramp = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
    rope.inv_freq[i] = rope.inv_freq[i] * (1 - ramp) + rope.inv_freq[i] / factor * ramp;
  }

  // The usual factor of cosines and sines, times what a file says; 0 says nothing.
  double attention = factor > 1 ? 0.1 * std::log(factor) + 1 : 1.0;
  for (const std::string& name : {key("attn_factor"), key("yarn_attn_factor")}) {
    KV_ASSIGN_OR_RETURN(const double multiplier, ReadNotNegative(source, name, 0.0));
    if (multiplier > 0) attention *= multiplier;
  }
  KV_ASSIGN_OR_RETURN(attention, ReadPositive(source, "kvasir.rope.attention_factor", attention));
  rope.attention_factor = static_cast<float>(attention);
  return {};
}

// Divides each frequency by the factor that a tensor gives it (llama3's scaling, longrope).
Status DivideBy(const ModelSource& source, const TensorView& factors, RopeTable& rope) {
  if (factors.n_values() != static_cast<int64_t>(rope.inv_freq.size())) {
    return Fail("{}: tensor {} has {} values, {} are needed (one a rotated pair)", source.path(),
                factors.name, factors.n_values(), rope.inv_freq.size());
  }
  std::vector<float> values(rope.inv_freq.size());
  KV_RETURN_IF_ERROR(
      Dequantize(factors.type, factors.data, static_cast<int64_t>(values.size()), values.data()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] > 0) || !std::isfinite(values[i])) {
      return Fail("{}: tensor {} has a factor {} at {}: factors are positive", source.path(),
                  factors.name, values[i], i);
    }
    rope.inv_freq[i] /= values[i];
  }
  return {};
}

}  // namespace

RopeTable PlainRope(int n_rot, double theta, double linear_factor, bool neox) {
  RopeTable rope;
  rope.neox = neox;
  for (int i = 0; i < n_rot / 2; ++i) {
    rope.inv_freq.push_back(std::pow(theta, -2.0 * i / n_rot) / linear_factor);
  }
  return rope;
}

Result<RopeTable> ReadRope(const ModelSource& source, const ModelConfig& config, TextLength texts) {
  const Metadata& metadata = source.metadata();
  const auto key = [&](std::string_view name) {
    return fmt::format("{}.rope.{}", config.architecture, name);
  };
  KV_ASSIGN_OR_RETURN(const int64_t n_rot,
                      metadata.I64(key("dimension_count"), config.file_head_dim));
  KV_ASSIGN_OR_RETURN(const double theta, ReadPositive(source, key("freq_base"), 10000.0));
  KV_ASSIGN_OR_RETURN(const bool neox, metadata.Bool("kvasir.rope.neox"));
  KV_ASSIGN_OR_RETURN(const std::string_view type, metadata.String(key("scaling.type"), ""));
  KV_ASSIGN_OR_RETURN(const double linear, ReadPositive(source, key("scale_linear"), 1.0));
  KV_ASSIGN_OR_RETURN(const double factor, ReadPositive(source, key("scaling.factor"), linear));
  if (n_rot < 2 || n_rot % 2 != 0 || n_rot > config.file_head_dim) {
    return Fail("{}: {} is {}: an even number of at most the head size {} is needed", source.path(),
                key("dimension_count"), n_rot, config.file_head_dim);
  }
  if (theta <= 1) {
    return Fail("{}: {} is {}: a number above 1 is needed", source.path(), key("freq_base"), theta);
  }

  // Older files have a factor and no type; the type "none" means that there is nothing to scale.
  const bool is_linear = type == "linear" || type.empty();
  RopeTable rope = PlainRope(static_cast<int>(n_rot), theta, is_linear ? factor : 1.0, neox);
  if (type == "yarn") {
    KV_RETURN_IF_ERROR(ScaleYarn(source, config, theta, factor, rope));
  } else if (type == "longrope") {
    const bool is_long = texts == TextLength::kLong;
    const TensorView* factors = source.Find(is_long ? kLongFactors : kShortFactors);
    if (factors != nullptr) KV_RETURN_IF_ERROR(DivideBy(source, *factors, rope));
    KV_ASSIGN_OR_RETURN(const double attention_factor,
                        ReadNotNegative(source, key("scaling.attn_factor"), 0.0));
    if (attention_factor > 0) rope.attention_factor = static_cast<float>(attention_factor);
  } else if (!type.empty() && type != "none" && type != "linear" && type != "llama3") {
    return Fail(
        "{}: rope scaling '{}' is not one that kvasir runs (none, linear, llama3, yarn, "
        "longrope)",
        source.path(), type);
  }
  if (const TensorView* factors = source.Find("rope_freqs.weight")) {
    KV_RETURN_IF_ERROR(DivideBy(source, *factors, rope));
  }
  return rope;
}

Result<int64_t> ReadShortContext(const ModelSource& source, const ModelConfig& config) {
  const std::string type_key = fmt::format("{}.rope.scaling.type", config.architecture);
  KV_ASSIGN_OR_RETURN(const std::string_view type, source.metadata().String(type_key, ""));
  if (type != "longrope" || source.Find(kShortFactors) == nullptr) return 0;
  return OriginalContext(source, config);
}

}  // namespace kvasir
