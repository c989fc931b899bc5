// What a spec that cannot be built may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "methods/registry.h"

namespace kvasir {

struct PlacedItem {
  SpecItem item;
  const MethodInfo* method = nullptr;
};

// The items in the order in which their methods can stand; of equals as they are. Where wrappers
// have no base (or codec) to change, this one.
std::string InOrder(std::vector<PlacedItem> items, std::string_view base, std::string_view codec);

// Specs near to a refused one, the nearest first. Whether they can be built is not known here.
std::vector<std::string> Recipes(std::vector<PlacedItem> items);

}  // namespace kvasir
