#include "eval/function_match.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "eval/scoring.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr double kSimilarEnough = 0.8;  // SCBench reports pass@1 at this threshold
constexpr int kMaxWords = 4;            // of an n-gram
constexpr double kSmoothing = 5;        // Chen & Cherry 2014: K of their technique 4

using Words = std::vector<std::string>;

std::map<Words, int64_t> CountRuns(const Words& words, int n) {
  std::map<Words, int64_t> counts;
  for (auto first = words.begin(); words.end() - first >= n; ++first)
    ++counts[Words(first, first + n)];
  return counts;
}

// Runs of n words of the candidate that the reference has as often.
int64_t NCommonRuns(const Words& candidate, const Words& reference, int n) {
  const auto wanted = CountRuns(reference, n);
  int64_t n_common = 0;
  for (const auto& [run, count] : CountRuns(candidate, n)) {
    const auto found = wanted.find(run);
    if (found != wanted.end()) n_common += std::min(count, found->second);
  }
  return n_common;
}

}  // namespace

double FunctionSimilarity(std::string_view candidate, std::string_view reference) {
  const Words written = SplitWords(candidate), wanted = SplitWords(reference);
  const auto n_written = static_cast<double>(written.size());
  double log_sum = 0;
  int n_without = 0;  // lengths of runs of which nothing is common
  for (int n = 1; n <= kMaxWords; ++n) {
    const double n_runs = std::max(1.0, n_written - n + 1);
    auto n_common = static_cast<double>(NCommonRuns(written, wanted, n));
    if (n_common == 0) {
      if (n == 1) return 0;
      if (written.size() == 1) continue;  // log 1 = 0: the smoothing does not apply
      n_common = std::log(n_written) / (std::exp2(++n_without) * kSmoothing);
    }
    log_sum += std::log(n_common / n_runs) / kMaxWords;
  }
  const double shortage = static_cast<double>(wanted.size()) / n_written;
  return std::exp(log_sum + std::min(0.0, 1 - shortage));
}

std::string_view CodeOf(std::string_view text) {
  constexpr std::string_view kFence = "```";
  const auto fence_from = [&](size_t at) {
    while (at != std::string_view::npos && at > 0 && text[at - 1] != '\n') {
      at = text.find(kFence, at + 1);
    }
    return at;
  };
  text = TrimBlanks(text);
  const size_t open = fence_from(text.find(kFence));
  const size_t begin = open == std::string_view::npos ? open : text.find('\n', open);
  if (begin == std::string_view::npos) return text;
  const size_t close = fence_from(text.find(kFence, begin + 1));
  if (close == std::string_view::npos) return text;
  return text.substr(begin + 1, close - begin - 1);
}

double FunctionFound(std::string_view prediction, std::string_view gold,
                     std::span<const std::string> functions) {
  const std::string_view code = CodeOf(prediction);
  double best = 0;
  std::string_view most_similar;
  for (const std::string& function : functions) {
    const double similarity = FunctionSimilarity(code, function);
    if (similarity > best) {
      best = similarity;
      most_similar = function;
    }
  }
  return most_similar == gold && best >= kSimilarEnough ? 1 : 0;
}

}  // namespace kvasir::eval
