// SourceBuilder: what the readers of file formats fill; turns into a ModelSource at the end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/source.h"

namespace kvasir {

// Text of a file for an error message: quoted, without control characters, at most 80 bytes of it.
std::string Quoted(std::string_view text);

class SourceBuilder {
 public:
  explicit SourceBuilder(std::string path);

  // Maps a file for the life of the source. The span stays valid.
  Result<std::span<const std::byte>> Map(const std::string& path);
  // Memory of the source's own, for tensors that are converted.
  std::byte* Own(size_t n_bytes);

  Metadata& metadata() { return source_->metadata_; }
  std::span<const TensorView> tensors() const { return source_->tensors_; }
  // An error when the name is taken.
  Status Add(TensorView tensor);

  // Computes the fingerprint. The builder is spent.
  std::unique_ptr<ModelSource> Finish() &&;

 private:
  std::unique_ptr<ModelSource> source_;
};

// Shape and type to bytes, checked: `dims` outermost first, 1 to 4 of them, each at least 1, rows
// whole blocks, no product overflows. Fills type, rank, shape and n_bytes; `what` names the tensor.
Status SetShape(TensorView& tensor, TensorType type, std::span<const uint64_t> dims,
                std::string_view what);

}  // namespace kvasir
