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

namespace {

// A spec of both in the order in which they can stand, with what they need after them: wrappers a
// base (one that keys alone decide suits most of them), wrappers of a codec a codec.
std::string Joined(const MethodInfo& first, const MethodInfo& second) {
  const bool encodes = first.encodes || second.encodes;  // after a pruner, before a base
  const auto stage = [&](const MethodInfo& method) {
    if (method.of_codec) return 3;
    if (method.role == Role::kPruner) return encodes ? -1 : 2;
    if (method.role == Role::kCodec) return 4;
    return method.role == Role::kWrapper ? 0 : 1;
  };
  const bool swap = stage(first) > stage(second);
  const MethodInfo &a = swap ? second : first, &b = swap ? first : second;
  std::string spec = ItemText(ExampleItem(a));
  if (stage(a) == 0 && stage(b) > 1) spec += " + keydiff:budget=1024";
  spec += " + " + ItemText(ExampleItem(b));
  if (stage(b) == 0) spec += " + keydiff:budget=1024";
  if (stage(b) == 3) spec += " + q4";
  return spec;
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
