#include "eval/scoring.h"

#include <algorithm>

#include "eval/words.h"

namespace kvasir::eval {

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

std::string_view TrimBlanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string CleanPrediction(std::string_view text) {
  std::string clean(TrimBlanks(text));
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20) c = '\n';
  }
  return std::string(TrimBlanks(clean));
}

double StringMatchAll(std::string_view prediction, Answers answers) {
  if (answers.empty()) return 0;
  const std::string text = LowerAscii(CleanPrediction(prediction));
  const auto n = std::count_if(answers.begin(), answers.end(), [&](const std::string& answer) {
    return text.find(LowerAscii(answer)) != std::string::npos;
  });
  return static_cast<double>(n) / static_cast<double>(answers.size());
}

double StringMatchPart(std::string_view prediction, Answers answers) {
  return StringMatchAll(prediction, answers) > 0 ? 1 : 0;
}

double FirstDigits(std::string_view prediction, Answers answers) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t begin = prediction.find_first_of(kDigits);
  if (begin == std::string_view::npos || answers.empty()) return 0;
  const size_t end = std::min(prediction.find_first_not_of(kDigits, begin), prediction.size());
  return prediction.substr(begin, end - begin) == answers[0] ? 1 : 0;
}

double ContainsWord(std::string_view prediction, Answers answers) {
  std::string text(prediction);
  for (char& c : text) {
    if (std::string_view("\n:\"'.,?!{}").find(c) != std::string_view::npos) c = ' ';
  }
  const std::vector<std::string> words = SplitWords(text);
  const bool found =
      !answers.empty() && std::find(words.begin(), words.end(), answers[0]) != words.end();
  return found ? 1 : 0;
}

}  // namespace kvasir::eval
