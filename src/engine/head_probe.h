// Texts in which heads show whether they fetch things from far away, and the tokens to look at:
// each has an earlier copy, and what the head gives to the copy and to what followed it is counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/loaded_model.h"

namespace kvasir {

struct Copy {
  int64_t row = 0, copy = 0;  // places in the text of a token and of an earlier copy of it
};

struct HeadProbe {
  std::vector<int32_t> tokens;
  std::vector<Copy> copies;
  int64_t reach = 1;                         // tokens after a copy that count as what followed it
  std::map<std::string, std::string> notes;  // for the side file
  std::string about;                         // for people
};

// All pairs of a token and an earlier copy in a block of different tokens that is repeated, where
// the first block begins at `first`.
std::vector<Copy> CopiesInBlocks(int64_t first, int64_t block, int64_t repeats);

// A block of random tokens, repeated: RazorAttention's (arXiv 2407.15891, algorithm 1). Shorter
// than asked where the vocabulary is smaller.
HeadProbe RepeatedBlock(const LoadedModel& model, int64_t block, int64_t repeats, uint64_t seed);

// A text of about n tokens with four random numbers, of which one is asked for and said: RULER's
// `niah_multikey_1` (arXiv 2404.06654) with the answer forced. Heads that a model calls for looking
// something up need not be those that go on with a repeated text. A token of the number may be read
// at any of the 16 tokens after its copy, as layers below move what they find.
Result<HeadProbe> PlantedNumber(const LoadedModel& model, int64_t n_tokens, uint64_t seed);

}  // namespace kvasir
