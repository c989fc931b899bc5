// Runs a base every n generated tokens instead of at the prompt's end: kvpress's DecodingPress.
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"every", ParamKind::kInteger, "128", "1..1000000", "generated tokens between two cuts"},
    {"prompt", ParamKind::kFlag, "false", "true|false", "cut at the prompt's end too"},
};

class Decode final : public Method {
 public:
  Decode(int64_t every, bool prompt) : every_(every), prompt_(prompt) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = true}; }
  std::optional<bool> Acts(const LayerView& at) const override {
    if (at.moment == Moment::kPromptEnd) return prompt_;
    return at.n_generated % every_ == 0;
  }
  void Compress(const LayerView&, Ops&, LayerPlan&) const override {}

 private:
  const int64_t every_;
  const bool prompt_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Decode>(params.GetInt("every"), params.GetFlag("prompt"));
}

}  // namespace

extern constinit const MethodInfo kDecode = {
    .name = "decode",
    .role = Role::kWrapper,
    .family = "moment",
    .summary = "cuts back to the base's budget every n generated tokens",
    .paper = "",
    .about =
        "For long answers and chains of thought: the prompt is kept, and the whole cache is cut to "
        "the base's budget after every n generated tokens, so it never exceeds budget + n once the "
        "first cut is made: when a base itself would act (its `when`), and what it lets gather "
        "between cuts (the `every` of rkv and trimkv), counts for nothing here. Any base goes, "
        "`finch` with renumber=false; `simlayer` judges its layers at each cut, until they are "
        "lazy. A budget given as a share is of the prompt. Between cuts nothing is computed but "
        "what the base collects.",
    .example = "decode:every=128 + tova:budget=512",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
