// Keeps what the last queries (the question) attend to, weighted by how many entries each saw.
// Corallo and Papotti, FINCH, TACL 2024, arXiv 2408.00167. Moment: compress at the prompt's end;
// cost: the window's rows of attention once more.
//
// score[j] = mean over window rows and the group of (entries that row sees) softmax(q k)[j].
// Differs from the paper: the whole prompt at once, not chunk after chunk in front of the question;
// kvpress's FinchPress does the same.
#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"budget", ParamKind::kBudget, "1024", "",
     "entries a KV head keeps, the window included, or a share of the prompt"},
    {"window", ParamKind::kInteger, "32", "1..1024", "tokens of the question; they stay"},
    {"normalize", ParamKind::kFlag, "true", "true|false",
     "weigh a row by the entries it sees, so that rows count alike"},
    {"renumber", ParamKind::kFlag, "true", "true|false",
     "what stays gets the positions 0, 1, 2, …, as in the paper"},
    WhenParam("prompt"),
};

class Finch final : public Method {
 public:
  Finch(Budget budget, int window, bool normalize, bool renumber, bool at_decode)
      : budget_(budget),
        window_(window),
        normalize_(normalize),
        renumber_(renumber),
        at_decode_(at_decode) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = window_, .at_decode = at_decode_, .moves = renumber_};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int64_t keep = budget_.Of(at.shares_of);
    if (at.Fits(keep)) return;
    const int64_t rows = std::min<int64_t>(window_, at.n_last_queries);
    std::vector<float> weight(rows, 1.0f);
    for (int64_t i = 0; i < rows && normalize_; ++i) {
      weight[i] = static_cast<float>(at.heads[0].size() - rows + i);
    }
    std::vector<std::vector<float>> votes =
        ops.AttentionMass(at, {.last_rows = rows, .row_weight = weight});
    for (int h = 0; h < plan.n_heads(); ++h) {
      for (float& vote : votes[h]) vote /= static_cast<float>(rows);
      plan.Score(h, std::move(votes[h]));
      plan.ProtectLast(h, rows);
      plan.Budget(h, keep);
    }
    if (renumber_) plan.Renumber();
  }

 private:
  const Budget budget_;
  const int window_;
  const bool normalize_, renumber_, at_decode_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_RETURN_IF_ERROR(CheckRoom("finch", params.GetBudget("budget"), params.GetInt("window")));
  return std::make_unique<Finch>(
      params.GetBudget("budget"), static_cast<int>(params.GetInt("window")),
      params.GetFlag("normalize"), params.GetFlag("renumber"), params.GetWord("when") == "always");
}

}  // namespace

extern constinit const MethodInfo kFinch = {
    .name = "finch",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps what the question at the prompt's end attends to, and closes the gaps",
    .paper = "arXiv 2408.00167",
    .about =
        "Made for a document with a question after it: `window` should be the question's length. "
        "Single entries are kept, without their neighbours, and renumbered, so a long document "
        "fits a short trained context. A number of several tokens may lose some of them; `snapkv` "
        "pools and `chunkkv` keeps whole spans. Other questions cannot be answered afterwards. "
        "A share of a prompt so short that the window fills it keeps the newest entries alone.",
    .example = "finch:budget=20%,window=32",
    .params = kParams,
    .make = &Make,
    .scored = true,
};

}  // namespace kvasir
