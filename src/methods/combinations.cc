#include "methods/combinations.h"

#include "methods/recipe.h"

namespace kvasir {

SpecItem ExampleItem(const MethodInfo& method) {
  const auto items = ParseSpec(method.example);
  if (items) {
    for (const SpecItem& item : *items) {
      if (item.name == method.name) return item;
    }
  }
  return {std::string(method.name), {}};
}

namespace {

// A spec of both in the order in which they can stand, with what they need after them. A base that
// keys alone decide suits most wrappers.
std::string Joined(const MethodInfo& first, const MethodInfo& second) {
  return InOrder({{ExampleItem(first), &first}, {ExampleItem(second), &second}},
                 "keydiff:budget=1024", "q4");
}

}  // namespace

std::vector<Combination> AllCombinations() {
  std::vector<Combination> all;
  for (const MethodInfo* first : AllMethods()) {
    for (const MethodInfo* second : AllMethods()) {
      Combination each{.first = first->name,
                       .second = second->name,
                       .spec = Joined(*first, *second),
                       .works = false,
                       .why = {}};
      const auto program = Program::Build(each.spec);
      each.works = program.has_value();
      if (!each.works) each.why = program.error().message;
      all.push_back(std::move(each));
    }
  }
  return all;
}

}  // namespace kvasir
