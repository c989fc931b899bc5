// A model from its GGUF file or shards.
#include <algorithm>
#include <utility>

#include "model/gguf.h"
#include "model/source_builder.h"

namespace kvasir {
namespace {

// The same result, with the file's name in front of an error.
template <class T>
Result<T> In(const std::string& path, Result<T> result) {
  if (!result) return Fail("{}: {}", path, result.error().message);
  return result;
}

// "model-00001-of-00003.gguf" in parts, to name the other shards.
struct ShardName {
  std::string prefix;  // "model"
  std::string Of(int64_t shard, int64_t n_shards) const {
    return fmt::format("{}-{:05d}-of-{:05d}.gguf", prefix, shard + 1, n_shards);
  }
};

Result<ShardName> ParseShardName(const std::string& path, int64_t n_shards) {
  const std::string suffix = ShardName{}.Of(0, n_shards);
  if (path.ends_with(suffix)) return ShardName{path.substr(0, path.size() - suffix.size())};
  return Fail("{}: the first of {} shards; its name must end in {}", path, n_shards, suffix);
}

// Opens one shard and checks that it is number `shard` of `n_shards`.
Result<GgufFile> OpenShard(SourceBuilder& builder, const std::string& path, int64_t shard,
                           int64_t n_shards) {
  KV_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, builder.Map(path));
  KV_ASSIGN_OR_RETURN(GgufFile file, ParseGguf(bytes, path));
  KV_ASSIGN_OR_RETURN(const int64_t number, In(path, file.metadata.I64("split.no")));
  KV_ASSIGN_OR_RETURN(const int64_t count, In(path, file.metadata.I64("split.count")));
  if (number == shard && count == n_shards) return file;
  return Fail("{}: has split.no {} and split.count {}; expected {} and {}", path, number, count,
              shard, n_shards);
}

Status AddTensors(SourceBuilder& builder, std::vector<TensorView> tensors,
                  const std::string& path) {
  for (TensorView& tensor : tensors) {
    KV_RETURN_IF_ERROR(In(path, builder.Add(std::move(tensor))));
  }
  return {};
}

// The shards after the first one.
Status AddShards(SourceBuilder& builder, const Metadata& first, const std::string& path) {
  KV_ASSIGN_OR_RETURN(const int64_t number, In(path, first.I64("split.no", 0)));
  KV_ASSIGN_OR_RETURN(const int64_t n_shards, In(path, first.I64("split.count", 1)));
  if (n_shards < 1 || n_shards > 99999) {
    return Fail("{}: split.count is {}; 1 to 99999 are possible", path, n_shards);
  }
  if (number != 0) {
    return Fail("{}: not the first of {} shards (split.no is {}); open the first, which names all",
                path, n_shards, number);
  }
  if (n_shards > 1) {
    KV_ASSIGN_OR_RETURN(const ShardName name, ParseShardName(path, n_shards));
    for (int64_t shard = 1; shard < n_shards; ++shard) {
      const std::string shard_path = name.Of(shard, n_shards);
      KV_ASSIGN_OR_RETURN(GgufFile file, OpenShard(builder, shard_path, shard, n_shards));
      KV_RETURN_IF_ERROR(AddTensors(builder, std::move(file.tensors), shard_path));
    }
  }
  const int64_t n_tensors = static_cast<int64_t>(builder.tensors().size());
  KV_ASSIGN_OR_RETURN(const int64_t expected,
                      In(path, first.I64("split.tensors.count", n_tensors)));
  if (expected == n_tensors) return {};
  return Fail("{}: split.tensors.count is {}, but the shards hold {} tensors", path, expected,
              n_tensors);
}

// Architectures whose q and k rows are stored for the rotation of neighbours (2i, 2i + 1).
bool RotatesNeighbours(std::string_view architecture) {
  static constexpr std::string_view kNames[] = {
      "llama",     "llama4",  "mistral3", "deci",    "baichuan", "internlm2", "minicpm",  "xverse",
      "command-r", "cohere2", "olmo",     "granite", "smollm3",  "deepseek",  "deepseek2"};
  return std::ranges::find(kNames, architecture) != std::end(kNames);
}

}  // namespace

Result<std::unique_ptr<ModelSource>> OpenGguf(const std::string& path) {
  SourceBuilder builder(path);
  KV_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, builder.Map(path));
  KV_ASSIGN_OR_RETURN(GgufFile file, ParseGguf(bytes, path));
  KV_RETURN_IF_ERROR(AddTensors(builder, std::move(file.tensors), path));
  KV_RETURN_IF_ERROR(AddShards(builder, file.metadata, path));

  Metadata& metadata = builder.metadata();
  metadata = std::move(file.metadata);
  // How a model was split is no property of the model: it has the fingerprint of the whole.
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) metadata.Erase(key);
  KV_ASSIGN_OR_RETURN(const std::string_view architecture,
                      In(path, metadata.String("general.architecture", "")));
  const bool is_neox = !RotatesNeighbours(architecture);
  metadata.Set("kvasir.format", "gguf");
  metadata.Set("kvasir.rope.neox", is_neox);
  // Phi-3's converter writes the factors of longrope without the type they belong to.
  const std::string type_key = fmt::format("{}.rope.scaling.type", architecture);
  const bool has_factors = std::ranges::find(builder.tensors(), "rope_factors_long.weight",
                                             &TensorView::name) != builder.tensors().end();
  if (has_factors && !metadata.Has(type_key)) metadata.Set(type_key, "longrope");
  return std::move(builder).Finish();
}

}  // namespace kvasir
