#include "model/hf_model.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "model/hf_config.h"
#include "model/hf_tensors.h"
#include "model/json_file.h"
#include "model/json_reader.h"
#include "model/safetensors.h"
#include "model/source_builder.h"
#include "model/template_tokens.h"

namespace kvasir {
namespace {

constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxIndexBytes = size_t{32} << 20;
constexpr size_t kMaxTokenizerBytes = size_t{128} << 20;

std::string Join(const std::string& folder, std::string_view name) {
  return fmt::format("{}{}{}", folder, folder.ends_with('/') ? "" : "/", name);
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// A file's name in the index must stay in the folder.
bool IsPlainName(std::string_view name) {
  return name.ends_with(".safetensors") && !name.starts_with('.') &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

// Tensor name -> file name.
Result<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const Json root, ReadJsonObject(path, kMaxIndexBytes));
  const JsonReader reader(root, path);
  KV_ASSIGN_OR_RETURN(const std::optional<JsonReader> map, reader.Object("weight_map"));
  if (!map) return Fail("{}: 'weight_map' is missing", path);
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : root["weight_map"].items()) {
    const std::string* name = file.get_ptr<const std::string*>();
    if (name == nullptr || !IsPlainName(*name)) {
      return Fail(
          "{}: weight_map of {} is {}; it must be the name of a .safetensors file in the "
          "same folder",
          path, Quoted(tensor), Quoted(file.dump()));
    }
    files.emplace(tensor, *name);
  }
  return files;
}

// The safetensors files of a folder. `index` is filled where there is one.
Result<std::set<std::string>> FindShards(const std::string& folder,
                                         std::map<std::string, std::string>& index) {
  const std::string index_path = Join(folder, "model.safetensors.index.json");
  if (Exists(Join(folder, "model.safetensors"))) return std::set<std::string>{"model.safetensors"};
  std::set<std::string> shards;
  if (Exists(index_path)) {
    KV_ASSIGN_OR_RETURN(index, ReadIndex(index_path));
    for (const auto& [tensor, file] : index) shards.insert(file);
    return shards;
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (IsPlainName(name)) shards.insert(name);
  }
  if (error) return Fail("{}: cannot be listed: {}", folder, error.message());
  if (shards.size() == 1) return shards;
  return Fail(
      "{}: {} .safetensors files, and neither model.safetensors nor "
      "model.safetensors.index.json",
      folder, shards.size());
}

Status AddWeights(SourceBuilder& builder, const std::string& folder, const HfConfig& config) {
  std::map<std::string, std::string> index;
  KV_ASSIGN_OR_RETURN(const std::set<std::string> shards, FindShards(folder, index));
  std::set<std::string> seen;
  for (const std::string& shard : shards) {
    const std::string path = Join(folder, shard);
    KV_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, builder.Map(path));
    KV_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries, ParseSafetensors(bytes, path));
    for (const SafetensorsEntry& entry : entries) {
      const auto listed = index.find(entry.name);
      if (listed != index.end() && listed->second == shard) seen.insert(entry.name);
      const Status added = AddHfTensor(builder, entry, config);
      if (!added) return Fail("{}: {}", path, added.error().message);
    }
  }
  for (const auto& [tensor, file] : index) {
    if (!seen.contains(tensor)) {
      return Fail("{}: has no tensor {}, which model.safetensors.index.json puts there",
                  Join(folder, file), Quoted(tensor));
    }
  }
  return AddRopeFactors(builder, config.rope_factors);
}

// chat_template of tokenizer_config.json: a text, or a list of named ones.
Status SetChatTemplates(const JsonReader& config, Metadata& metadata) {
  const Json* found = config.Find("chat_template");
  if (found == nullptr) return {};
  if (!found->is_array()) {
    KV_ASSIGN_OR_RETURN(auto text, config.String("chat_template"));
    metadata.Set("tokenizer.chat_template", std::move(*text));
    return {};
  }
  std::vector<std::string> names;
  for (const Json& item : *found) {
    const Json empty = Json::object();
    const JsonReader entry(item.is_object() ? item : empty, config.where() + ": chat_template");
    KV_ASSIGN_OR_RETURN(auto name, entry.String("name"));
    KV_ASSIGN_OR_RETURN(auto text, entry.String("template"));
    if (!name || !text) return Fail("{}: each must have a name and a template", entry.where());
    if (*name == "default") {
      metadata.Set("tokenizer.chat_template", std::move(*text));
    } else {
      metadata.Set("tokenizer.chat_template." + *name, std::move(*text));
      names.push_back(std::move(*name));
    }
  }
  if (!names.empty()) metadata.Set("tokenizer.chat_templates", std::move(names));
  return {};
}

