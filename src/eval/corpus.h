// Documents and questions about them, published or generated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace kvasir::eval {

struct CorpusQuestion {
  std::string text;
  std::vector<std::string> answers;
  std::vector<size_t> gold;  // documents that hold the answer
  std::vector<size_t> near;  // of the same article
};

struct Corpus {
  std::vector<std::string> documents;
  std::vector<CorpusQuestion> questions;
};

// SQuAD v2's dev set (answerable questions) and HotpotQA's dev set with distractors, as published.
// An error names the place in the file.
Result<Corpus> ReadSquad(const std::string& path);
Result<Corpus> ReadHotpot(const std::string& path);
// Invented firms, people and towns; questions of one or two hops.
Corpus GeneratedCorpus(uint64_t seed, int n_hops);

}  // namespace kvasir::eval
