// Keeps the whole cache of the few heads that fetch things from far away, and of all others the
// first entries, a buffer of recent ones and one compensation entry: the mean of what went. Tang et
// al., RazorAttention, ICLR 2025, arXiv 2407.15891. Moment: compress at the prompt's end and while
// generating; cost: reads once what goes.
//
// The heads that retrieve are a property of the model, found once by `kvasir inspect --find-heads`:
// the best `induction` of all heads by their attention to what followed an earlier copy of the
// token, and the best `echo` by attention to the copy itself.
// Buffer of N tokens: max(min_buffer, floor(share * N)), or what `budget` leaves. While generating
// the oldest of the buffer are folded kSlack at a time.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr int64_t kSlack = 64;        // entries folded together: a page
constexpr int64_t kLeastBuffer = 16;  // where whole heads alone use up a budget

constexpr ParamInfo kParams[] = {
    {"heads", ParamKind::kText, "auto", "",
     "side file with the model's retrieval heads; auto: where --find-heads auto puts it"},
    {"budget", ParamKind::kBudget, "auto", "",
     "entries a KV head keeps on average over all heads, or a share of the prompt; auto: by "
     "min_buffer and share"},
    {"min_buffer", ParamKind::kInteger, "4000", "1..1000000000", "recent entries at least"},
    {"share", ParamKind::kNumber, "20%", "0..1", "recent entries, as a share of the text"},
    {"sinks", ParamKind::kInteger, "4", "0..1000000", "first entries that stay"},
    {"induction", ParamKind::kNumber, "14%", "0..1", "share of heads taken by induction score"},
    {"echo", ParamKind::kNumber, "1%", "0..1", "share of heads taken by echo score"},
    {"compensate", ParamKind::kWord, "count", "count|one|off",
     "the mean of what went counts as often as there were entries, once, or not at all"},
    {"when", ParamKind::kWord, "always", "prompt|always",
     "fold at the prompt's end only, or while generating too"},
};

enum class Compensate : uint8_t { kCount, kOne, kOff };

struct Options {
  std::string heads;
  std::optional<Budget> budget;
  int64_t min_buffer = 4000, sinks = 4;
  double share = 0.2, induction = 0.14, echo = 0.01;
  Compensate compensate = Compensate::kCount;
  bool always = true;
};

// Marks the best round(share * heads) by score; of equals the lower (layer, head). Heads of
// negative score are of layers that look back a fixed way only: they are not ranked and not
// counted.
void MarkBest(std::span<const float> scores, double share, std::vector<bool>& marked) {
  std::vector<int32_t> ranked;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] >= 0) ranked.push_back(static_cast<int32_t>(i));
  }
  const auto n = static_cast<int64_t>(std::llround(share * static_cast<double>(ranked.size())));
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  for (int64_t i = 0; i < n; ++i) marked[ranked[i]] = true;
}

class Razor final : public Method {
 public:
  explicit Razor(Options options) : o_(std::move(options)) {}

  Needs needs(const ModelInfo&) const override { return {.at_decode = o_.always}; }

  std::optional<SideFileWish> side_file() const override {
    return SideFileWish{o_.heads, "razor-heads",
                        fmt::format("`kvasir inspect --find-heads {}`", o_.heads)};
  }

