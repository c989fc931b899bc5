#include "model/hf_rope.h"

#include <cmath>
#include <numbers>
#include <optional>
#include <string>
#include <utility>

namespace kvasir {
namespace {

constexpr int64_t kMaxContext = int64_t{1} << 31;

struct Rope {
  const JsonReader& settings;  // rope_scaling, rope_parameters, or an empty object
  int64_t n_rot;               // dimensions that rotate
  double theta;
  double factor;             // how much longer the context was made
  int64_t original_context;  // before that
  std::string prefix;        // "llama.rope."
};

// GGUF stores floats in 32 bits; the same value must come from either kind of file.
void SetFloat(Metadata& metadata, std::string key, double value) {
  metadata.Set(std::move(key), double{static_cast<float>(value)});
}

Result<double> Positive(const JsonReader& reader, std::string_view key, double fallback) {
  KV_ASSIGN_OR_RETURN(const std::optional<double> value, reader.Number(key));
  const double number = value.value_or(fallback);
  if (number > 0) return number;
  return Fail("{}: '{}' is {}; it must be positive", reader.where(), key, number);
}

// 0: none. Transformers takes a 0 for a key that is not there.
Result<double> PositiveOrNone(const JsonReader& reader, std::string_view key) {
  KV_ASSIGN_OR_RETURN(const std::optional<double> value, reader.Number(key));
  if (value.value_or(0) >= 0) return value.value_or(0);
  return Fail("{}: '{}' is {}; it must be positive", reader.where(), key, *value);
}

Result<std::string> RopeType(const JsonReader& settings) {
  KV_ASSIGN_OR_RETURN(const auto older, settings.String("type"));
  KV_ASSIGN_OR_RETURN(const auto newer, settings.String("rope_type"));
  return newer ? *newer : older.value_or("default");
}

// Llama 3.1: wavelengths beyond the original context are stretched by `factor`, short ones stay,
// those between are interpolated (the factors that llama.cpp's converter writes).
Result<std::vector<float>> Llama3Factors(const Rope& rope) {
  KV_ASSIGN_OR_RETURN(const double low, Positive(rope.settings, "low_freq_factor", 1.0));
  KV_ASSIGN_OR_RETURN(const double high, Positive(rope.settings, "high_freq_factor", 4.0));
  if (high <= low) {
    return Fail("{}: high_freq_factor {} must be above low_freq_factor {}", rope.settings.where(),
                high, low);
  }
  const double context = static_cast<double>(rope.original_context);
  std::vector<float> factors;
  for (int64_t i = 0; i < rope.n_rot; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(rope.n_rot);
    const double wavelength = 2 * std::numbers::pi * std::pow(rope.theta, exponent);
    const double smooth = (context / wavelength - low) / (high - low);
    double factor = 1 / ((1 - smooth) / rope.factor + smooth);
    if (wavelength < context / high) factor = 1;
    if (wavelength > context / low) factor = rope.factor;
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

Result<std::vector<float>> LongropeFactors(const Rope& rope, std::string_view key) {
  KV_ASSIGN_OR_RETURN(const auto numbers, rope.settings.Numbers(key));
  const size_t n = static_cast<size_t>(rope.n_rot / 2);
  if (!numbers || numbers->size() != n) {
    return Fail("{}: '{}' must be {} numbers, one for each pair of rotating dimensions",
                rope.settings.where(), key, n);
  }
  std::vector<float> factors;
  for (const double number : *numbers) {
    if (!(number > 0)) {
      return Fail("{}: '{}' holds {}; factors are positive", rope.settings.where(), key, number);
    }
    factors.push_back(static_cast<float>(number));
  }
  return factors;
}

Status SetYarn(const Rope& rope, Metadata& metadata) {
  SetFloat(metadata, rope.prefix + "scaling.factor", rope.factor);
  metadata.Set(rope.prefix + "scaling.original_context_length", rope.original_context);
  for (const std::string key : {"beta_fast", "beta_slow"}) {
    KV_ASSIGN_OR_RETURN(const double beta, PositiveOrNone(rope.settings, key));
    if (beta > 0) SetFloat(metadata, rope.prefix + "scaling.yarn_" + key, beta);
  }
  KV_ASSIGN_OR_RETURN(const std::optional<bool> truncate, rope.settings.Bool("truncate"));
  // As transformers reads it: a null is no truth.
  if (!truncate.value_or(!rope.settings.IsNull("truncate")))
    metadata.Set("kvasir.rope.yarn_truncate", false);
  if (rope.settings.Has("attention_factor")) {
    KV_ASSIGN_OR_RETURN(const double attention, Positive(rope.settings, "attention_factor", 0));
    SetFloat(metadata, "kvasir.rope.attention_factor", attention);
    return {};
  }
  KV_ASSIGN_OR_RETURN(const double mscale, PositiveOrNone(rope.settings, "mscale"));
  KV_ASSIGN_OR_RETURN(const double all_dim, PositiveOrNone(rope.settings, "mscale_all_dim"));
  if (mscale > 0 && all_dim > 0) {
    const double log_factor = rope.factor > 1 ? 0.1 * std::log(rope.factor) : 0;
    SetFloat(metadata, "kvasir.rope.attention_factor",
             (mscale * log_factor + 1) / (all_dim * log_factor + 1));
  }
  return {};
}

Status SetLongrope(const Rope& rope, Metadata& metadata) {
  metadata.Set(rope.prefix + "scaling.original_context_length", rope.original_context);
  const double log_context = std::log(static_cast<double>(rope.original_context));
  const double standard =
      rope.factor > 1 ? std::sqrt(1 + std::log(rope.factor) / log_context) : 1.0;
  KV_ASSIGN_OR_RETURN(const double attention,
                      Positive(rope.settings, "attention_factor", standard));
  SetFloat(metadata, rope.prefix + "scaling.attn_factor", attention);
  return {};
}

Result<HfRopeFactors> SetScaling(const std::string& type, const Rope& rope, Metadata& metadata) {
  HfRopeFactors factors;
  // What dynamic scaling changes begins where the context ends.
  if (type == "default" || type == "dynamic") return factors;
  if (type == "llama3") {  // no key in GGUF: the tensor says it all
    KV_ASSIGN_OR_RETURN(factors.llama3, Llama3Factors(rope));
  } else if (type == "linear") {
    metadata.Set(rope.prefix + "scaling.type", "linear");
    SetFloat(metadata, rope.prefix + "scaling.factor", rope.factor);
  } else if (type == "yarn") {
    metadata.Set(rope.prefix + "scaling.type", "yarn");
    KV_RETURN_IF_ERROR(SetYarn(rope, metadata));
  } else if (type == "longrope") {
    metadata.Set(rope.prefix + "scaling.type", "longrope");
    KV_RETURN_IF_ERROR(SetLongrope(rope, metadata));
    KV_ASSIGN_OR_RETURN(factors.long_context, LongropeFactors(rope, "long_factor"));
    KV_ASSIGN_OR_RETURN(factors.short_context, LongropeFactors(rope, "short_factor"));
  } else {
    return Fail(
        "{}: rope type '{}' is unknown; default, dynamic, linear, llama3, yarn, longrope are known",
        rope.settings.where(), type);
  }
  return factors;
}

// Layers with a window rotate by a base of their own, unscaled.
Status SetLocalRope(const JsonReader& config, const JsonReader& parameters, Metadata& metadata) {
  KV_ASSIGN_OR_RETURN(const std::optional<JsonReader> local,
                      parameters.Object("sliding_attention"));
  KV_ASSIGN_OR_RETURN(double theta, Positive(config, "rope_local_base_freq", 1e4));
  if (local) {
    KV_ASSIGN_OR_RETURN(theta, Positive(*local, "rope_theta", theta));
    KV_ASSIGN_OR_RETURN(const std::string type, RopeType(*local));
    if (type != "default") {
      return Fail("{}: rope type '{}' of layers with a window is not supported", local->where(),
                  type);
    }
  }
  SetFloat(metadata, "gemma3.rope.freq_base_swa", theta);
  return {};
}

struct Settings {
  JsonReader scaling;
  double theta;  // unless the scaling has one
};

// As transformers, rope_scaling goes before rope_parameters: people add it to a file by hand.
// Theirs then forgets the base that only rope_parameters has; ours does not.
Result<Settings> ReadSettings(const JsonReader& config, const HfFamily& family,
                              Metadata& metadata) {
  static const Json kEmpty = Json::object();
  KV_ASSIGN_OR_RETURN(const std::optional<JsonReader> newer, config.Object("rope_parameters"));
  KV_ASSIGN_OR_RETURN(const std::optional<JsonReader> older, config.Object("rope_scaling"));
  const JsonReader parameters = newer ? *newer : JsonReader(kEmpty, config.where());
  const bool is_by_layer = family.architecture == "gemma3";
  if (is_by_layer) KV_RETURN_IF_ERROR(SetLocalRope(config, parameters, metadata));
  KV_ASSIGN_OR_RETURN(
      const std::optional<JsonReader> global,
      is_by_layer ? parameters.Object("full_attention") : std::optional<JsonReader>());
  const JsonReader& named = global ? *global : parameters;
  KV_ASSIGN_OR_RETURN(const double within, Positive(named, "rope_theta", family.rope_theta));
  KV_ASSIGN_OR_RETURN(const double theta, Positive(config, "rope_theta", within));
  const bool is_older = older && (!newer || older->Has("rope_type") || older->Has("type"));
  return Settings{is_older ? *older : named, theta};
}

}  // namespace

Result<HfRopeFactors> TranslateRope(const JsonReader& config, const HfFamily& family,
                                    int64_t head_dim, int64_t context, Metadata& metadata) {
  KV_ASSIGN_OR_RETURN(const Settings found, ReadSettings(config, family, metadata));
  const JsonReader& settings = found.scaling;
  Rope rope{settings, head_dim, 0, 1, context, fmt::format("{}.rope.", family.architecture)};

  KV_ASSIGN_OR_RETURN(rope.theta, Positive(settings, "rope_theta", found.theta));
  SetFloat(metadata, rope.prefix + "freq_base", rope.theta);

  double partial = 1;
  if (family.has_partial_rotary) {
    KV_ASSIGN_OR_RETURN(const double outer, Positive(config, "partial_rotary_factor", 1));
    KV_ASSIGN_OR_RETURN(partial, Positive(settings, "partial_rotary_factor", outer));
  }
  rope.n_rot = static_cast<int64_t>(static_cast<double>(head_dim) * std::min(partial, 2.0));
  if (rope.n_rot < 2 || rope.n_rot > head_dim || rope.n_rot % 2 != 0) {
    return Fail("{}: partial_rotary_factor {} of head_dim {} must be an even number of dimensions",
                settings.where(), partial, head_dim);
  }
  metadata.Set(rope.prefix + "dimension_count", rope.n_rot);

  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  KV_ASSIGN_OR_RETURN(const auto outer_original, config.Int(kOriginal, 2, kMaxContext));
  KV_ASSIGN_OR_RETURN(const auto original, settings.Int(kOriginal, 2, kMaxContext));
  // Beside the scaling goes before within it, and so does what a family takes for granted there.
  rope.original_context = original.value_or(context);
  if (family.original_context > 0) rope.original_context = family.original_context;
  if (outer_original) rope.original_context = *outer_original;
  const double stretch = static_cast<double>(context) / static_cast<double>(rope.original_context);
  KV_ASSIGN_OR_RETURN(rope.factor, Positive(settings, "factor", stretch));

  KV_ASSIGN_OR_RETURN(std::string type, RopeType(settings));
  // Phi-3's scaling had other names before it was called longrope.
  if (family.architecture == "phi3" && (type == "su" || type == "yarn")) type = "longrope";
  return SetScaling(type, rope, metadata);
}

}  // namespace kvasir
