#include "eval/text_scores.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

double HarmonicMean(double precision, double recall) {
  return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

double BagF1(const std::vector<std::string>& prediction, const std::vector<std::string>& gold) {
  std::map<std::string, int64_t> left;
  for (const std::string& word : gold) ++left[word];
  int64_t common = 0;
  for (const std::string& word : prediction) common += left[word]-- > 0;
  if (common == 0) return 0;
  const auto n = static_cast<double>(common);
  return HarmonicMean(n / static_cast<double>(prediction.size()),
                      n / static_cast<double>(gold.size()));
}

// The characters of a text, letters of one run of ASCII together.
std::vector<std::string> CharacterTokens(std::string_view text) {
  std::vector<std::string> tokens;
  bool in_ascii = false;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t n = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    const std::string_view c = text.substr(i, n);
    i += n;
    const bool punctuation = (n == 1 && kPunctuation.find(c[0]) != std::string_view::npos) ||
                             c.starts_with("\xe3\x80") ||                     // CJK punctuation
                             (c >= "\xef\xbc\x80" && c <= "\xef\xbc\x8f") ||  // full-width ！ … ／
                             (c >= "\xef\xbc\x9a" && c <= "\xef\xbc\xa0") ||  // ： … ＠
                             (c >= "\xe2\x80\x90" && c <= "\xe2\x80\xbf");    // quotes, dashes
    const bool blank = n == 1 && byte <= ' ';
    if (punctuation || blank) {
      in_ascii = in_ascii && !blank;
      continue;
    }
    if (n == 1 && in_ascii) {
      tokens.back() += LowerAscii(c);
    } else {
      tokens.push_back(LowerAscii(c));
    }
    in_ascii = n == 1;
  }
  return tokens;
}

std::vector<std::string> Numbers(std::string_view text) {
  std::vector<std::string> numbers;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsDigit(text[i])) continue;
    if (i == 0 || !IsDigit(text[i - 1])) numbers.emplace_back();
    numbers.back() += text[i];
  }
  return numbers;
}

double ShareEqual(const std::vector<std::string>& numbers, std::string_view gold) {
  if (numbers.empty()) return 0;
  return static_cast<double>(std::count(numbers.begin(), numbers.end(), gold)) /
         static_cast<double>(numbers.size());
}

// Characters of "-", digits, '.' and ',' from `at` on; `$` too where asked.
std::string_view NumberAt(std::string_view text, size_t at, bool dollars) {
  size_t end = at + (at < text.size() && text[at] == '-');
  while (end < text.size() && (IsDigit(text[end]) || text[end] == '.' || text[end] == ',' ||
                               (dollars && text[end] == '$'))) {
    ++end;
  }
  return text.substr(at, end - at);
}

// (-?[$0-9.,]{2,})|(-?[0-9]+): the last one.
std::string_view LastGsmNumber(std::string_view text) {
  std::string_view last;
  for (size_t i = 0; i < text.size();) {
    const std::string_view run = NumberAt(text, i, true);
    const size_t n_signs = run.starts_with('-') ? 1 : 0;
    const size_t n = run.size() - n_signs;
    if (n >= 2 || (n == 1 && IsDigit(run.back()))) {
      last = run;
      i += run.size();
    } else {
      ++i;
    }
  }
  return last;
}

std::string GsmText(std::string_view text) {
  const size_t mark = text.rfind("#### ");
  if (mark != std::string_view::npos) text.remove_prefix(mark + 5);
  std::string plain;
  for (const char c : TrimBlanks(text)) {
    if (c != ',' && c != '$') plain += c;
  }
  if (plain.ends_with('.')) plain.pop_back();
  return LowerAscii(plain);
}

