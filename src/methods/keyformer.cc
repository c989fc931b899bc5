// Keeps key tokens, chosen by accumulated regularised attention, and the most recent ones. Adnan et
// al., Keyformer, MLSys 2024, arXiv 2403.09054. Moment: compress at the prompt's end and after each
// generated token; cost: the whole attention matrix once more, block by block, and one row a step.
//
// S[j] = sum over queries of softmax((x + z) / tau)[j], mean over the group; x the logits, z Gumbel
// noise, tau 1 in the prompt and rising by `tau_step` with each generated token. Once tokens are
// gone a plain softmax gives the survivors too much; noise and temperature take that back. The last
// `recent` of the budget stay, and of the others those of the largest S. The output of attention is
// untouched.
//
// Differs from the paper's code: entries that leave the recent window compete for a place (there
// they are always lost, `freeze=true`); one set a KV head; noise once a token, as in the paper's
// formula, unless noise=element.
#include <limits>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    kBudgetParam,
    {"recent", ParamKind::kBudget, "30%", "",
     "the most recent entries that stay: a share of the budget, or a count"},
    {"noise", ParamKind::kWord, "token", "token|element|off",
     "Gumbel noise in the score: one draw a token and KV head, one for each query as well, none"},
    {"shared", ParamKind::kFlag, "false", "true|false",
     "noise=element: the query heads of a KV head share their draws"},
    {"tau", ParamKind::kNumber, "1", "0.01..100", "temperature of the prompt's softmax"},
    {"tau_end", ParamKind::kNumber, "2", "0.01..100",
     "temperature after `steps` tokens, and later"},
    {"steps", ParamKind::kInteger, "100", "1..1000000000",
     "generated tokens over which the temperature rises: the length you expect"},
    {"seed", ParamKind::kInteger, "0", "0..4294967295", "of the noise"},
    {"normalise", ParamKind::kFlag, "false", "true|false",
     "divide by how many queries can see an entry, which early ones have more of"},
    {"freeze", ParamKind::kFlag, "false", "true|false",
     "as the paper's code: what leaves the recent window while generating is lost"},
    WhenParam("always"),
};

class Keyformer final : public Method {
 public:
  Keyformer(Budget budget, Budget recent, MassRule rule, bool normalise, bool freeze,
            bool at_decode)
      : budget_(budget),
        recent_(recent),
        rule_(rule),
        normalise_(normalise),
        freeze_(freeze),
        at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.at_decode = at_decode_, .mass = true, .mass_rule = rule_};
  }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const int64_t recent = std::min(recent_.Of(keep), keep);
    for (int h = 0; h < plan.n_heads(); ++h) {
      const std::vector<int32_t> orders = at.heads[h].Orders();
      std::vector<float> score = at.mass[h];
      for (size_t i = 0; i < score.size(); ++i) {
        if (normalise_) score[i] /= static_cast<float>(at.n_prompt + at.n_generated - orders[i]);
        const bool fixed = freeze_ && at.moment == Moment::kDecode;
        if (fixed && orders[i] < at.n_prompt - recent) {
          score[i] = std::numeric_limits<float>::infinity();  // chosen at the prompt's end
        }
      }
      plan.ProtectLast(h, recent);
      plan.Score(h, std::move(score));
      plan.Budget(h, keep);
    }
  }

 private:
  const Budget budget_, recent_;
  const MassRule rule_;
  const bool normalise_, freeze_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const double first = params.GetNumber("tau"), last = params.GetNumber("tau_end");
  if (last < first) {
    return Fail("--kv \"keyformer:tau={},tau_end={}\": the temperature rises or stays", first,
                last);
  }
  const std::string_view noise = params.GetWord("noise");
  if (noise == "off") {
    KV_RETURN_IF_ERROR(params.Without({"seed", "shared"}, "noise=off draws nothing"));
  } else if (noise == "token") {
    KV_RETURN_IF_ERROR(params.Without({"shared"}, "noise=token has one draw a KV head"));
  }
  const MassRule rule{
      .noise = noise == "off"       ? NoiseKind::kNone
               : noise == "element" ? NoiseKind::kElement
                                    : NoiseKind::kToken,
      .shared_in_group = params.GetFlag("shared"),
      .seed = static_cast<uint32_t>(params.GetInt("seed")),
      .tau_first = static_cast<float>(first),
      .tau_last = static_cast<float>(last),
      .tau_step = static_cast<float>((last - first) / static_cast<double>(params.GetInt("steps")))};
  return std::make_unique<Keyformer>(params.GetBudget("budget"), params.GetBudget("recent"), rule,
                                     params.GetFlag("normalise"), params.GetFlag("freeze"),
                                     params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kKeyformer = {
    .name = "keyformer",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what regularised attention added up to, and the most recent entries",
    .paper = "arXiv 2403.09054",
    .about =
        "H2O with a softmax that noise and a rising temperature flatten, so that what survived "
        "early is not kept for having survived. Needs a second pass over the attention of the "
        "prompt (no N x N matrix), and one row of it a step; keeps a sum and a draw an entry. "
        "Bounds the cache while generating: every generated token takes the place of another. "
        "Good for summaries and long answers at half the cache and more; dialogue wants 80 to "
        "90 %. What one question asks for is lost like with `h2o`: use `snapkv` there. Results "
        "depend on `seed`; `noise=element` draws for every query and is many times slower.",
    .example = "keyformer:budget=20%",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
