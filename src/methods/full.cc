// Keeps everything: the plain cache, and what every other method is measured against.
#include "methods/registry.h"

namespace kvasir {
namespace {

class Full final : public Method {
 public:
  void Compress(const LayerView&, Ops&, LayerPlan&) const override {}
};

Result<std::unique_ptr<Method>> Make(const Params&) { return std::make_unique<Full>(); }

}  // namespace

extern constinit const MethodInfo kFull = {
    .name = "full",
    .role = Role::kBase,
    .family = "none",
    .summary = "keeps every entry",
    .paper = "",
    .about =
        "The plain cache. Memory and time of a step grow with the text. Everything else is "
        "measured against it.",
    .example = "full",
    .params = {},
    .make = &Make,
};

}  // namespace kvasir