std::optional<double> ToNumber(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string NormaliseAnswer(std::string_view text) {
  std::string plain;
  for (const char c : LowerAscii(text)) {
    if (kPunctuation.find(c) == std::string_view::npos) plain += c;
  }
  std::vector<std::string> words = SplitWords(plain);
  std::erase_if(words, [](const std::string& w) { return w == "a" || w == "an" || w == "the"; });
  return Join(words, " ");
}

double QaF1(std::string_view prediction, std::string_view gold) {
  return BagF1(SplitWords(NormaliseAnswer(prediction)), SplitWords(NormaliseAnswer(gold)));
}

double QaF1ZhChar(std::string_view prediction, std::string_view gold) {
  return BagF1(CharacterTokens(prediction), CharacterTokens(gold));
}

double Classification(std::string_view prediction, std::string_view gold, Answers classes) {
  std::vector<std::string> found;
  for (const std::string& name : classes) {
    if (prediction.find(name) != std::string_view::npos) found.push_back(name);
  }
  // The original removes while it iterates: what follows a removed name is not looked at.
  for (size_t i = 0; i < found.size(); ++i) {
    const bool part_of_gold = found[i] != gold && gold.find(found[i]) != std::string_view::npos;
    if (part_of_gold) found.erase(found.begin() + static_cast<int64_t>(i));
  }
  const bool right = std::find(found.begin(), found.end(), gold) != found.end();
  return right ? 1 / static_cast<double>(found.size()) : 0;
}

double Retrieval(std::string_view prediction, std::string_view gold, bool zh) {
  // "段落" is the Chinese word for paragraph.
  const std::string_view word = zh ? "\xe6\xae\xb5\xe8\x90\xbd" : "Paragraph ";
  const size_t at = gold.find(word);
  if (at == std::string_view::npos) return 0;
  const std::vector<std::string> ids = Numbers(gold.substr(at + word.size()));
  return ids.empty() ? 0 : ShareEqual(Numbers(prediction), ids[0]);
}

double CountScore(std::string_view prediction, std::string_view gold) {
  return ShareEqual(Numbers(prediction), gold);
}

double EditSimilarity(std::string_view prediction, std::string_view gold) {
  while (prediction.starts_with('\n')) prediction.remove_prefix(1);
  std::string_view line;
  while (!prediction.empty()) {
    const size_t end = std::min(prediction.find('\n'), prediction.size());
    const std::string_view each = prediction.substr(0, end);
    prediction.remove_prefix(std::min(end + 1, prediction.size()));
    const bool code = each.find_first_of("`#") == std::string_view::npos &&
                      each.find("//") == std::string_view::npos;
    if (code) {
      line = each;
      break;
    }
  }
  if (line == gold) return 1;
  if (line.empty() || gold.empty()) return 0;
  std::vector<int32_t> above(gold.size() + 1), row(gold.size() + 1);
  for (const char c : line) {
    for (size_t j = 1; j <= gold.size(); ++j) {
      row[j] = c == gold[j - 1] ? above[j - 1] + 1 : std::max(above[j], row[j - 1]);
    }
    std::swap(above, row);
  }
  const double ratio = 2.0 * above.back() / static_cast<double>(line.size() + gold.size());
  return std::round(100 * ratio) / 100;
}

std::string_view FirstLine(std::string_view prediction) {
  while (prediction.starts_with('\n')) prediction.remove_prefix(1);
  return prediction.substr(0, prediction.find('\n'));
}

double GsmStrict(std::string_view prediction, std::string_view gold) {
  const size_t mark = prediction.find("#### ");
  if (mark == std::string_view::npos) return 0;
  const std::string_view number = NumberAt(prediction, mark + 5, false);
  return !number.empty() && GsmText(number) == GsmText(gold) ? 1 : 0;
}

double GsmFlexible(std::string_view prediction, std::string_view gold) {
  const std::string_view number = LastGsmNumber(prediction);
  return !number.empty() && GsmText(number) == GsmText(gold) ? 1 : 0;
}

double GsmNumeric(std::string_view prediction, std::string_view gold) {
  const auto a = ToNumber(GsmText(LastGsmNumber(prediction))), b = ToNumber(GsmText(gold));
  return a && b && std::abs(*a - *b) <= 1e-6 ? 1 : 0;
}

double ContainsUpper(std::string_view prediction, Answers answers) {
  const std::string text = LowerAscii(prediction);
  return std::any_of(answers.begin(), answers.end(), [&](const std::string& answer) {
    return text.find(LowerAscii(answer)) != std::string::npos;
  });
}

double FirstNumber(std::string_view prediction, std::string_view gold) {
  const std::vector<std::string> numbers = Numbers(prediction);
  return !numbers.empty() && numbers.front() == gold ? 1 : 0;
}

double LastNumber(std::string_view prediction, std::string_view gold) {
  // With its sign.
  size_t end = prediction.size();
  while (end > 0 && !IsDigit(prediction[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && IsDigit(prediction[begin - 1])) --begin;
  if (begin > 0 && prediction[begin - 1] == '-') --begin;
  return begin < end && prediction.substr(begin, end - begin) == gold ? 1 : 0;
}

double ChoiceLetter(std::string_view prediction, std::string_view gold) {
  // The first letter A … D that stands alone.
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (size_t i = 0; i < prediction.size(); ++i) {
    if (prediction[i] < 'A' || prediction[i] > 'D') continue;
    const bool alone = (i == 0 || !is_letter(prediction[i - 1])) &&
                       (i + 1 == prediction.size() ||
                        (!is_letter(prediction[i + 1]) && prediction[i + 1] != '\''));
    // "A number of …" is no choice.
    const bool article = prediction[i] == 'A' && i + 2 < prediction.size() &&
                         prediction[i + 1] == ' ' && is_letter(prediction[i + 2]);
    if (alone && !article) return prediction.substr(i, 1) == gold ? 1 : 0;
  }
  return 0;
}

}  // namespace kvasir::eval
