// PreTokenizer: cuts a text into the pieces within which tokens are sought. Immutable; serves all
// threads.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/tokenizer_data.h"

namespace kvasir {

// A text and where its pieces end (ascending, the last one at text.size()); no piece is empty.
struct SplitText {
  std::string text;
  std::vector<size_t> ends;
  bool start_is_gone = false;  // what the text started with was removed
};

class PreTokenizer {
 public:
  static Result<PreTokenizer> Make(const std::vector<PreTokenizerStep>& steps);

  // Bytes that are no UTF-8 are kept, each as if it were a control character. `first`: the text
  // is the start of what is encoded. False where a pattern gave up: what it did not reach of a
  // piece is left in one piece.
  bool Split(SplitText& split, bool first) const;

 private:
  struct Step {
    PreTokenizerStep step;
    Regex regex;  // of kSplit
  };
  std::vector<Step> steps_;
};

// How GGUF's tokenizer.ggml.pre cuts, and what else that name implies.
struct NamedPreTokenizer {
  std::vector<PreTokenizerStep> steps;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

// An unknown name is an error that lists the known ones.
Result<NamedPreTokenizer> FindPreTokenizer(std::string_view name);

// GPT-2's pattern, which tokenizer.json calls ByteLevel(use_regex).
std::string_view Gpt2Pattern();

}  // namespace kvasir
