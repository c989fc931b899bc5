#include "methods/recipe.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir {
namespace {

bool ChangesBase(const MethodInfo& method) {
  return method.role == Role::kWrapper && !method.of_codec;
}

bool Has(const std::vector<PlacedItem>& items, Role role) {
  return std::any_of(items.begin(), items.end(),
                     [&](const PlacedItem& each) { return each.method->role == role; });
}

}  // namespace

std::string InOrder(std::vector<PlacedItem> items, std::string_view base, std::string_view codec) {
  const bool encodes = std::any_of(items.begin(), items.end(),
                                   [](const PlacedItem& each) { return each.method->encodes; });
  enum { kPrunerOfEncoder, kWrapper, kBase, kPruner, kWrapperOfCodec, kCodec };
  const auto stage = [&](const PlacedItem& each) {
    const MethodInfo& method = *each.method;
    if (method.of_codec) return kWrapperOfCodec;
    if (method.role == Role::kPruner) return encodes ? kPrunerOfEncoder : kPruner;
    if (method.role == Role::kCodec) return kCodec;
    return method.role == Role::kWrapper ? kWrapper : kBase;
  };
  std::stable_sort(items.begin(), items.end(),
                   [&](const PlacedItem& a, const PlacedItem& b) { return stage(a) < stage(b); });
  std::vector<std::string> texts;
  for (const PlacedItem& each : items) texts.push_back(ItemText(each.item));
  const auto last_wrapper = std::find_if(items.rbegin(), items.rend(), [](const PlacedItem& each) {
    return ChangesBase(*each.method);
  });
  if (last_wrapper != items.rend() && !Has(items, Role::kBase)) {
    texts.emplace(texts.begin() + (items.rend() - last_wrapper), base);
  }
  if (!items.empty() && items.back().method->of_codec) texts.emplace_back(codec);
  return fmt::format("{}", fmt::join(texts, " + "));
}

std::vector<std::string> Recipes(std::vector<PlacedItem> items) {
  constexpr std::string_view kBase = "snapkv:budget=20%", kCodec = "kivi:bits=2";
  std::stable_partition(items.begin(), items.end(),
                        [](const PlacedItem& each) { return each.method->encodes; });
  std::vector<std::string> recipes = {InOrder(items, kBase, kCodec)};
  std::vector<PlacedItem> layers_last = items;  // a layer's budget is there before it is shared out
  std::stable_partition(layers_last.begin(), layers_last.end(), [](const PlacedItem& each) {
    return each.method->shares != Shares::kLayers;
  });
  recipes.push_back(InOrder(layers_last, kBase, kCodec));
  std::vector<PlacedItem> other_base = items;
  std::erase_if(other_base,
                [](const PlacedItem& each) { return each.method->role == Role::kBase; });
  if (std::any_of(items.begin(), items.end(),
                  [](const PlacedItem& each) { return ChangesBase(*each.method); })) {
    recipes.push_back(InOrder(other_base, kBase, kCodec));
  }
  for (size_t out = items.size(); out-- > 0 && items.size() > 1;) {
    std::vector<PlacedItem> others = items;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(out));
    recipes.push_back(InOrder(others, kBase, kCodec));
  }
  return recipes;
}

}  // namespace kvasir
