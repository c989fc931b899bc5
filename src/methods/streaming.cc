// Keeps the first `sinks` entries and the most recent ones. Xiao et al., ICLR 2024, arXiv
// 2309.17453. Moment: compress, by position alone; costs nothing. The paper caches keys before
// rotation and numbers them by their place in the cache: stack `renumber` for that.
#include <algorithm>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"sinks", ParamKind::kInteger, "4", "0..65536", "first entries that always stay"},
    WhenParam("always"),
};

class Streaming final : public Method {
 public:
  Streaming(Budget budget, int64_t sinks, bool at_decode)
      : budget_(budget), sinks_(sinks), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = at_decode_}; }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    for (size_t h = 0; h < at.heads.size(); ++h) {
      const int64_t n = at.heads[h].size();
      const int64_t keep = budget_.Of(at.shares_of);
      if (n <= keep) continue;
      const int64_t sinks = std::min(sinks_, keep - 1);  // the newest entry always stays
      plan.Drop(static_cast<int>(h), sinks, n - keep);
    }
  }

 private:
  const Budget budget_;
  const int64_t sinks_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_RETURN_IF_ERROR(CheckSinks("streaming", params));
  return std::make_unique<Streaming>(params.GetBudget("budget"), params.GetInt("sinks"),
                                     params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kStreaming = {
    .name = "streaming",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps the first entries (sinks) and a window of the most recent ones",
    .paper = "arXiv 2309.17453",
    .about =
        "Bounds the cache at any length of text: the first entries take the attention that a "
        "softmax has to put somewhere, the window carries the fluent context. What lies between "
        "is lost, so it answers no question about the middle of a document. Needs nothing, costs "
        "nothing. A token attends first and takes the oldest entry's place then, so it sees "
        "`budget` entries and itself; the paper's code evicts first. Positions stay true; stack "
        "`renumber` for the paper's positions inside the "
        "cache, which a stream longer than the trained context needs.",
    .example = "renumber + streaming:budget=1024",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