Status AddTokenizer(const std::string& folder, Metadata& metadata) {
  const std::string path = Join(folder, "tokenizer.json");
  KV_ASSIGN_OR_RETURN(std::string text, ReadText(path, kMaxTokenizerBytes));
  metadata.Set("kvasir.tokenizer_json", std::move(text));

  const std::string config_path = Join(folder, "tokenizer_config.json");
  if (Exists(config_path)) {
    KV_ASSIGN_OR_RETURN(text, ReadText(config_path, kMaxTokenizerBytes));
    KV_ASSIGN_OR_RETURN(const Json root, ParseJsonObject(text, config_path));
    const JsonReader reader(root, config_path);
    metadata.Set("kvasir.tokenizer_config_json", std::move(text));
    KV_RETURN_IF_ERROR(SetChatTemplates(reader, metadata));
    KV_RETURN_IF_ERROR(SetTemplateTokens(reader, metadata));
    for (const std::string_view key : {"add_bos_token", "add_eos_token"}) {
      KV_ASSIGN_OR_RETURN(const auto value, reader.Bool(key));
      if (value) metadata.Set(fmt::format("tokenizer.ggml.{}", key), *value);
    }
  }
  // Newer folders keep the template in a file of its own, which then wins over all older ones.
  const std::string template_path = Join(folder, "chat_template.jinja");
  if (Exists(template_path)) {
    KV_ASSIGN_OR_RETURN(text, ReadText(template_path, kMaxConfigBytes));
    std::vector<std::string> older;
    for (const auto& [key, value] : metadata.values()) {
      if (key.starts_with("tokenizer.chat_template")) older.push_back(key);
    }
    for (const std::string& key : older) metadata.Erase(key);
    metadata.Set("tokenizer.chat_template", std::move(text));
  }
  return {};
}

// bos, eos, pad: numbers, or for eos a list of them. `reader` is a later file, and wins.
Status SetSpecialIds(const JsonReader& reader, Metadata& metadata) {
  constexpr int64_t kMaxId = int64_t{1} << 31;
  for (const auto& [theirs, ours] :
       {std::pair("bos_token_id", "bos_token_id"), std::pair("eos_token_id", "eos_token_id"),
        std::pair("pad_token_id", "padding_token_id")}) {
    const Json* found = reader.Find(theirs);
    if (found == nullptr) continue;
    std::vector<int64_t> ids;
    if (found->is_array()) {
      for (const Json& item : *found) {
        const Json single = {{theirs, item}};
        KV_ASSIGN_OR_RETURN(const auto id,
                            JsonReader(single, reader.where()).Int(theirs, -1, kMaxId));
        if (id.value_or(-1) >= 0) ids.push_back(*id);
      }
    } else {
      KV_ASSIGN_OR_RETURN(const auto id, reader.Int(theirs, -1, kMaxId));
      if (*id >= 0) ids.push_back(*id);  // -1: older files' way to write none
    }
    if (ids.empty()) continue;
    metadata.Set(fmt::format("tokenizer.ggml.{}", ours), ids[0]);
    if (std::string_view(theirs) == "eos_token_id") metadata.Set("kvasir.eos_token_ids", ids);
  }
  return {};
}

// What the model's makers advise for sampling.
Status SetSampling(const JsonReader& reader, Metadata& metadata) {
  for (const auto& [theirs, ours] :
       {std::pair("temperature", "temp"), std::pair("top_p", "top_p"), std::pair("min_p", "min_p"),
        std::pair("repetition_penalty", "penalty_repeat")}) {
    KV_ASSIGN_OR_RETURN(const auto value, reader.Number(theirs));
    if (value) metadata.Set(fmt::format("general.sampling.{}", ours), *value);
  }
  KV_ASSIGN_OR_RETURN(const auto top_k, reader.Int("top_k", 0, int64_t{1} << 31));
  if (top_k) metadata.Set("general.sampling.top_k", *top_k);
  return {};
}

}  // namespace

Result<std::unique_ptr<ModelSource>> OpenHfModel(const std::string& folder) {
  SourceBuilder builder(folder);
  Metadata& metadata = builder.metadata();
  const std::string config_path = Join(folder, "config.json");
  KV_ASSIGN_OR_RETURN(const Json root, ReadJsonObject(config_path, kMaxConfigBytes));
  KV_ASSIGN_OR_RETURN(const HfConfig config, TranslateConfig(root, config_path, metadata));
  KV_RETURN_IF_ERROR(SetSpecialIds(JsonReader(root, config_path), metadata));
  const std::string generation_path = Join(folder, "generation_config.json");
  if (Exists(generation_path)) {
    KV_ASSIGN_OR_RETURN(const Json generation, ReadJsonObject(generation_path, kMaxConfigBytes));
    const JsonReader reader(generation, generation_path);
    KV_RETURN_IF_ERROR(SetSpecialIds(reader, metadata));
    KV_RETURN_IF_ERROR(SetSampling(reader, metadata));
  }
  KV_RETURN_IF_ERROR(AddTokenizer(folder, metadata));
  metadata.Set("kvasir.format", "hf");
  metadata.Set("kvasir.rope.neox", true);
  KV_RETURN_IF_ERROR(AddWeights(builder, folder, config));
  std::unique_ptr<ModelSource> source = std::move(builder).Finish();
  if (!config.tied_embeddings && source->Find("output.weight") == nullptr) {
    return Fail("{}: no tensor 'lm_head.weight', although tie_word_embeddings is false", folder);
  }
  return source;
}

}  // namespace kvasir
