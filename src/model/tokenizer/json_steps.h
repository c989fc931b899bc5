// The parts of tokenizer.json that are chains of steps: normaliser, pre-tokenizer, decoder.
#pragma once

#include "base/result.h"
#include "model/tokenizer/json_access.h"
#include "model/tokenizer/tokenizer_data.h"

namespace kvasir {

// `step` may be null; each appends to its part of `data`.
Status ReadNormalizer(const Json& step, TokenizerData& data);
// Sets the kind to kByteLevelBpe where a ByteLevel step is found. REQUIRES: the kind is set.
Status ReadPreTokenizer(const Json& step, TokenizerData& data);
Status ReadDecoder(const Json& step, TokenizerData& data);

}  // namespace kvasir
