// Rotary tables and their scalings.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/architecture.h"

namespace kvasir {
namespace {

// YaRN (arXiv 2309.00071, section 3): low frequencies are interpolated by `factor`, high ones left,
// those between mixed along a ramp.
void ScaleYarn(std::vector<double>& inv_freq, double theta, double factor, double original_ctx,
               double beta_fast, double beta_slow) {
  const auto n_rot = static_cast<double>(2 * inv_freq.size());
  // The dimension whose wave makes `turns` turns in the original context.
  const auto dimension = [&](double turns) {
    return n_rot * std::log(original_ctx / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  const double low = std::max(std::floor(dimension(beta_fast)), 0.0);
  const double high = std::min(std::ceil(dimension(beta_slow)), n_rot - 1);
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    const double width = std::max(high - low, 0.001);
    const double ramp = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
    inv_freq[i] = inv_freq[i] * (1 - ramp) + inv_freq[i] / factor * ramp;
  }
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

Result<RopeTable> ReadRope(const ModelSource& source, const ModelConfig& config) {
  const Metadata& metadata = source.metadata();
  const auto key = [&](std::string_view name) {
    return fmt::format("{}.rope.{}", config.architecture, name);
  };
  KV_ASSIGN_OR_RETURN(const int64_t n_rot, metadata.I64(key("dimension_count"), config.head_dim));
  KV_ASSIGN_OR_RETURN(const double theta, metadata.F64(key("freq_base"), 10000.0));
  KV_ASSIGN_OR_RETURN(const bool neox, metadata.Bool("kvasir.rope.neox"));
  KV_ASSIGN_OR_RETURN(const std::string_view type, metadata.String(key("scaling.type"), "none"));
  KV_ASSIGN_OR_RETURN(const double linear, metadata.F64(key("scale_linear"), 1.0));
  KV_ASSIGN_OR_RETURN(const double factor, metadata.F64(key("scaling.factor"), linear));
  KV_ASSIGN_OR_RETURN(const double attention_factor, metadata.F64(key("scaling.attn_factor"), 0.0));
  KV_ASSIGN_OR_RETURN(const int64_t original_ctx,
                      metadata.I64(key("scaling.original_context_length"), config.n_ctx_train));
  if (n_rot < 2 || n_rot % 2 != 0 || n_rot > config.head_dim) {
    return Fail("{}: {} is {}: an even number of at most the head size {} is needed", source.path(),
                key("dimension_count"), n_rot, config.head_dim);
  }
  if (!(theta > 1) || !(factor > 0) || !std::isfinite(factor) || !std::isfinite(theta)) {
    return Fail("{}: rope base {} or scaling factor {} makes no sense", source.path(), theta,
                factor);
  }

  const bool is_linear = type == "linear" || (type == "none" && factor != 1);
  RopeTable rope = PlainRope(static_cast<int>(n_rot), theta, is_linear ? factor : 1.0, neox);
  if (type == "yarn") {
    KV_ASSIGN_OR_RETURN(const double fast, metadata.F64(key("scaling.yarn_beta_fast"), 32.0));
    KV_ASSIGN_OR_RETURN(const double slow, metadata.F64(key("scaling.yarn_beta_slow"), 1.0));
    ScaleYarn(rope.inv_freq, theta, factor, static_cast<double>(original_ctx), fast, slow);
    // A converter that knows the factor writes what the usual one is to be multiplied by.
    KV_ASSIGN_OR_RETURN(const double multiplier,
                        metadata.F64(key("scaling.yarn_attn_factor"), 1.0));
    if (!(multiplier > 0) || !std::isfinite(multiplier)) {
      return Fail("{}: {} is {}: a positive number is needed", source.path(),
                  key("scaling.yarn_attn_factor"), multiplier);
    }
    const double usual = (factor > 1 ? 0.1 * std::log(factor) + 1 : 1.0) * multiplier;
    rope.attention_factor = static_cast<float>(attention_factor > 0 ? attention_factor : usual);
  } else if (type == "longrope") {
    // Phi-3's two sets: the long one is for contexts beyond the original.
    const bool is_long = config.n_ctx_train > original_ctx;
    const TensorView* factors =
        source.Find(is_long ? "rope_factors_long.weight" : "rope_factors_short.weight");
    if (factors != nullptr) KV_RETURN_IF_ERROR(DivideBy(source, *factors, rope));
    if (attention_factor > 0) rope.attention_factor = static_cast<float>(attention_factor);
  } else if (type != "none" && type != "linear" && type != "llama3") {
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

}  // namespace kvasir
