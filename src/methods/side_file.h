// Side files: what a method needs that was measured or trained for one model (RazorAttention's
// retrieval heads, TRIM-KV's gates). A side file is a safetensors file of F32 tensors whose
// "__metadata__" holds
//   format   "kvasir-side-file"
//   version  "1"
//   kind     whose it is, e.g. "razor-heads"
//   model    the model's fingerprint
// and notes of whoever made it (settings, seeds). The engine reads it, refuses another kind,
// another model's file, damaged files and numbers that are not finite, and hands it to the method
// before the first token (Method::Bind).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct SideTensor {
  std::vector<int64_t> shape;  // outermost first
  std::vector<float> values;   // row-major
};

struct SideFile {
  std::string path, kind, model;  // model: its fingerprint
  std::map<std::string, std::string> notes;
  std::map<std::string, SideTensor, std::less<>> tensors;

  // An error that names file and tensor where it is not there, or of another shape.
  Result<const SideTensor*> Tensor(std::string_view name,
                                   std::initializer_list<int64_t> shape) const;
};

// What a method asks for.
struct SideFileWish {
  std::string path;  // "auto": where the engine keeps this kind for this model
  std::string kind;
  std::string how;  // the command that writes one, for the error
};

}  // namespace kvasir
