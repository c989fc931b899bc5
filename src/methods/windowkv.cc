// Keeps whole windows of consecutive tokens, chosen once for a group of neighbouring layers. Zuo et
// al., WindowKV, arXiv 2503.17922. Moment: compress at the prompt's end (when=always: also after
// each page of generated tokens); cost: the last `window` rows of attention once more, in one layer
// of each group.
//
// t[h, j] = sum over the last `window` queries of softmax(q k)[j] of query head h; a review
// window's score is the mean of its `top` largest t, averaged over all query heads. Review budget
// b: ceil((r - b) / size) windows of the r tokens before the last go, so b + size - 1 at most stay.
// Windows begin at multiples of `size` in the text, so what was kept is whole in a later choice.
// Budgets fall over the groups from `first` to `last` (pyramid=code: last = C gamma / lambda, in
// whole numbers, which the paper's tables fit; pyramid=paper: C / lambda).
//
// Differs from the paper: the task is a parameter, not a classifier's guess; the first window stays
// (first_window=false as published); `budget` includes the last tokens, which the paper adds.
#include <cmath>
#include <numeric>

#include "methods/evict_params.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"budget", ParamKind::kBudget, "1024", "",
     "entries a KV head keeps on average over the layers, the last tokens included"},
    {"task", ParamKind::kWord, "locate", "locate|aggregate",
     "locate (questions): all of a window counts; aggregate (summaries, code): its best half"},
    {"size", ParamKind::kInteger, "0", "0..4096",
     "tokens a review window; 0: 8 to locate, 16 to aggregate"},
    {"window", ParamKind::kInteger, "0", "0..1024",
     "last queries that vote, and stay; 0: 16 to locate, 32 to aggregate"},
    {"top", ParamKind::kInteger, "0", "0..4096",
     "tokens of a window that count; 0: all to locate, half to aggregate"},
    {"layers", ParamKind::kInteger, "8", "1..1024", "layers that share a choice"},
    {"lambda", ParamKind::kInteger, "14", "2..1024", "steepness of the budgets over the groups"},
    {"pyramid", ParamKind::kWord, "code", "code|paper|flat", "how budgets fall over the groups"},
    {"heads", ParamKind::kWord, "mean", "mean|max", "over query heads: the average, or the best"},
    {"first_window", ParamKind::kFlag, "true", "true|false", "the first review window stays"},
    {"when", ParamKind::kWord, "prompt", "prompt|always",
     "act at the first prompt's end only, or in later turns and while generating too"},
};

struct Settings {
  Budget budget;
  int64_t size, window, top, layers, lambda;
  bool code, flat, best_head, first_window, always;
};

