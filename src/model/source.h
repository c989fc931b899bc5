// ModelSource: a model's metadata and tensors, whatever files they came from (GGUF, split GGUF, a
// Hugging Face folder), always with GGUF's keys and GGUF's tensor names. Tensors are memory-mapped.
//
// Keys of our own, beside GGUF's:
//   kvasir.format                 "gguf" or "hf"
//   kvasir.rope.neox              bool, always set: dims i and i + d/2 rotate together (else 2i and
//                                 2i + 1)
//   kvasir.rope.attention_factor  YaRN's factor of cosines and sines as it is (GGUF's attn_factor
//                                 multiplies the usual one)
//   kvasir.rope.yarn_truncate     false: the ends of YaRN's ramp are not rounded to dimensions
//   kvasir.layer_windows          integers, the sliding window of each layer (0: sees all), where
//                                 GGUF's keys cannot say it
//   kvasir.template.bos_token …   what tokenizer_config.json says of a token; empty: there is none
//   kvasir.tokenizer_json         text of tokenizer.json (HF folders only)
//   kvasir.tokenizer_config_json  text of tokenizer_config.json (HF folders only)
//
// Immutable after it is opened; any number of threads may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "kernels/tensor_type.h"
#include "model/mapped_file.h"
#include "model/metadata.h"

namespace kvasir {

// A tensor as the file holds it. Valid as long as its source.
struct TensorView {
  std::string name;
  TensorType type = TensorType::kF32;
  int rank = 1;
  int64_t shape[4] = {1, 1, 1, 1};  // outermost first; shape[rank - 1] values are contiguous
  const std::byte* data = nullptr;
  size_t n_bytes = 0;

  int64_t n_values() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
  int64_t n_cols() const { return shape[rank - 1]; }  // values a row
  int64_t n_rows() const { return n_values() / n_cols(); }
  WeightRef weights() const { return {type, n_rows(), n_cols(), data}; }
};

class ModelSource {
 public:
  ModelSource(ModelSource&&) = default;
  ModelSource& operator=(ModelSource&&) = default;

  const Metadata& metadata() const { return metadata_; }
  std::span<const TensorView> tensors() const { return tensors_; }  // in the order of the file
  // Null: no such tensor.
  const TensorView* Find(std::string_view name) const;
  // An error that names the tensor and the files.
  Result<const TensorView*> Tensor(std::string_view name) const;

  const std::string& path() const { return path_; }  // as it was given to OpenModel
  const std::vector<std::string>& files() const { return files_; }
  // 32 hex digits over metadata, tensor table and sampled bytes of every tensor: equal for equal
  // models, whatever their path.
  const std::string& fingerprint() const { return fingerprint_; }
  size_t n_bytes() const { return n_bytes_; }  // of all tensors

  // Tells the system that a tensor's pages are no longer needed in memory (it has been repacked).
  // Reading them again stays correct and goes back to the file.
  void Release(const TensorView& tensor) const;

 private:
  friend class SourceBuilder;
  ModelSource() = default;

  std::string path_;
  std::vector<std::string> files_;
  std::vector<MappedFile> mapped_;
  std::vector<Buffer> owned_;  // bytes of converted tensors
  Metadata metadata_;
  std::vector<TensorView> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::string fingerprint_;
  size_t n_bytes_ = 0;
};

// Opens a GGUF file, the first shard of a split one (name-00001-of-000NN.gguf), or a folder with
// config.json and *.safetensors.
Result<std::unique_ptr<ModelSource>> OpenModel(const std::string& path);

}  // namespace kvasir
