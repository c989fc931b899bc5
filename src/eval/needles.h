// What RULER's needle tasks and their relatives are made of: needle lines and haystacks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/random.h"
#include "eval/sample.h"

namespace kvasir::eval {

enum class Draw : uint8_t { kNumbers, kWords, kUuids };  // what keys and values are
enum class Haystack : uint8_t { kNoise, kEssay, kNeedles };

inline constexpr std::string_view kNoiseLine =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

std::string DrawValue(Random& random, Draw kind);
std::string_view PluralOf(Draw kind);    // "numbers"
std::string_view SingularOf(Draw kind);  // "number"

struct Needle {
  std::string key, value, line;
};
// One of the special magic {numbers} for {key} is: {value}.
Needle MakeNeedle(Random& random, Draw key, Draw value);
std::string NeedleLine(std::string_view kind, std::string_view key, std::string_view value);

// The 40 depths of RULER in percent: round(linspace(0, 100, 40)).
std::vector<int> RulerDepths();

// Lines, with the needles at random places (in their order), joined by new lines.
std::string HideInLines(Random& random, std::vector<std::string> lines,
                        const std::vector<std::string>& needles);
// Sentences, with the needles after floor(n * depth / 100) of them, joined by blanks.
std::string HideInSentences(const std::vector<std::string>& sentences,
                            const std::vector<std::string>& needles, std::vector<int> depths);

// Where `value` stands within `line` within the context; the last place where it stands.
std::vector<Span> FindEvidence(const std::string& context, const std::string& line,
                               const std::string& value);

// "a", "a, and b", "a, b, and c"
std::string ListOf(const std::vector<std::string>& words);

}  // namespace kvasir::eval
