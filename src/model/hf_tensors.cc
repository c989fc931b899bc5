#include "model/hf_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace kvasir {
namespace {

struct Renaming {
  std::string_view hf, gguf;
};

constexpr Renaming kOutside[] = {
    {"embed_tokens.weight", "token_embd.weight"},
    {"norm.weight", "output_norm.weight"},
};

// Parts of a layer that have a weight and perhaps a bias.
constexpr Renaming kModules[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},  {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},      {"mlp.down_proj", "ffn_down"},
};
// The second norm of a layer is named for what it follows; gemma really has a norm there.
constexpr Renaming kNorms[] = {{"post_attention_layernorm", "ffn_norm"}};
constexpr Renaming kGemmaNorms[] = {
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};

std::string_view Translation(std::span<const Renaming> table, std::string_view name) {
  const auto it = std::ranges::find(table, name, &Renaming::hf);
  return it == table.end() ? std::string_view() : it->gguf;
}

bool ConsumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// "3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight"; empty where it is none of ours.
std::string LayerTensorName(std::string_view rest, const HfConfig& config) {
  int64_t layer = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  if (error != std::errc() || layer < 0 || layer >= config.n_layers) return {};
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (!ConsumePrefix(rest, ".")) return {};
  const size_t dot = rest.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view module = rest.substr(0, dot), part = rest.substr(dot + 1);
  if (part != "weight" && part != "bias") return {};
  std::string_view ours = Translation(kModules, module);
  if (ours.empty() && config.family->is_gemma) ours = Translation(kGemmaNorms, module);
  if (ours.empty() && !config.family->is_gemma) ours = Translation(kNorms, module);
  return ours.empty() ? std::string() : fmt::format("blk.{}.{}.{}", layer, ours, part);
}

bool IsUnused(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") ||
         name.find("vision_tower.") != std::string_view::npos ||
         name.find("multi_modal_projector.") != std::string_view::npos;
}

// Writes n values as F32, plus one for the norms that transformers stores without it.
Status AddVector(SourceBuilder& builder, const SafetensorsEntry& entry, TensorView tensor,
                 bool add_one) {
  const int64_t n = tensor.n_values();
  KV_RETURN_IF_ERROR(SetShape(tensor, TensorType::kF32, std::array{static_cast<uint64_t>(n)},
                              "tensor " + Quoted(entry.name)));
  std::byte* bytes = builder.Own(tensor.n_bytes);
  float* values = reinterpret_cast<float*>(bytes);
  KV_RETURN_IF_ERROR(Dequantize(*entry.type, entry.data.data(), n, values));
  for (int64_t i = 0; add_one && i < n; ++i) values[i] += 1.0f;
  tensor.data = bytes;
  return builder.Add(std::move(tensor));
}

}  // namespace

Result<std::optional<std::string>> GgufTensorName(std::string_view name, const HfConfig& config) {
  if (IsUnused(name)) return std::nullopt;
  std::string_view rest = name;
  ConsumePrefix(rest, "language_model.");
  if (rest == "lm_head.weight") {
    if (config.tied_embeddings) return std::nullopt;
    return "output.weight";
  }
  const bool is_model = ConsumePrefix(rest, "model.");
  ConsumePrefix(rest, "language_model.");
  std::string ours;
  if (is_model && ConsumePrefix(rest, "layers.")) {
    ours = LayerTensorName(rest, config);
  } else if (is_model) {
    ours = Translation(kOutside, rest);
  }
  if (!ours.empty()) return ours;
  return Fail("tensor {} has no place in a {} model of {} layers", Quoted(name),
              config.family->model_type, config.n_layers);
}

Status AddHfTensor(SourceBuilder& builder, const SafetensorsEntry& entry, const HfConfig& config) {
  KV_ASSIGN_OR_RETURN(const std::optional<std::string> name, GgufTensorName(entry.name, config));
  if (!name) return {};
  const std::string what = "tensor " + Quoted(entry.name);
  if (!entry.type) return Fail("{} has dtype {}, which cannot be run", what, entry.dtype);
  TensorView tensor;
  tensor.name = *name;
  const std::vector<uint64_t> scalar = {1};
  KV_RETURN_IF_ERROR(
      SetShape(tensor, *entry.type, entry.shape.empty() ? scalar : entry.shape, what));
  if (tensor.rank == 1) {
    const bool add_one = config.family->is_gemma && tensor.name.ends_with("norm.weight");
    return AddVector(builder, entry, std::move(tensor), add_one);
  }
  tensor.data = entry.data.data();
  // Readers load whole floats; the format promises no alignment.
  if (reinterpret_cast<uintptr_t>(tensor.data) % 8 != 0) {
    std::byte* copy = builder.Own(tensor.n_bytes);
    std::memcpy(copy, tensor.data, tensor.n_bytes);
    tensor.data = copy;
  }
  return builder.Add(std::move(tensor));
}

Status AddRopeFactors(SourceBuilder& builder, const HfRopeFactors& factors) {
  const std::pair<const char*, const std::vector<float>*> tensors[] = {
      {"rope_freqs.weight", &factors.llama3},
      {"rope_factors_long.weight", &factors.long_context},
      {"rope_factors_short.weight", &factors.short_context},
  };
  for (const auto& [name, values] : tensors) {
    if (values->empty()) continue;
    TensorView tensor;
    tensor.name = name;
    KV_RETURN_IF_ERROR(
        SetShape(tensor, TensorType::kF32, std::array{uint64_t{values->size()}}, name));
    std::byte* bytes = builder.Own(tensor.n_bytes);
    std::memcpy(bytes, values->data(), tensor.n_bytes);
    tensor.data = bytes;
    KV_RETURN_IF_ERROR(builder.Add(std::move(tensor)));
  }
  return {};
}

}  // namespace kvasir
