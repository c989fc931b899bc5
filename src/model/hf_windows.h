// Sliding windows of config.json, put into GGUF's words where those can say them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/hf_config.h"
#include "model/json_reader.h"
#include "model/metadata.h"

namespace kvasir {

// Sets "<architecture>.attention.sliding_window" where layers follow the family's own pattern, else
// also "kvasir.layer_windows", the window of each.
Status TranslateWindows(const JsonReader& config, const HfFamily& family, int64_t n_layers,
                        Metadata& metadata);

}  // namespace kvasir
