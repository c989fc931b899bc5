#include "model/hf_model.h"

namespace kvasir {

Result<std::unique_ptr<ModelSource>> OpenHfModel(const std::string& folder) {
  return Fail("{}: Hugging Face folders cannot be read yet", folder);
}

}  // namespace kvasir
