#include "model/hf_windows.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace kvasir {
namespace {

constexpr int64_t kMaxWindow = int64_t{1} << 31;
constexpr int64_t kMaxPattern = 65536;

bool IsQwen(const HfFamily& family) { return family.architecture.starts_with("qwen"); }

// What GGUF's keys say of a family: every n-th layer sees all, or none does.
bool SlidesByItself(const HfFamily& family, int64_t layer) {
  return family.sliding_pattern == 0 || (layer + 1) % family.sliding_pattern != 0;
}

// layer_types, of full_attention and sliding_attention.
Result<std::vector<bool>> ListedLayers(const JsonReader& config, const HfFamily& family,
                                       const std::vector<std::string>& types, int64_t n_layers) {
  std::vector<bool> slides;
  slides.reserve(types.size());
  for (const std::string& type : types) slides.push_back(type == "sliding_attention");
  const int64_t n_sliding = std::ranges::count(slides, true);
  const int64_t n_full = std::ranges::count(types, "full_attention");
  if (std::ssize(types) != n_layers || n_sliding + n_full != n_layers) {
    return Fail("{}: layer_types must be {} entries, each full_attention or sliding_attention",
                config.where(), n_layers);
  }
  const bool can_mix = family.sliding_pattern > 0 || IsQwen(family);
  if (!can_mix && n_sliding > 0 && n_full > 0) {
    return Fail("{}: layer_types must be {} times one kind of attention for model type {}",
                config.where(), n_layers, family.model_type);
  }
  return slides;
}

// By layer: whether it sees only a window. What is listed goes before what follows from a number.
Result<std::vector<bool>> SlidingLayers(const JsonReader& config, const HfFamily& family,
                                        int64_t n_layers) {
  KV_ASSIGN_OR_RETURN(const auto types, config.Strings("layer_types"));
  if (types) return ListedLayers(config, family, *types, n_layers);
  HfFamily said = family;
  if (family.architecture == "gemma3") {
    KV_ASSIGN_OR_RETURN(const auto given, config.Int("sliding_window_pattern", 1, kMaxPattern));
    KV_ASSIGN_OR_RETURN(const auto older, config.Int("_sliding_window_pattern", 1, kMaxPattern));
    const int64_t pattern = given ? *given : older.value_or(family.sliding_pattern);
    said.sliding_pattern = static_cast<int>(pattern);
  }
  int64_t first = 0;
  if (IsQwen(family)) {
    KV_ASSIGN_OR_RETURN(const auto given, config.Int("max_window_layers", 0, kMaxWindow));
    first = given.value_or(28);
  }
  std::vector<bool> slides;
  for (int64_t l = 0; l < n_layers; ++l) slides.push_back(l >= first && SlidesByItself(said, l));
  return slides;
}

}  // namespace

Status TranslateWindows(const JsonReader& config, const HfFamily& family, int64_t n_layers,
                        Metadata& metadata) {
  KV_ASSIGN_OR_RETURN(const auto given, config.Int("sliding_window", 0, kMaxWindow));
  int64_t window = given.value_or(config.IsNull("sliding_window") ? 0 : family.window);
  if (IsQwen(family)) {
    KV_ASSIGN_OR_RETURN(const auto is_used, config.Bool("use_sliding_window"));
    if (!is_used.value_or(false)) window = 0;
  }
  KV_ASSIGN_OR_RETURN(const std::vector<bool> slides, SlidingLayers(config, family, n_layers));
  std::vector<int64_t> windows;
  bool is_usual = window > 0, is_without = true;
  for (int64_t l = 0; l < n_layers; ++l) {
    windows.push_back(slides[l] ? window : 0);
    is_usual = is_usual && slides[l] == SlidesByItself(family, l);
    is_without = is_without && windows.back() == 0;
  }
  // Architectures with a pattern have a window of their own where a file states none.
  if (is_without && family.sliding_pattern == 0) return {};
  if (window > 0) {
    metadata.Set(fmt::format("{}.attention.sliding_window", family.architecture), window);
  }
  if (!is_usual) metadata.Set("kvasir.layer_windows", std::move(windows));
  return {};
}

}  // namespace kvasir
