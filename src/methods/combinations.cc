#include "methods/combinations.h"

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

std::string ItemText(const SpecItem& item) {
  std::string text = item.name;
  char separator = ':';
  for (const auto& [name, value] : item.params) {
    text += fmt::format("{}{}={}", separator, name, value);
    separator = ',';
  }
  return text;
}

std::vector<Combination> AllCombinations() {
  std::vector<Combination> all;
  for (const MethodInfo* first : AllMethods()) {
    for (const MethodInfo* second : AllMethods()) {
      Combination each{
          .first = first->name,
          .second = second->name,
          .spec = ItemText(ExampleItem(*first)) + " + " + ItemText(ExampleItem(*second)),
          .works = false,
          .why = {}};
      if (second->role == Role::kWrapper) each.spec += " + keydiff:budget=1024";
      const auto program = Program::Build(each.spec);
      each.works = program.has_value();
      if (!each.works) each.why = program.error().message;
      all.push_back(std::move(each));
    }
  }
  return all;
}

}  // namespace kvasir
