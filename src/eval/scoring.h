// Scores of answers, each as its benchmark defines it; all 0 … 1.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::eval {

using Answers = std::span<const std::string>;

// RULER: blanks around are cut, control characters become new lines.
std::string CleanPrediction(std::string_view text);
// Share of the answers that the prediction contains, case-blind.
double StringMatchAll(std::string_view prediction, Answers answers);
// 1 where it contains any of them.
double StringMatchPart(std::string_view prediction, Answers answers);
// The first run of digits is the answer (InfiniteBench passkey, number string).
double FirstDigits(std::string_view prediction, Answers answers);
// The answer is one of the words, punctuation of JSON taken off (InfiniteBench KV).
double ContainsWord(std::string_view prediction, Answers answers);

std::string LowerAscii(std::string_view text);
std::string_view TrimBlanks(std::string_view text);

}  // namespace kvasir::eval
