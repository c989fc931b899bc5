// Keeps what the last `window` queries of the prompt look at. Li et al., NeurIPS 2024, arXiv
// 2404.14469. Moment: compress at the prompt's end; cost: the window's rows of attention once more.
//
// vote[j] = mean over window rows and over the group (group=max: its best) of softmax(q k)[j], j
// before the window; smoothed by 1-D pooling; the best budget - window entries stay, and the window
// itself. Differs from the paper's code: one set a KV head, not a query head (the sheet's engine
// rule).
#include <algorithm>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"budget", ParamKind::kBudget, "1024", "",
     "entries a KV head keeps, the window included, or a share of the prompt"},
    {"window", ParamKind::kInteger, "32", "1..1024", "last queries that vote, and stay"},
    {"kernel", ParamKind::kInteger, "21", "odd 1..63",
     "width of the pooling; 1: none; the paper's is 7"},
    {"pool", ParamKind::kWord, "max", "max|avg", "how neighbours share a vote"},
    {"group", ParamKind::kWord, "mean", "mean|max",
     "over the query heads of a KV head: the average vote, or the largest"},
    {"resnap", ParamKind::kFlag, "false", "true|false",
     "in a further turn vote again over what was kept and what is new; else the turn is added"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress",
     "kvpress: window 64, kernel 5, pool avg unless given"},
    WhenParam("prompt"),
};

class SnapKv final : public Method {
 public:
  SnapKv(Budget budget, int window, int kernel, PoolKind pool, GroupBy group, bool resnap,
         bool at_decode)
      : budget_(budget),
        window_(window),
        kernel_(kernel),
        pool_(pool),
        group_(group),
        resnap_(resnap),
        at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = window_, .at_decode = at_decode_};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    if (at.moment == Moment::kPromptEnd && !at.first_prompt && !resnap_) return;
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const int64_t rows = std::min<int64_t>(window_, at.n_last_queries);
    const auto votes = ops.Once(fmt::format("snapkv {} {} {} {}", rows, kernel_,
                                            pool_ == PoolKind::kMax, group_ == GroupBy::kMax),
                                [&] { return Votes(at, ops, rows); });
    for (int h = 0; h < plan.n_heads(); ++h) {
      plan.Score(h, (*votes)[h]);
      plan.ProtectLast(h, rows);
      plan.Budget(h, keep);
    }
  }

 private:
  std::vector<std::vector<float>> Votes(const LayerView& at, Ops& ops, int64_t rows) const {
    std::vector<std::vector<float>> votes =
        ops.AttentionMass(at, {.last_rows = rows, .over_group = group_});
    for (std::vector<float>& head : votes) {
      const int64_t n = std::ssize(head), window = std::min(rows, n);
      // The mean, not the sum: wrappers that add to scores (criticalkv) mean numbers below 1.
      for (float& vote : head) vote /= static_cast<float>(rows);
      const std::vector<float> pooled = Pool1d(std::span(head).first(n - window), kernel_, pool_);
      std::copy(pooled.begin(), pooled.end(), head.begin());
    }
    return votes;
  }

  const Budget budget_;
  const int window_, kernel_;
  const PoolKind pool_;
  const GroupBy group_;
  const bool resnap_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  const auto choose = [&](std::string_view name, int theirs) {
    return kvpress && !params.Given(name) ? theirs : static_cast<int>(params.GetInt(name));
  };
  KV_RETURN_IF_ERROR(CheckRoom("snapkv", params.GetBudget("budget"), choose("window", 64)));
  const bool mean = kvpress && !params.Given("pool") ? true : params.GetWord("pool") == "avg";
  const GroupBy group = params.GetWord("group") == "max" ? GroupBy::kMax : GroupBy::kMean;
  return std::make_unique<SnapKv>(params.GetBudget("budget"), choose("window", 64),
                                  choose("kernel", 5), mean ? PoolKind::kMean : PoolKind::kMax,
                                  group, params.GetFlag("resnap"),
                                  params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kSnapKv = {
    .name = "snapkv",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps the entries that the last queries of the prompt attend to",
    .paper = "arXiv 2404.14469",
    .about =
        "After the prompt each head keeps the entries that the last `window` tokens look at, with "
        "their neighbours, and the window itself. Decoding then costs the same at any prompt "
        "length. Good when the question stands at the end of the prompt; when the document is "
        "compressed first and questions come later, what they ask for may be gone. The budget "
        "holds at the prompt's end; generated tokens are added to it. A share of a prompt so short "
        "that the window fills it keeps the newest entries alone.",
    .example = "snapkv:budget=1024,window=16",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
