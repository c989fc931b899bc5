#include "eval/rouge.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "eval/scoring.h"
#include "eval/words.h"
#include "model/tokenizer/utf8.h"

namespace kvasir::eval {
namespace {

using Sentence = std::vector<std::string>;

// Where two longest common subsequences differ, the packages walk back differently.
enum class OnTie : uint8_t { kKeepGold, kKeepPrediction };

// The places in `gold` of one longest common subsequence, ascending.
std::vector<size_t> CommonSubsequence(const Sentence& gold, const Sentence& prediction,
                                      OnTie on_tie) {
  const size_t n = gold.size(), m = prediction.size();
  std::vector<std::vector<int32_t>> table(n + 1, std::vector<int32_t>(m + 1));
  for (size_t i = 1; i <= n; ++i) {
    for (size_t j = 1; j <= m; ++j) {
      table[i][j] = gold[i - 1] == prediction[j - 1] ? table[i - 1][j - 1] + 1
                                                     : std::max(table[i - 1][j], table[i][j - 1]);
    }
  }
  std::vector<size_t> places;
  for (size_t i = n, j = m; i > 0 && j > 0;) {
    const int32_t without_gold = table[i - 1][j], without_prediction = table[i][j - 1];
    if (gold[i - 1] == prediction[j - 1]) {
      places.push_back(i - 1);
      --i;
      --j;
    } else if (without_gold > without_prediction ||
               (without_gold == without_prediction && on_tie == OnTie::kKeepPrediction)) {
      --i;
    } else {
      --j;
    }
  }
  std::reverse(places.begin(), places.end());
  return places;
}

// Non-empty pieces between full stops, blanks collapsed; words by single blanks, so that a piece of
// blanks is one empty word.
std::vector<Sentence> SentencesByStop(std::string_view text) {
  std::vector<Sentence> sentences;
  while (true) {
    const size_t stop = text.find('.');
    const std::string_view piece = text.substr(0, stop);
    if (!piece.empty()) {
      Sentence words = SplitWords(piece);
      if (words.empty()) words.push_back("");
      sentences.push_back(std::move(words));
    }
    if (stop == std::string_view::npos) return sentences;
    text.remove_prefix(stop + 1);
  }
}

// Runs of lower-case letters and digits, line by line.
std::vector<Sentence> SentencesByLine(std::string_view text) {
  std::string plain = LowerAscii(text);
  for (char& c : plain) {
    const bool of_a_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\n';
    if (!of_a_word) c = ' ';
  }
  std::vector<Sentence> sentences;
  for (size_t begin = 0; begin < plain.size();) {
    const size_t end = std::min(plain.find('\n', begin), plain.size());
    sentences.push_back(SplitWords(std::string_view(plain).substr(begin, end - begin)));
    begin = end + 1;
  }
  return sentences;
}

std::set<std::string> UniqueWords(const std::vector<Sentence>& sentences) {
  std::set<std::string> words;
  for (const Sentence& sentence : sentences) words.insert(sentence.begin(), sentence.end());
  return words;
}

std::map<std::string, int64_t> WordCounts(const std::vector<Sentence>& sentences) {
  std::map<std::string, int64_t> counts;
  for (const Sentence& sentence : sentences) {
    for (const std::string& word : sentence) ++counts[word];
  }
  return counts;
}

int64_t NWords(const std::vector<Sentence>& sentences) {
  int64_t n = 0;
  for (const Sentence& sentence : sentences) n += std::ssize(sentence);
  return n;
}

// Characters outside ASCII apart, as a segmenter's output is joined: with blanks between.
std::string SpacedCharacters(std::string_view text) {
  std::string spaced;
  while (!text.empty()) {
    const auto n = static_cast<size_t>(std::max(1, DecodeUtf8(text).length));
    if (n == 1) {
      spaced += text[0];
    } else {
      spaced += ' ';
      spaced += text.substr(0, n);
      spaced += ' ';
    }
    text.remove_prefix(n);
  }
  return spaced;
}

}  // namespace

double RougeL(std::string_view prediction, std::string_view gold) {
  const auto hypothesis = SentencesByStop(prediction), reference = SentencesByStop(gold);
  if (hypothesis.empty() || reference.empty()) return 0;
  std::set<std::string> common;
  for (const Sentence& r : reference) {
    for (const Sentence& h : hypothesis) {
      for (const size_t i : CommonSubsequence(r, h, OnTie::kKeepGold)) common.insert(r[i]);
    }
  }
  const auto n = static_cast<double>(common.size());
  const double recall = n / static_cast<double>(UniqueWords(reference).size());
  const double precision = n / static_cast<double>(UniqueWords(hypothesis).size());
  return 2 * precision * recall / (precision + recall + 1e-8);
}

double RougeLZhChar(std::string_view prediction, std::string_view gold) {
  return RougeL(SpacedCharacters(prediction), SpacedCharacters(gold));
}

double RougeLsum(std::string_view prediction, std::string_view gold) {
  const auto hypothesis = SentencesByLine(prediction), reference = SentencesByLine(gold);
  const int64_t n_reference = NWords(reference), n_hypothesis = NWords(hypothesis);
  // A word counts at most as often as both have it.
  auto left_in_reference = WordCounts(reference), left_in_hypothesis = WordCounts(hypothesis);
  int64_t n_hits = 0;
  for (const Sentence& r : reference) {
    std::set<size_t> found;  // by any sentence of the hypothesis
    for (const Sentence& h : hypothesis) {
      const std::vector<size_t> places = CommonSubsequence(r, h, OnTie::kKeepPrediction);
      found.insert(places.begin(), places.end());
    }
    for (const size_t i : found) {
      int64_t &n_r = left_in_reference[r[i]], &n_h = left_in_hypothesis[r[i]];
      if (n_r == 0 || n_h == 0) continue;
      --n_r;
      --n_h;
      ++n_hits;
    }
  }
  // 2PR / (P + R) with P = hits / hypothesis and R = hits / reference.
  if (n_hits == 0) return 0;
  return 2 * static_cast<double>(n_hits) / static_cast<double>(n_reference + n_hypothesis);
}

}  // namespace kvasir::eval
