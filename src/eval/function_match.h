// RepoQA's score (arXiv 2406.06025), as SCBench uses it: is what the model wrote the function that
// was asked for, rather than another one of the same repository?
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kvasir::eval {

// Sentence BLEU of up to four words with Chen & Cherry's smoothing 4, words between blanks.
double FunctionSimilarity(std::string_view candidate, std::string_view reference);

// The first block between lines of ``` in what a model wrote; all of it where there is none. The
// original takes the first function that a parser finds in that block: what stands around it in the
// block counts against the answer here.
std::string_view CodeOf(std::string_view text);

// 1 where `gold` is the most similar of `functions` (which hold it), and similar by 0.8 or more.
double FunctionFound(std::string_view prediction, std::string_view gold,
                     std::span<const std::string> functions);

}  // namespace kvasir::eval
