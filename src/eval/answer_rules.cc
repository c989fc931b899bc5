#include "eval/answer_rules.h"

#include <algorithm>

#include "eval/rouge.h"
#include "eval/text_scores.h"

namespace kvasir::eval {

std::string_view RuleName(Rule rule) {
  constexpr std::string_view kNames[] = {
      "first_digits", "contains_word", "first_number",   "last_number",      "choice",     "f1",
      "f1_zh_char",   "contains",      "contains_upper", "string_match_all", "rouge_l_sum"};
  return kNames[static_cast<size_t>(rule)];
}

double ScoreBy(Rule rule, std::string_view prediction, Answers answers) {
  const auto best = [&](double (*score)(std::string_view, std::string_view)) {
    double highest = 0;
    for (const std::string& gold : answers) highest = std::max(highest, score(prediction, gold));
    return highest;
  };
  switch (rule) {
    case Rule::kFirstDigits:
      return FirstDigits(prediction, answers);
    case Rule::kWord:
      return ContainsWord(prediction, answers);
    case Rule::kFirstNumber:
      return best(&FirstNumber);
    case Rule::kLastNumber:
      return best(&LastNumber);
    case Rule::kChoice:
      return best(&ChoiceLetter);
    case Rule::kF1:
      return best(&QaF1);
    case Rule::kF1Zh:
      return best(&QaF1ZhChar);
    case Rule::kContains:
      return best([](std::string_view text, std::string_view gold) {
        return text.find(gold) != std::string_view::npos ? 1.0 : 0.0;
      });
    case Rule::kUpper:
      return ContainsUpper(prediction, answers);
    case Rule::kAll:
      return StringMatchAll(prediction, answers);
    case Rule::kSummary:
      return best(&RougeLsum);
  }
  return 0;
}

Status UseLetters(const Record& record, Turn& turn) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> options, record.Texts("options"));
  if (options.size() > 4) return record.Wrong("options", "list of at most four");
  for (size_t i = 0; i < options.size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    turn.question += fmt::format("\n{}. {}", letter, options[i]);
    for (std::string& answer : turn.answers) {
      if (answer == options[i]) answer = letter;
    }
  }
  return {};
}

}  // namespace kvasir::eval
