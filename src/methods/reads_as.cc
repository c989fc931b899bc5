#include "methods/reads_as.h"

#include <algorithm>

namespace kvasir {

Result<std::string> ReadsAs(std::string_view spec, std::span<const MethodInfo* const> more) {
  KV_ASSIGN_OR_RETURN(const std::vector<SpecItem> items, ParseSpec(spec));
  std::string text;
  bool any = false;
  for (const SpecItem& item : items) {
    const bool own = std::any_of(more.begin(), more.end(),
                                 [&](const MethodInfo* info) { return info->name == item.name; });
    const MethodInfo* info = own ? nullptr : FindMethod(item.name);
    const bool stands = info != nullptr && info->stands_for != nullptr;
    any = any || stands;
    std::string part = ItemText(item);
    if (stands) {
      KV_ASSIGN_OR_RETURN(const Params params, Params::Check(item, info->params));
      KV_ASSIGN_OR_RETURN(part, info->stands_for(params));
    }
    text += (text.empty() ? "" : " + ") + part;
  }
  return any ? text : std::string(spec);
}

}  // namespace kvasir
