// Gives what the base keeps the positions 0, 1, 2, … in the order of the text; new tokens go on
// from there. StreamingLLM section 3.2; kvpress KeyRerotation. Keys that move together are not
// rewritten: the query is rotated the other way. Others are rotated once, then as they are read.
#include "methods/registry.h"

namespace kvasir {
namespace {

class Renumber final : public Method {
 public:
  Needs needs(const ModelInfo&) const override { return {.moves = true}; }

  void Compress(const LayerView&, Ops&, LayerPlan& plan) const override { plan.Renumber(); }
};

Result<std::unique_ptr<Method>> Make(const Params&) { return std::make_unique<Renumber>(); }

}  // namespace

extern constinit const MethodInfo kRenumber = {
    .name = "renumber",
    .role = Role::kWrapper,
    .family = "positions",
    .summary = "numbers what the base keeps 0, 1, 2, … so that positions have no gaps",
    .paper = "arXiv 2309.17453",
    .about =
        "Closes the gaps that eviction leaves in the positions, so that a text longer than the "
        "trained context never sees an angle it was not trained on. Distances between what is "
        "kept shrink, which costs quality where the model reads them (numbered lists, code).",
    .example = "renumber + streaming:budget=1024",
    .params = {},
    .make = &Make,
};

}  // namespace kvasir