  Status Bind(const ModelInfo& model, const SideFile* file) override {
    KV_ASSIGN_OR_RETURN(const SideTensor* induction,
                        file->Tensor("induction", {model.n_layers, model.n_kv_heads}));
    KV_ASSIGN_OR_RETURN(const SideTensor* echo,
                        file->Tensor("echo", {model.n_layers, model.n_kv_heads}));
    retrieves_.assign(induction->values.size(), false);
    MarkBest(induction->values, o_.induction, retrieves_);
    MarkBest(echo->values, o_.echo, retrieves_);
    n_ranked_ = std::count_if(echo->values.begin(), echo->values.end(),
                              [](float score) { return score >= 0; });
    const double full = static_cast<double>(n_retrieving()) / static_cast<double>(n_ranked_);
    if (o_.budget && o_.budget->share > 0 && o_.budget->share <= full) {
      return Fail(
          "razor keeps {} of {} heads whole, so a budget of {:.0f}% is not to be had; raise it, or "
          "lower induction",
          n_retrieving(), n_ranked_, 100 * o_.budget->share);
    }
    return {};
  }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    const int64_t n_tokens = at.n_prompt + at.n_generated;
    const int64_t buffer = Buffer(at, n_tokens);
    const int64_t slack = at.moment == Moment::kDecode && !at.timed ? kSlack : 0;
    for (int h = 0; h < plan.n_heads(); ++h) {
      if (Retrieves(at, h)) continue;
      const HeadCache& head = at.heads[h];
      const int64_t first = std::min(o_.sinks, n_tokens) + (head.n_folded() > 0 ? 1 : 0);
      const int64_t recent = head.size() - first;
      if (recent <= buffer + slack) continue;
      // At a decode step a whole slack goes, and what a growing buffer leaves of it stays.
      const int64_t n = slack > 0 ? std::min(slack, recent - buffer) : recent - buffer;
      if (o_.compensate == Compensate::kOff) {
        plan.Drop(h, first, n);
      } else {
        plan.Fold(h, first, n, o_.compensate == Compensate::kCount);
      }
    }
  }

 private:
  int64_t n_retrieving() const { return std::count(retrieves_.begin(), retrieves_.end(), true); }

  // Without a model (an explanation) as many heads as would retrieve, the first ones.
  bool Retrieves(const LayerView& at, int h) const {
    const int64_t index = int64_t{at.layer} * at.model.n_kv_heads + h;
    if (!retrieves_.empty()) return retrieves_[index];
    return index < std::llround((o_.induction + o_.echo) * NumHeads(at.model));
  }
  static int64_t NumHeads(const ModelInfo& model) {
    return int64_t{model.n_layers} * model.n_kv_heads;
  }

  // Recent entries that a head keeps.
  int64_t Buffer(const LayerView& at, int64_t n_tokens) const {
    if (!o_.budget) {
      const double shared = o_.share * static_cast<double>(n_tokens);
      return std::max(o_.min_buffer, static_cast<int64_t>(shared + 1e-9));
    }
    const bool bound = !retrieves_.empty();
    const int64_t n_heads = bound ? n_ranked_ : NumHeads(at.model);
    const int64_t n_full =
        bound ? n_retrieving()
              : std::llround((o_.induction + o_.echo) * static_cast<double>(n_heads));
    // A share is of the text so far, as the paper's buffer is: what the whole heads take grows too.
    const int64_t budget = o_.budget->Of(n_tokens);
    if (n_full == n_heads || budget >= n_tokens) return n_tokens;
    const int64_t local = (budget * n_heads - n_tokens * n_full) / (n_heads - n_full);
    const int64_t extra = o_.compensate == Compensate::kOff ? 0 : 1;
    return std::max(local - o_.sinks - extra, kLeastBuffer);
  }

  const Options o_;
  std::vector<bool> retrieves_;  // [layer * kv_heads + head]; empty: not bound
  int64_t n_ranked_ = 0;         // heads that can retrieve
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const std::string_view compensate = params.GetWord("compensate");
  Options o{.heads = std::string(params.GetText("heads")),
            .budget = {},
            .min_buffer = params.GetInt("min_buffer"),
            .sinks = params.GetInt("sinks"),
            .share = params.GetNumber("share"),
            .induction = params.GetNumber("induction"),
            .echo = params.GetNumber("echo"),
            .compensate = compensate == "count" ? Compensate::kCount
                          : compensate == "one" ? Compensate::kOne
                                                : Compensate::kOff,
            .always = params.GetWord("when") == "always"};
  if (!params.Auto("budget")) {
    KV_RETURN_IF_ERROR(
        params.Without({"min_buffer", "share"}, "budget says how long the buffer is"));
    o.budget = params.GetBudget("budget");
  }
  return std::make_unique<Razor>(std::move(o));
}

}  // namespace

extern constinit const MethodInfo kRazor = {
    .name = "razor",
    .role = Role::kBase,
    .family = "evict",
    .summary = "the heads that retrieve keep all; the others a window and the mean of what went",
    .paper = "arXiv 2407.15891",
    .about =
        "Which heads fetch things from far away is a property of the model: `kvasir inspect "
        "--find-heads auto` finds them once, from random tokens, and keeps them in a side file. "
        "They keep everything; the other heads keep sinks, a buffer and one compensation entry, "
        "the mean key and value of all they dropped, which counts in attention as often as it has "
        "members. Nothing depends on the question, so further turns are safe, and no attention "
        "scores are needed. By default the buffer is 4000 entries or a fifth of the text, so that "
        "texts below that are kept whole: give a budget to save on shorter ones. Models with few "
        "KV heads lose more where a head is misjudged: raise induction there, and the budget with "
        "it. A budget is exceeded where the whole heads alone hold more, as with a count, or the "
        "sinks of a short prompt; the others then keep sinks and a buffer of 16. Random tokens "
        "show the heads that go on with a repeated "
        "text at the token after its copy; heads that look "
        "things up in another way are missed, and --find-heads warns where none stands out: "
        "--probe number then asks a text for a number (docs/methods-findings.md). heads= reads any "
        "file of that form.",
    .example = "razor:budget=30%",
    .params = kParams,
    .make = &Make,
    .takes_evicted = true,
};

}  // namespace kvasir
