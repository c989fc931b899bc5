// Normalizer: what is done to plain text before it is cut into pieces. Immutable; serves all
// threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/tokenizer/chars_map.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/tokenizer_data.h"

namespace kvasir {

class Normalizer {
 public:
  static Result<Normalizer> Make(const std::vector<NormalizerStep>& steps);

  bool is_identity() const { return steps_.empty(); }
  // `first`: the fragment is the start of what is encoded.
  std::string Apply(std::string_view fragment, bool first) const;
  // The character that the fragment starts with becomes nothing.
  bool TakesStart(std::string_view fragment) const;

 private:
  struct Step {
    NormalizerStep step;
    Regex regex;   // of kReplaceRegex
    CharsMap map;  // of kCharsMap
  };
  static void Do(const Step& step, bool first, std::string& text);

  std::vector<Step> steps_;
};

}  // namespace kvasir
