// The rules by which InfiniteBench and SCBench judge an answer: a name for reports, and the score.
#pragma once

#include <string_view>

#include "base/result.h"
#include "eval/records.h"
#include "eval/sample.h"
#include "eval/scoring.h"

namespace kvasir::eval {

enum class Rule : uint8_t {
  kFirstDigits,
  kWord,
  kFirstNumber,
  kLastNumber,
  kChoice,
  kF1,
  kF1Zh,
  kContains,
  kUpper,
  kAll,
  kSummary,
};

std::string_view RuleName(Rule rule);  // "contains_word": the metric's name in reports
// 0 … 1: the best that any of the answers gives.
double ScoreBy(Rule rule, std::string_view prediction, Answers answers);

// Adds the record's options to the question as "A. …" to "D. …", and turns an answer that is an
// option's text into its letter.
Status UseLetters(const Record& record, Turn& turn);

}  // namespace kvasir::eval
