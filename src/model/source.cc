#include "model/source.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "model/gguf.h"
#include "model/hf_model.h"
#include "model/source_builder.h"

namespace kvasir {
namespace {

constexpr size_t kSampleBytes = 512;  // from each of three places of a tensor

// Feeds self-delimiting pieces to one xxh3 state: a length goes before every text.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    KV_CHECK(state_ != nullptr);
    XXH3_128bits_reset(state_.get());
  }
  void Bytes(const void* data, size_t n) { XXH3_128bits_update(state_.get(), data, n); }
  void Number(uint64_t n) { Bytes(&n, sizeof n); }
  void Text(std::string_view text) {
    Number(text.size());
    Bytes(text.data(), text.size());
  }
  std::string Hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

struct HashValue {
  Hasher& hasher;
  void operator()(bool value) const { hasher.Number(value); }
  void operator()(int64_t value) const { hasher.Number(static_cast<uint64_t>(value)); }
  void operator()(uint64_t value) const { hasher.Number(value); }
  void operator()(double value) const { hasher.Number(std::bit_cast<uint64_t>(value)); }
  void operator()(const std::string& value) const { hasher.Text(value); }
  void operator()(const std::vector<std::string>& values) const {
    hasher.Number(values.size());
    for (const std::string& value : values) hasher.Text(value);
  }
  template <class T>
  void operator()(const std::vector<T>& values) const {
    hasher.Number(values.size());
    hasher.Bytes(values.data(), values.size() * sizeof(T));
  }
};

void HashTensor(const TensorView& tensor, Hasher& hasher) {
  hasher.Text(tensor.name);
  hasher.Number(static_cast<uint64_t>(tensor.type));
  hasher.Number(static_cast<uint64_t>(tensor.rank));
  for (const int64_t dim : tensor.shape) hasher.Number(static_cast<uint64_t>(dim));
  if (tensor.n_bytes <= 3 * kSampleBytes) return hasher.Bytes(tensor.data, tensor.n_bytes);
  const size_t last = tensor.n_bytes - kSampleBytes;
  for (const size_t at : {size_t{0}, last / 2, last}) hasher.Bytes(tensor.data + at, kSampleBytes);
}

}  // namespace

const TensorView* ModelSource::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

Result<const TensorView*> ModelSource::Tensor(std::string_view name) const {
  if (const TensorView* tensor = Find(name)) return tensor;
  return Fail("{}: no tensor '{}' among its {} tensors", path_, name, tensors_.size());
}

void ModelSource::Release(const TensorView& tensor) const {
  for (const MappedFile& file : mapped_) file.Release(tensor.data, tensor.n_bytes);
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (text.size() > kShown ? "...'" : "'");
}

SourceBuilder::SourceBuilder(std::string path) : source_(new ModelSource) {
  source_->path_ = std::move(path);
}

Result<std::span<const std::byte>> SourceBuilder::Map(const std::string& path) {
  KV_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  source_->files_.push_back(path);
  source_->mapped_.push_back(std::move(file));
  return source_->mapped_.back().bytes();
}

std::byte* SourceBuilder::Own(size_t n_bytes) {
  return source_->owned_.emplace_back(n_bytes).data();
}

Status SourceBuilder::Add(TensorView tensor) {
  const auto [it, is_new] = source_->by_name_.emplace(tensor.name, source_->tensors_.size());
  if (!is_new) return Fail("tensor {} is there twice", Quoted(tensor.name));
  source_->n_bytes_ += tensor.n_bytes;
  source_->tensors_.push_back(std::move(tensor));
  return {};
}

std::unique_ptr<ModelSource> SourceBuilder::Finish() && {
  Hasher hasher;
  for (const auto& [key, value] : source_->metadata_.values()) {
    hasher.Text(key);
    hasher.Number(value.index());
    std::visit(HashValue{hasher}, value);
  }
  // By name: how tensors are spread over files does not matter.
  for (const auto& [name, index] : source_->by_name_) HashTensor(source_->tensors_[index], hasher);
  source_->fingerprint_ = hasher.Hex();
  return std::move(source_);
}

Status SetShape(TensorView& tensor, TensorType type, std::span<const uint64_t> dims,
                std::string_view what) {
  if (dims.empty() || dims.size() > 4) {
    return Fail("{} has {} dimensions; 1 to 4 are possible", what, dims.size());
  }
  constexpr uint64_t kMaxBytes = uint64_t{1} << 60;  // keeps every product below in 64 bits
  const TensorTypeInfo& info = InfoOf(type);
  const uint64_t max_values = kMaxBytes / static_cast<uint64_t>(info.block_bytes);
  uint64_t n_values = 1;
  for (size_t r = 0; r < dims.size(); ++r) {
    if (dims[r] == 0) return Fail("{} has an empty dimension {}", what, r);
    if (dims[r] > max_values / n_values) {
      return Fail("{} has dimensions whose product is impossibly large", what);
    }
    n_values *= dims[r];
    tensor.shape[r] = static_cast<int64_t>(dims[r]);
  }
  const uint64_t block = static_cast<uint64_t>(info.block_values);
  if (dims.back() % block != 0) {
    return Fail("{} has rows of {} values; type {} needs a multiple of {}", what, dims.back(),
                info.name, block);
  }
  tensor.type = type;
  tensor.rank = static_cast<int>(dims.size());
  tensor.n_bytes = n_values / block * static_cast<uint64_t>(info.block_bytes);
  return {};
}

Result<std::unique_ptr<ModelSource>> OpenModel(const std::string& path) {
  struct stat info;
  const bool is_folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  return is_folder ? OpenHfModel(path) : OpenGguf(path);
}

}  // namespace kvasir
