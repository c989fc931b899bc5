#include "engine/side_file_io.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/byte_stream.h"
#include "engine/cache_folder.h"
#include "model/mapped_file.h"
#include "model/safetensors.h"

namespace kvasir {
namespace {

constexpr std::string_view kFormat = "kvasir-side-file", kVersion = "1";

// Takes a text out of the metadata.
Result<std::string> Take(std::map<std::string, std::string>& metadata, const std::string& key,
                         const std::string& path) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) {
    return Fail("{}: not a side file: its metadata has no '{}'", path, key);
  }
  std::string text = std::move(found->second);
  metadata.erase(found);
  return text;
}

Result<SideTensor> ReadTensor(const SafetensorsEntry& entry, const std::string& path) {
  if (entry.dtype != "F32") {
    return Fail("{}: tensor '{}' is {}; side files hold F32", path, entry.name, entry.dtype);
  }
  SideTensor tensor;
  tensor.shape.assign(entry.shape.begin(), entry.shape.end());
  tensor.values.resize(entry.data.size() / sizeof(float));
  std::memcpy(tensor.values.data(), entry.data.data(), entry.data.size());
  const auto bad = std::find_if(tensor.values.begin(), tensor.values.end(),
                                [](float x) { return !std::isfinite(x); });
  if (bad != tensor.values.end()) {
    return Fail("{}: tensor '{}': number {} is {}, not finite", path, entry.name,
                bad - tensor.values.begin(), *bad);
  }
  return tensor;
}

}  // namespace

std::string DefaultSideFilePath(const std::string& kind, const std::string& fingerprint) {
  return fmt::format("{}/side/{}-{}.safetensors", CacheFolder(), kind, fingerprint);
}

Result<SideFile> LoadSideFile(const SideFileWish& wish, const std::string& fingerprint) {
  const bool by_default = wish.path == "auto";
  const std::string path = by_default ? DefaultSideFilePath(wish.kind, fingerprint) : wish.path;
  if (!std::filesystem::exists(path)) {
    return Fail("{} is not there: {} writes one for this model", path, wish.how);
  }
  KV_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  KV_ASSIGN_OR_RETURN(auto metadata, SafetensorsMetadata(file.bytes(), path));
  KV_ASSIGN_OR_RETURN(const std::string format, Take(metadata, "format", path));
  KV_ASSIGN_OR_RETURN(const std::string version, Take(metadata, "version", path));
  SideFile side{.path = path, .kind = {}, .model = {}, .notes = {}, .tensors = {}};
  KV_ASSIGN_OR_RETURN(side.kind, Take(metadata, "kind", path));
  KV_ASSIGN_OR_RETURN(side.model, Take(metadata, "model", path));
  if (format != kFormat || version != kVersion) {
    return Fail("{}: a file of format '{}' version {}; this Kvasir reads '{}' version {}", path,
                format, version, kFormat, kVersion);
  }
  if (side.kind != wish.kind) {
    return Fail("{}: it holds '{}', where '{}' is needed: {} writes that", path, side.kind,
                wish.kind, wish.how);
  }
  if (side.model != fingerprint) {
    return Fail("{}: made for another model (fingerprint {}, this one is {}): {} writes one for it",
                path, side.model, fingerprint, wish.how);
  }
  KV_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries,
                      ParseSafetensors(file.bytes(), path));
  for (const SafetensorsEntry& entry : entries) {
    KV_ASSIGN_OR_RETURN(SideTensor tensor, ReadTensor(entry, path));
    side.tensors.emplace(entry.name, std::move(tensor));
  }
  side.notes = std::move(metadata);
  return side;
}

Status WriteSideFile(const SideFile& file) {
  nlohmann::ordered_json header;
  nlohmann::ordered_json& metadata = header["__metadata__"];
  metadata = {
      {"format", kFormat}, {"version", kVersion}, {"kind", file.kind}, {"model", file.model}};
  for (const auto& [key, text] : file.notes) metadata[key] = text;
  int64_t n_bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const auto size = static_cast<int64_t>(tensor.values.size() * sizeof(float));
    header[name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {n_bytes, n_bytes + size}}};
    n_bytes += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of 8 bytes
  if (file.path == DefaultSideFilePath(file.kind, file.model)) {
    std::error_code ignored;  // the writer's own error says more
    std::filesystem::create_directories(std::filesystem::path(file.path).parent_path(), ignored);
  }
  KV_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Create(file.path));
  writer.Text(text);  // a 64-bit length and the bytes, as safetensors has it
  for (const auto& [name, tensor] : file.tensors) {
    writer.Bytes(tensor.values.data(), tensor.values.size() * sizeof(float));
  }
  return writer.CommitPlain();
}

}  // namespace kvasir
