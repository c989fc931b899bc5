#include "eval/needles.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "eval/words.h"

namespace kvasir::eval {

std::string DrawValue(Random& random, Draw kind) {
  if (kind == Draw::kNumbers) return random.Digits(7);
  return kind == Draw::kWords ? AdjectiveNoun(random) : random.Uuid();
}

std::string_view PluralOf(Draw kind) {
  if (kind == Draw::kNumbers) return "numbers";
  return kind == Draw::kWords ? "words" : "uuids";
}

std::string_view SingularOf(Draw kind) {
  const std::string_view plural = PluralOf(kind);
  return plural.substr(0, plural.size() - 1);
}

std::string NeedleLine(std::string_view kind, std::string_view key, std::string_view value) {
  return fmt::format("One of the special magic {} for {} is: {}.", kind, key, value);
}

Needle MakeNeedle(Random& random, Draw key, Draw value) {
  Needle needle = {DrawValue(random, key), DrawValue(random, value), {}};
  needle.line = NeedleLine(PluralOf(value), needle.key, needle.value);
  return needle;
}

std::vector<int> RulerDepths() {
  std::vector<int> depths;
  for (int i = 0; i < 40; ++i) depths.push_back(static_cast<int>(std::lround(i * 100.0 / 39)));
  return depths;
}

std::string HideInLines(Random& random, std::vector<std::string> lines,
                        const std::vector<std::string>& needles) {
  const auto n = static_cast<int64_t>(lines.size());
  std::vector<int64_t> at =
      random.Distinct(std::max<int64_t>(n, 1), std::min<int64_t>(n, std::ssize(needles)));
  std::sort(at.begin(), at.end());
  at.resize(needles.size(), n);  // more needles than lines: the others stand at the end
  for (size_t i = needles.size(); i-- > 0;) lines.insert(lines.begin() + at[i], needles[i]);
  return Join(lines, "\n");
}

std::string HideInSentences(const std::vector<std::string>& sentences,
                            const std::vector<std::string>& needles, std::vector<int> depths) {
  std::sort(depths.begin(), depths.end());
  std::string text;
  const auto add = [&](const std::string& sentence) {
    if (!text.empty()) text += ' ';
    text += sentence;
  };
  size_t next = 0;
  for (size_t i = 0; i <= sentences.size(); ++i) {
    while (next < needles.size() && sentences.size() * depths[next] / 100 == i) {
      add(needles[next++]);
    }
    if (i < sentences.size()) add(sentences[i]);
  }
  return text;
}

std::vector<Span> FindEvidence(const std::string& context, const std::string& line,
                               const std::string& value) {
  const size_t at = context.rfind(line);
  const size_t within = line.rfind(value);
  if (at == std::string::npos || within == std::string::npos) return {};
  return {{at + within, at + within + value.size()}};
}

std::string ListOf(const std::vector<std::string>& words) {
  if (words.size() == 1) return words[0];
  return Join(std::span(words).first(words.size() - 1), ", ") + ", and " + words.back();
}

}  // namespace kvasir::eval
