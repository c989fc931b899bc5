// Which methods stack: found by building every pair, so that no table can be out of date.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "methods/registry.h"

namespace kvasir {

struct Combination {
  std::string_view first, second;
  std::string spec;  // with the parameters of their examples
  bool works = false;
  std::string why;  // not: the error
};

// The item of a method within its own example: what it takes to use it.
SpecItem ExampleItem(const MethodInfo& method);

// All ordered pairs, in the order of the table; codecs and pruners stand after what they can only
// stand after, and what needs a base or a codec behind it gets one.
std::vector<Combination> AllCombinations();

}  // namespace kvasir
