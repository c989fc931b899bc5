// Cuts lazy layers, whose last queries look at little but the first and the most recent entries, to
// those; the other layers keep all. Zhang et al., SimLayerKV, arXiv 2410.13846. Moment: compress at
// the prompt's end (when=always: lazy layers go on dropping); cost: the last rows of attention once
// more.
//
// A layer is lazy where the attention of the last `last` queries, mean over all heads, on the first
// `sinks` and the last `recent` entries before those queries is above `threshold`. What is left
// then: `sinks` first and `recent` last entries, the judged queries' own among them.
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"threshold", ParamKind::kNumber, "90%", "0..1", "attention above which a layer is lazy"},
    {"recent", ParamKind::kInteger, "1024", "2..1000000", "last entries that a lazy layer keeps"},
    {"sinks", ParamKind::kInteger, "4", "0..65536", "first entries that a lazy layer keeps"},
    {"last", ParamKind::kInteger, "1", "1..64", "queries that are judged"},
    {"when", ParamKind::kWord, "prompt", "prompt|always",
     "cut lazy layers at the prompt's end only, or after each generated token too"},
};

class SimLayer final : public Method {
 public:
  SimLayer(double threshold, int64_t recent, int64_t sinks, int last, bool at_decode)
      : threshold_(threshold), recent_(recent), sinks_(sinks), last_(last), at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = last_, .at_decode = at_decode_};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t rows = std::min<int64_t>(last_, at.n_last_queries);
    // While generating a layer stays what it was found to be, unless a wrapper says when to look:
    // then every time, until it is lazy.
    const bool decoding = at.moment == Moment::kDecode, looks = !decoding || at.timed;
    if (!(decoding && WasCut(at)) && !(looks && IsLazy(at, ops, rows))) return;
    const int64_t newest = recent_ - rows;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const int64_t n = at.heads[h].size();
      if (n > sinks_ + newest) plan.Drop(h, sinks_, n - sinks_ - newest);
    }
  }

 private:
  // A layer that lacks tokens was found lazy, and stays so.
  static bool WasCut(const LayerView& at) {
    return at.heads[0].size() < at.n_prompt + at.n_generated;
  }

  bool IsLazy(const LayerView& at, Ops& ops, int64_t rows) const {
    if (at.Fits(sinks_ + recent_ + rows)) return false;
    const auto mass = ops.AttentionMass(at, {.last_rows = rows});
    double seen = 0;
    for (const std::vector<float>& head : mass) {
      const auto end = static_cast<int64_t>(head.size()) - rows;
      const int64_t recent = std::max(sinks_, end - recent_);
      seen += std::accumulate(head.begin(), head.begin() + std::min(sinks_, end), 0.0);
      seen += std::accumulate(head.begin() + recent, head.begin() + end, 0.0);
    }
    return seen / static_cast<double>(rows * std::ssize(mass)) > threshold_;
  }

  const double threshold_;
  const int64_t recent_, sinks_;
  const int last_;
  const bool at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  if (params.GetInt("last") >= params.GetInt("recent")) {
    return Fail("--kv \"simlayer:recent={},last={}\": recent has to be larger than last",
                params.GetInt("recent"), params.GetInt("last"));
  }
  return std::make_unique<SimLayer>(params.GetNumber("threshold"), params.GetInt("recent"),
                                    params.GetInt("sinks"), static_cast<int>(params.GetInt("last")),
                                    params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kSimLayer = {
    .name = "simlayer",
    .role = Role::kBase,
    .family = "evict",
    .summary = "cuts lazy layers to their first and most recent entries, keeps the others whole",
    .paper = "arXiv 2410.13846",
    .about =
        "Some layers look at little but the sinks and the last words; those need no more. The "
        "others keep everything, so retrieval hardly suffers, and memory falls by what the lazy "
        "layers had: how much is known only after the prompt, and `threshold` is set a model at a "
        "time. With when=always the lazy layers stay that small while generating. Has no budget, "
        "so wrappers that share budgets do not apply.",
    .example = "simlayer:threshold=80%,recent=256",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
