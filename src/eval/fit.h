// Length fitting as RULER does it: the largest sample that leaves room for the answer.
#pragma once

#include <cstdint>
#include <functional>

#include "eval/task.h"

namespace kvasir::eval {

struct Sizing {
  std::string key;       // of what is fitted: task and seed
  int64_t step = 1;      // unit in which a size shrinks; the smallest size
  int64_t probe = 0;     // the size that is measured first; 0: step
  double headroom = 3;   // upper bound: headroom * length / tokens a unit
  int64_t n_answer = 0;  // tokens kept free
};
// Sample number `index` in a given size: always the same one.
using BuildFn = std::function<Result<Sample>(int64_t size, int64_t index)>;

// The size is searched with sample 0 and remembered; a sample that comes out too long is made again
// one step smaller. An error where the smallest one is too long.
Result<Sample> MakeFitted(Workshop& workshop, const Request& request, const Sizing& sizing,
                          const BuildFn& build);

}  // namespace kvasir::eval
