// Invented people, towns and firms with attributes, one document each: questions of one and two
// hops with exact answers, in place of question sets that may not be shipped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/random.h"

namespace kvasir::eval {

struct WorldQuestion {
  std::string text;
  std::vector<std::string> answers;
  std::vector<size_t> documents;  // that are needed, by index
};

struct World {
  std::vector<std::string> documents;
  std::vector<WorldQuestion> one_hop, two_hop;
};

// n documents, a firm, its founder and the founder's town in turn.
World MakeWorld(Random random, int64_t n);

}  // namespace kvasir::eval
