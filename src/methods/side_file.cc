#include "methods/side_file.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace kvasir {

Result<const SideTensor*> SideFile::Tensor(std::string_view name,
                                           std::initializer_list<int64_t> shape) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return Fail("{}: it has no tensor '{}'", path, name);
  const SideTensor& tensor = found->second;
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), shape.begin(), shape.end())) {
    return Fail("{}: tensor '{}' is of shape [{}]; this model needs [{}]", path, name,
                fmt::join(tensor.shape, ", "), fmt::join(shape, ", "));
  }
  return &tensor;
}

}  // namespace kvasir
