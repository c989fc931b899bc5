// Which tokens end a generation.
#pragma once

#include <cstdint>
#include <vector>

#include "model/tokenizer/tokenizer_data.h"

namespace kvasir {

// Ids of eos, eot, eom, more_eog and of the pieces that other engines know as ends by their
// spelling. Those known by spelling become control tokens in `data`: some files forget to say so.
// REQUIRES: ids are checked. Ascending.
std::vector<int32_t> FindEndOfGeneration(TokenizerData& data);

}  // namespace kvasir
