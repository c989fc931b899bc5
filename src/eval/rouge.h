// ROUGE-L of summaries, in the three forms in which benchmarks compute it; all 0 … 1.
#pragma once

#include <string_view>

namespace kvasir::eval {

// Summary-level F with sets of words, as the `rouge` package computes it (LongBench).
double RougeL(std::string_view prediction, std::string_view gold);
// The same over single characters of CJK and runs of others, where LongBench's ROUGE-L-zh goes by a
// segmenter's words: not comparable with published figures.
double RougeLZhChar(std::string_view prediction, std::string_view gold);
// rougeLsum of the `rouge_score` package, on which `evaluate` stands (SCBench): lines are
// sentences, lower-case letters and digits are words, each is counted as often as it is there; no
// stemming.
double RougeLsum(std::string_view prediction, std::string_view gold);

}  // namespace kvasir::eval
