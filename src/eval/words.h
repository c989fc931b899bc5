// Words and running prose of our own making: what stands in for texts that may not be shipped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/random.h"

namespace kvasir::eval {

std::span<const std::string_view> Nouns();       // all different, sorted
std::span<const std::string_view> Adjectives();  // likewise
// A few thousand different words: nouns, adjectives, verbs and compounds of two nouns.
const std::vector<std::string>& WordPool();

// "copper-lantern"
std::string AdjectiveNoun(Random& random);
// An invented name: "Maroveth". Two to three syllables.
std::string InventedName(Random& random);

// Prose by a seeded grammar: paragraphs about recurring invented people, places and machines, in
// sentences of one to three clauses, from a vocabulary of more than 3000 words.
class Prose {
 public:
  explicit Prose(Random random);
  std::string Sentence();
  // Sentences, until there are at least n words; paragraphs are separated by `between`.
  std::string Words(int64_t n, std::string_view between = " ");

 private:
  std::string NounPhrase();
  std::string Clause();
  std::string Extra();

  Random random_;
  std::vector<std::string> people_, places_;
  int64_t n_sentences_ = 0;
};

std::vector<std::string> SplitWords(std::string_view text);  // at blanks
// After '.', '!' or '?' that a blank follows; the blank belongs to no sentence.
std::vector<std::string> SplitSentences(std::string_view text);
std::string Join(std::span<const std::string> parts, std::string_view between);

}  // namespace kvasir::eval
