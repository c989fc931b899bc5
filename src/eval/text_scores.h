// The scores of LongBench (arXiv 2308.14508) and of its relatives; all 0 … 1. Texts are compared by
// bytes but for F1-zh-char, which goes by characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/scoring.h"

namespace kvasir::eval {

// Lower case, without ASCII punctuation and the words a, an, the; blanks collapsed.
std::string NormaliseAnswer(std::string_view text);
double QaF1(std::string_view prediction, std::string_view gold);
// Single characters for CJK instead of a segmenter's words: not comparable with published F1-zh.
double QaF1ZhChar(std::string_view prediction, std::string_view gold);
// `classes`: names of all of them.
double Classification(std::string_view prediction, std::string_view gold, Answers classes);
// Share of the prediction's numbers that are the one of "Paragraph 7" (`zh`: the Chinese word).
double Retrieval(std::string_view prediction, std::string_view gold, bool zh = false);
double CountScore(std::string_view prediction, std::string_view gold);
// Of the prediction's first line of code.
double EditSimilarity(std::string_view prediction, std::string_view gold);

// LongBench's trec, triviaqa, samsum, lsht: the first line.
std::string_view FirstLine(std::string_view prediction);

// GSM8K: "strict" takes what follows the first "####", "flexible" the last number; compared as text
// after ',' '$' and a final '.' are taken off. Numeric: flexible, as numbers within 1e-6.
double GsmStrict(std::string_view prediction, std::string_view gold);
double GsmFlexible(std::string_view prediction, std::string_view gold);
double GsmNumeric(std::string_view prediction, std::string_view gold);

// SCBench: any answer within the prediction, both in upper case.
double ContainsUpper(std::string_view prediction, Answers answers);
// InfiniteBench math_find: the first number is the answer.
double FirstNumber(std::string_view prediction, std::string_view gold);
// The last number is (code_run).
double LastNumber(std::string_view prediction, std::string_view gold);
// A single letter A … D: "The answer is B", "(B)", "B." … of InfiniteBench's and SCBench's choices.
double ChoiceLetter(std::string_view prediction, std::string_view gold);

}  // namespace kvasir::eval