class WindowKv final : public Method {
 public:
  explicit WindowKv(const Settings& settings) : set_(settings) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = static_cast<int>(set_.window), .at_decode = set_.always, .notes = true};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    if (at.moment == Moment::kPromptEnd && !at.first_prompt && !set_.always) return;
    const int64_t n = at.heads[0].size();
    const int64_t allowed = set_.budget.Of(at.shares_of);
    const int64_t rows = std::min<int64_t>({set_.window, at.n_last_queries, n, allowed});
    const int64_t review = n - rows;
    const auto [place, n_layers] = Place(at);  // among the layers without a sliding window
    const int64_t total = std::max<int64_t>(0, allowed - set_.window);
    const int64_t budget = GroupBudget(total, place / set_.layers, n_layers);
    if (review <= budget) return;
    // One choice a page of generated tokens, not one a token.
    const bool waits = at.moment == Moment::kDecode && !at.timed;
    if (waits && review < budget + set_.size + kPageEntries) return;
    const int64_t leader = Leader(at, place);
    if (leader == at.layer) at.notes[at.layer] = Choose(at, ops, rows, review, budget);
    std::vector<int32_t> keep = at.notes[leader];
    for (int64_t i = review; i < n; ++i) keep.push_back(static_cast<int32_t>(i));
    for (int h = 0; h < plan.n_heads(); ++h) plan.Keep(h, keep);
  }

 private:
  static std::pair<int64_t, int64_t> Place(const LayerView& at) {
    const std::span<const int> full = at.model.full_layers;
    if (full.empty()) return {at.layer, at.model.n_layers};
    const auto found = std::lower_bound(full.begin(), full.end(), at.layer);
    return {found - full.begin(), static_cast<int64_t>(full.size())};
  }
  int64_t Leader(const LayerView& at, int64_t place) const {
    const int64_t first = place - place % set_.layers;
    return at.model.full_layers.empty() ? first : at.model.full_layers[first];
  }

  // Review tokens that a layer of a group keeps, where the average is `c`.
  int64_t GroupBudget(int64_t c, int64_t group, int64_t n_layers) const {
    const int64_t n_groups = (n_layers + set_.layers - 1) / set_.layers;
    if (n_groups == 1 || set_.flat) return c;
    const auto of = [&](int64_t i) {
      if (!set_.code) {
        const double c_real = static_cast<double>(c);
        const double last = c_real / static_cast<double>(set_.lambda), first = 2 * c_real - last;
        return first - static_cast<double>(i) * (first - last) / static_cast<double>(n_groups - 1);
      }
      const int64_t last = c * set_.layers / set_.lambda, first = 2 * c - last;
      const int64_t step = (first - last) / (n_groups - 1);
      return static_cast<double>(i + 1 == n_groups ? last : first - i * step);
    };
    const int64_t short_by = n_groups * set_.layers - n_layers;
    if (short_by == 0) return static_cast<int64_t>(of(group));
    // The last group is short: the average over the layers stays c.
    double sum = 0;
    for (int64_t i = 0; i < n_groups; ++i) {
      sum += of(i) * static_cast<double>(set_.layers - (i + 1 == n_groups ? short_by : 0));
    }
    return static_cast<int64_t>(of(group) * static_cast<double>(c * n_layers) / std::max(1.0, sum));
  }

  // The review entries that stay, ascending.
  std::vector<int32_t> Choose(const LayerView& at, Ops& ops, int64_t rows, int64_t review,
                              int64_t budget) const {
    const std::vector<int64_t> begins = Windows(at.heads[0].Orders(), review);
    const int64_t n_windows = std::ssize(begins) - 1;
    const int64_t drop = (review - budget + set_.size - 1) / set_.size;
    if (drop * set_.size >= review) return {};
    const auto votes = ops.AttentionMass(at, {.last_rows = rows, .over_group = GroupBy::kNone});
    std::vector<double> scores(n_windows);
    for (const std::vector<float>& vote : votes) {
      for (int64_t w = 0; w < n_windows; ++w) {
        const int64_t size = begins[w + 1] - begins[w];
        const double score = MeanOfTop(std::span(vote).subspan(begins[w], size));
        scores[w] = set_.best_head ? std::max(scores[w], score) : scores[w] + score;
      }
    }
    if (set_.first_window) scores[0] = INFINITY;
    std::vector<int32_t> order(n_windows);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    order.resize(n_windows - drop);
    std::sort(order.begin(), order.end());
    std::vector<int32_t> entries;
    for (int64_t w : order) {
      for (int64_t i = begins[w]; i < begins[w + 1]; ++i) {
        entries.push_back(static_cast<int32_t>(i));
      }
    }
    return entries;
  }

  // Where the windows of the first `review` entries begin, and the end of the last.
  std::vector<int64_t> Windows(const std::vector<int32_t>& orders, int64_t review) const {
    std::vector<int64_t> begins;
    for (int64_t i = 0; i < review; ++i) {
      if (i == 0 || orders[i] / set_.size != orders[i - 1] / set_.size) begins.push_back(i);
    }
    begins.push_back(review);
    return begins;
  }

  double MeanOfTop(std::span<const float> window) const {
    std::vector<float> t(window.begin(), window.end());
    const int64_t n = std::min<int64_t>(set_.top, static_cast<int64_t>(t.size()));
    std::partial_sort(t.begin(), t.begin() + n, t.end(), std::greater<>());
    return std::accumulate(t.begin(), t.begin() + n, 0.0) / static_cast<double>(n);
  }

  const Settings set_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool locate = params.GetWord("task") == "locate";
  const auto choose = [&](std::string_view name, int64_t ours) {
    return params.GetInt(name) > 0 ? params.GetInt(name) : ours;
  };
  Settings set{.budget = params.GetBudget("budget"),
               .size = choose("size", locate ? 8 : 16),
               .window = choose("window", locate ? 16 : 32),
               .top = 0,
               .layers = params.GetInt("layers"),
               .lambda = params.GetInt("lambda"),
               .code = params.GetWord("pyramid") == "code",
               .flat = params.GetWord("pyramid") == "flat",
               .best_head = params.GetWord("heads") == "max",
               .first_window = params.GetFlag("first_window"),
               .always = params.GetWord("when") == "always"};
  KV_RETURN_IF_ERROR(CheckRoom("windowkv", set.budget, set.window));
  if (set.flat) {
    KV_RETURN_IF_ERROR(params.Without({"lambda"}, "pyramid=flat gives all layers the same"));
  }
  set.top = choose("top", locate ? set.size : std::max<int64_t>(1, set.size / 2));
  if (set.top > set.size) {
    return Fail("--kv \"windowkv:top={}\": a window has {} tokens; write top=1..{}", set.top,
                set.size, set.size);
  }
  if (set.code && set.layers > set.lambda) {
    return Fail(
        "--kv \"windowkv:layers={},lambda={}\": upper layers would have more than lower ones; "
        "write a larger lambda, or pyramid=paper or flat",
        set.layers, set.lambda);
  }
  return std::make_unique<WindowKv>(set);
}

}  // namespace

extern constinit const MethodInfo kWindowKv = {
    .name = "windowkv",
    .role = Role::kBase,
    .family = "evict",
    .summary = "keeps whole windows of the text, one choice for a group of layers",
    .paper = "arXiv 2503.17922",
    .about =
        "Looks at the last tokens' attention like `snapkv`, but keeps or drops windows of 8 or 16 "
        "tokens, the same in all heads of `layers` neighbouring layers, so scoring costs a "
        "`layers`-th of SnapKV's and pages stay full. Lower layers get more of the budget. Say "
        "what the prompt is for: task=locate for questions, aggregate for summaries and code. "
        "Loses to token-wise methods on summaries at small budgets, since a window's weak tokens "
        "cost as much as its strong ones, and where single heads find what others do not "
        "(heads=max helps). Generated tokens and later turns are added to the budget "
        "(when=always: they are windows like all others). A share of a prompt so short that the "
        "last tokens fill it keeps the newest of those alone.",
    .example = "windowkv:budget=1024,task=locate",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
