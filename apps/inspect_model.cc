// Facts of a model file: read from its metadata, no weights are touched.
#include <map>
#include <nlohmann/json.hpp>

#include "base/memory.h"
#include "inspect.h"
#include "kernels/codec.h"
#include "model/architecture.h"
#include "model/tokenizer/tokenizer_source.h"
#include "model_file.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTypes[] = {"f32", "f16", "bf16", "i16", "q8", "q4"};

// Keys and values of one token in all layers and KV heads.
int64_t KvBytesAToken(const ModelConfig& config, const PlaneFormat& plane) {
  const int64_t page = PlaneBytes(plane, PlaneKind::kKeys) + PlaneBytes(plane, PlaneKind::kValues);
  return page * config.n_layers * config.n_kv_heads / kPageEntries;
}

Json TypesJson(const ModelSource& source) {
  std::map<std::string, std::pair<int64_t, int64_t>> by_type;  // tensors, bytes
  for (const TensorView& tensor : source.tensors()) {
    auto& [n, bytes] = by_type[std::string(InfoOf(tensor.type).name)];
    ++n;
    bytes += static_cast<int64_t>(tensor.n_bytes);
  }
  Json types = Json::object();
  for (const auto& [name, each] : by_type) {
    types[name] = {{"tensors", each.first}, {"bytes", each.second}};
  }
  return types;
}

Json TokenizerJson(const ModelSource& source) {
  const auto tokenizer = TokenizerFromMetadata(source.metadata());
  if (!tokenizer) return {{"error", tokenizer.error().message}};
  const auto word = [&](std::string_view key) {
    return std::string(source.metadata().String(key, "").value_or(""));
  };
  Json json = {{"tokens", tokenizer->n_vocab()}};
  if (const std::string model = word("tokenizer.ggml.model"); !model.empty()) json["model"] = model;
  if (const std::string pre = word("tokenizer.ggml.pre"); !pre.empty()) json["pre"] = pre;
  json["bos"] = tokenizer->bos();
  json["end_of_generation"] = tokenizer->eog();
  json["chat_template"] =
      !word("tokenizer.chat_template").empty() ||
      word("kvasir.tokenizer_config_json").find("chat_template") != std::string::npos;
  return json;
}

Json CacheJson(const ModelConfig& config, int64_t room) {
  Json rows = Json::array();
  for (const char* type : kTypes) {
    const int64_t bytes = KvBytesAToken(config, *ParseFormat(type, config.head_dim));
    rows.push_back({{"kv_type", type},
                    {"bytes_a_token", bytes},
                    {"bytes_at_full_context", bytes * config.n_ctx_train},
                    {"tokens_that_fit", bytes > 0 ? std::max<int64_t>(room, 0) / bytes : 0}});
  }
  return rows;
}

Json ModelJson(const ModelSource& source, const ModelConfig& config) {
  int64_t n_params = 0;
  for (const TensorView& tensor : source.tensors()) n_params += tensor.n_values();
  int n_windowed = 0;
  for (const LayerConfig& layer : config.layers) n_windowed += layer.window > 0;
  const int64_t available = AvailableMemoryBytes();
  const auto weight_bytes = static_cast<int64_t>(source.n_bytes());
  return {{"path", source.path()},
          {"name", config.name},
          {"architecture", config.architecture},
          {"fingerprint", source.fingerprint()},
          {"parameters", n_params},
          {"layers", config.n_layers},
          {"hidden", config.hidden},
          {"q_heads", config.n_q_heads},
          {"kv_heads", config.n_kv_heads},
          {"head_dim", config.file_head_dim},
          {"ffn", config.ffn},
          {"vocabulary", config.n_vocab},
          {"context", config.n_ctx_train},
          {"layers_with_window", n_windowed},
          {"weight_bytes", weight_bytes},
          {"types", TypesJson(source)},
          {"tokenizer", TokenizerJson(source)},
          {"memory_available_bytes", available},
          {"kv", CacheJson(config, available - weight_bytes)}};
}

std::string ModelText(const Json& model) {
  const auto text = [&](const char* key) { return model[key].get<std::string>(); };
  const auto number = [&](const char* key) { return model[key].get<int64_t>(); };
  std::string out = fmt::format(
      "{}\n{}, architecture {}, {:.1f} M parameters, {} of weights\n"
      "{} layers ({} with a window), hidden {}, {} query and {} KV heads of {}, feed-forward {}\n"
      "trained for {} tokens, vocabulary {}\n",
      text("path"), text("name"), text("architecture"), number("parameters") / 1e6,
      BytesText(number("weight_bytes")), number("layers"), number("layers_with_window"),
      number("hidden"), number("q_heads"), number("kv_heads"), number("head_dim"), number("ffn"),
      number("context"), number("vocabulary"));
  out += "types:";
  for (const auto& [name, type] : model["types"].items()) {
    out += fmt::format("  {} x {} ({})", type["tensors"].get<int64_t>(), name,
                       BytesText(type["bytes"].get<int64_t>()));
  }
  out += fmt::format("\ntokenizer: {}\n\nmemory free: {}\n{:<10}{:>16}{:>22}{:>20}\n",
                     model["tokenizer"].dump(), BytesText(number("memory_available_bytes")),
                     "--kv-type", "KV a token", "KV at full context", "tokens that fit");
  for (const Json& row : model["kv"]) {
    out += fmt::format("{:<10}{:>16}{:>22}{:>20}\n", row["kv_type"].get<std::string>(),
                       BytesText(row["bytes_a_token"].get<int64_t>()),
                       BytesText(row["bytes_at_full_context"].get<int64_t>()),
                       row["tokens_that_fit"].get<int64_t>());
  }
  return out;
}

}  // namespace

Result<int> InspectModel(Context& context) {
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<ModelSource> source, OpenModelFile(context.args));
  KV_ASSIGN_OR_RETURN(const ModelConfig config, ReadConfig(*source));
  const Json model = ModelJson(*source, config);
  if (context.console.json()) {
    context.console.WriteJson(model);
  } else {
    context.console.Write(ModelText(model));
  }
  return kExitDone;
}

}  // namespace kvasir::cli
