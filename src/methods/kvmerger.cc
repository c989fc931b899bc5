// Merges runs of neighbouring entries whose keys are alike. Wang et al., KVMerger, arXiv
// 2407.08454. Moment: compress at the prompt's end (when=always: also each time the tail has grown
// by `tail`); cost: the attention mass of all queries, one pass over the keys.
//
// A set's entries become one at the place of its pivot, the one with the most attention (of equals
// the latest): key and value are means weighted by g_i = exp(-|k_p - k_i|^2 / (2 sigma^2)), times
// the tokens that an entry stands for. Values: see `scaling`.
// Differs from the paper: its formula for sigma is circular, so its best constant, 5, is the
// default; the first entries are protected; `budget` is met exactly, on average over the layers; no
// layer is left whole unless asked for (skip=auto), since the others pay for it.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "methods/adjacent_sets.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"budget", ParamKind::kBudget, "50%", "",
     "entries a KV head keeps on average over the layers, or a share of the prompt"},
    {"mode", ParamKind::kWord, "target", "target|threshold",
     "meet the budget, or merge whatever is more alike than eps"},
    {"eps", ParamKind::kNumber, "0.75", "-1..1", "threshold: cosine above which neighbours merge"},
    {"sigma", ParamKind::kNumber, "5", "0..1000000", "width of the kernel; see kernel"},
    {"kernel", ParamKind::kWord, "fixed", "fixed|two_pass|rms",
     "sigma as given, from the set's own weights, or its root mean square distance"},
    {"scaling", ParamKind::kWord, "mean_logn", "paper|mean|mean_logn",
     "value: n times the mean, the mean, or the mean with log n added to the logit"},
    {"recent", ParamKind::kNumber, "auto", "0..1", "share of the newest entries, never merged"},
    {"heavy", ParamKind::kNumber, "auto", "0..1",
     "share of those with the most attention, never merged"},
    {"sinks", ParamKind::kInteger, "4", "0..65536", "first entries, never merged"},
    {"longest", ParamKind::kInteger, "8", "2..1000000", "entries a set, at first"},
    {"gap", ParamKind::kNumber, "1", "0..1", "most that neighbours' key norms differ by (a share)"},
    {"skip", ParamKind::kWord, "none", "none|auto",
     "auto: the first two layers and the last stay whole, where the others can make up for it"},
    {"queries", ParamKind::kInteger, "0", "0..1024", "last queries that vote; 0: all"},
    {"when", ParamKind::kWord, "prompt", "prompt|always",
     "merge at the prompt's end only, or while generating too"},
    {"tail", ParamKind::kInteger, "256", "1..1000000", "when=always: entries above the budget"},
};

enum class Kernel : uint8_t { kFixed, kTwoPass, kRms };
enum class Scaling : uint8_t { kPaper, kMean, kMeanLogN };

struct Options {
  Budget budget;
  bool to_target = true, skip = true, always = false;
  float eps = 0.75f, gap = 1;
  double sigma = 5;
  Kernel kernel = Kernel::kFixed;
  Scaling scaling = Scaling::kMeanLogN;
  std::optional<double> recent, heavy;  // shares; none: by the budget
  int64_t sinks = 4, longest = 8, tail = 256;
  int queries = 0;
};

// The paper's shares at budgets of 50 % and 35 %, on straight lines through them and zero.
double ShareAt(double budget, double at_35, double at_50) {
  if (budget >= 0.5) return at_50;
  if (budget <= 0.35) return at_35 * budget / 0.35;
  return at_35 + (at_50 - at_35) * (budget - 0.35) / 0.15;
}

// Weights of a set's members [first, end) around its pivot, by the kernel: the largest is 1.
std::vector<double> KernelWeights(const Options& o, std::span<const float> keys, int64_t dim,
                                  int64_t first, int64_t end, int64_t pivot) {
  const auto n = static_cast<double>(end - first);
  std::vector<double> square(end - first), g(end - first);
  for (int64_t i = first; i < end; ++i) {
    for (int64_t c = 0; c < dim; ++c) {
      const double difference = double{keys[pivot * dim + c]} - keys[i * dim + c];
      square[i - first] += difference * difference;
    }
  }
  const auto weigh = [&](double variance) {
    for (size_t i = 0; i < g.size(); ++i) {
      g[i] = square[i] == 0 ? 1 : std::exp(-square[i] / (2 * variance));
    }
  };
  const double mean_square = std::accumulate(square.begin(), square.end(), 0.0) / n;
  weigh(o.kernel == Kernel::kFixed ? o.sigma * o.sigma : mean_square);
  if (o.kernel == Kernel::kTwoPass) {
    const double sum = std::accumulate(g.begin(), g.end(), 0.0);
    const double sigma = std::max(1e-8, sum / (std::sqrt(2.0) * n));
    weigh(sigma * sigma);
  }
  return g;
}

class KvMerger final : public Method {
 public:
  explicit KvMerger(const Options& options) : o_(options) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = o_.queries, .at_decode = o_.always, .mass = o_.queries == 0};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const std::optional<int64_t> target = Target(at);
    if (!target) return;
    if (o_.to_target && at.Fits(*target, o_.tail)) return;
    // At a threshold there is no number to grow from: the tail is counted in tokens.
    const bool waits = at.moment == Moment::kDecode && !at.timed;
    if (!o_.to_target && waits && at.n_generated % o_.tail != 0) return;
    std::vector<std::vector<float>> mass(at.mass.begin(), at.mass.end());
    if (o_.queries > 0) {
      const int64_t rows = std::min<int64_t>(o_.queries, at.n_last_queries);
      mass = ops.AttentionMass(at, {.last_rows = rows});
    }
    for (int h = 0; h < plan.n_heads(); ++h) MergeHead(at, h, *target, mass[h], plan);
  }

 private:
  // Entries that a head of this layer keeps; none: the layer is left whole.
  std::optional<int64_t> Target(const LayerView& at) const {
    const int64_t budget = o_.budget.Of(at.n_prompt), n = at.n_prompt;
    const int64_t n_layers = at.model.n_layers, n_skipped = 3;
    const bool skipped = at.layer < 2 || at.layer == n_layers - 1;
    if (!o_.skip || n_layers <= n_skipped) return budget;
    if (!o_.to_target) return skipped ? std::nullopt : std::optional(budget);
    const int64_t others = (budget * n_layers - n * n_skipped) / (n_layers - n_skipped);
    if (budget >= n || 2 * others < budget) return budget;  // nothing to make up for, or too much
    return skipped ? std::nullopt : std::optional(others);
  }

  // Entries that are never merged: the first n_old, and of the others a part that gives way to the
  // budget: what is left of it must be enough for one set between any two of them.
  std::vector<bool> Fixed(std::span<const float> mass, int64_t n_old, int64_t target,
                          int64_t n_borders) const {
    const auto n = static_cast<int64_t>(mass.size()), n_new = n - n_old;
    const int64_t most = o_.to_target ? std::max<int64_t>(1, target - n_old) : n_new;
    const double budget = static_cast<double>(most) / static_cast<double>(n_new);
    const auto count = [&](std::optional<double> given, double at_35, double at_50) {
      const double share = given.value_or(o_.to_target ? ShareAt(budget, at_35, at_50) : at_50);
      return std::min(n_new, static_cast<int64_t>(share * static_cast<double>(n_new) + 1e-9));
    };
    const int64_t recent = std::min(std::max<int64_t>(1, count(o_.recent, 0.08, 0.17)),
                                    std::max<int64_t>(1, most / 2));
    const int64_t sinks = n_old > 0 ? 0 : std::min(o_.sinks, (most - recent) / 2);
    int64_t heavy = count(o_.heavy, 0.02, 0.12);
    if (o_.to_target) {
      heavy = std::clamp<int64_t>((most - recent - sinks - n_borders - 1) / 2, 0, heavy);
    }
    std::vector<bool> fixed(n);
    std::fill_n(fixed.begin(), n_old + sinks, true);
    std::fill_n(fixed.end() - recent, recent, true);
    std::vector<int32_t> ranked;
    for (int64_t i = n_old + sinks; i < n - recent; ++i) ranked.push_back(static_cast<int32_t>(i));
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](int32_t a, int32_t b) { return mass[a] > mass[b]; });
    heavy = std::min(heavy, static_cast<int64_t>(ranked.size()));
    for (int64_t i = 0; i < heavy; ++i) fixed[ranked[i]] = true;
    return fixed;
  }

  // How many entries stay as they are: at the end of a further prompt what was there before.
  static int64_t CountOld(const LayerView& at, std::span<const int32_t> orders) {
    const size_t n_turns = at.turns.size();
    if (at.moment != Moment::kPromptEnd || n_turns < 2) return 0;
    return std::lower_bound(orders.begin(), orders.end(), at.turns[n_turns - 2]) - orders.begin();
  }

  // Which neighbours (i, i + 1) may be joined: none fixed, of one turn, of like norms.
  std::vector<bool> MayJoin(const LayerView& at, std::span<const int32_t> orders,
                            std::span<const float> keys, const std::vector<bool>& fixed) const {
    const size_t n = orders.size();
    const std::vector<float> norms = KeyNorms(keys, at.model.head_dim);
    std::vector<bool> may_join(n - 1);
    for (size_t i = 0; i + 1 < n; ++i) {
      const bool crosses = std::any_of(at.turns.begin(), at.turns.end(), [&](int32_t border) {
        return orders[i] < border && border <= orders[i + 1];
      });
      const float longer = std::max(norms[i], norms[i + 1]);
      may_join[i] = !fixed[i] && !fixed[i + 1] && !crosses &&
                    std::abs(norms[i] - norms[i + 1]) <= o_.gap * longer;
    }
    return may_join;
  }

  void MergeHead(const LayerView& at, int h, int64_t target, std::span<const float> mass,
                 LayerPlan& plan) const {
    const HeadCache& head = at.heads[h];
    if (head.size() < 2 || (o_.to_target && head.size() <= target)) return;
    const std::vector<float> keys = ReadPlane(head, PlaneKind::kKeys);
    const std::vector<float> counts = head.Column(kCountColumn);
    const std::vector<float> cosines = AdjacentCosines(keys, at.model.head_dim);
    const std::vector<int32_t> orders = head.Orders();
    const int64_t n_old = CountOld(at, orders);
    if (n_old == head.size()) return;
    const std::vector<bool> fixed =
        Fixed(mass, n_old, target, static_cast<int64_t>(at.turns.size()));
    const std::vector<bool> may_join = MayJoin(at, orders, keys, fixed);
    const std::vector<int32_t> begins = o_.to_target
                                            ? JoinToTarget(cosines, may_join, target, o_.longest)
                                            : JoinAbove(cosines, may_join, o_.eps, o_.longest);
    MergeSets sets;
    std::vector<int32_t> kept;
    for (size_t s = 0; s + 1 < begins.size(); ++s) {
      const int32_t first = begins[s], end = begins[s + 1];
      int32_t pivot = first;
      for (int32_t i = first + 1; i < end; ++i) {
        if (mass[i] >= mass[pivot]) pivot = i;
      }
      kept.push_back(pivot);
      if (end - first > 1) AddSet(keys, counts, first, end, pivot, sets);
    }
    if (sets.n_sets() == 0) return;
    plan.Merge(h, std::move(sets));
    plan.Keep(h, std::move(kept));
  }

  void AddSet(std::span<const float> keys, std::span<const float> counts, int32_t first,
              int32_t end, int32_t pivot, MergeSets& sets) const {
    const auto dim = static_cast<int64_t>(keys.size() / counts.size());
    std::vector<double> weights = KernelWeights(o_, keys, dim, first, end, pivot);
    double sum = 0, n_tokens = 0;
    for (int32_t i = first; i < end; ++i) {
      weights[i - first] *= counts[i];
      sum += weights[i - first];
      n_tokens += counts[i];
    }
    for (int32_t i = first; i < end; ++i) {
      const double w = weights[i - first] / sum;
      // `paper`: a merged value holds the sum over its tokens, so its mean is that over its count.
      const double v = o_.scaling == Scaling::kPaper ? n_tokens * w / counts[i] : w;
      sets.Add(i, static_cast<float>(w), static_cast<float>(v));
    }
    sets.Close(pivot);
    if (o_.scaling == Scaling::kMeanLogN) {
      sets.bias.push_back(static_cast<float>(std::log(n_tokens)));
    }
  }

  const Options o_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool to_target = params.GetWord("mode") == "target";
  const std::string_view kernel = params.GetWord("kernel"), scaling = params.GetWord("scaling");
  KV_RETURN_IF_ERROR(to_target ? params.Without({"eps"}, "mode=target meets the budget")
                               : params.Without({"budget"}, "mode=threshold goes by eps"));
  if (kernel != "fixed") {
    KV_RETURN_IF_ERROR(params.Without({"sigma"}, "this kernel takes its width from each set"));
  }
  if (params.GetWord("when") == "prompt") {
    KV_RETURN_IF_ERROR(params.Without({"tail"}, "when=prompt lets no tail grow"));
  }
  Options o{.budget = params.GetBudget("budget"),
            .to_target = to_target,
            .skip = params.GetWord("skip") == "auto",
            .always = params.GetWord("when") == "always",
            .eps = static_cast<float>(params.GetNumber("eps")),
            .gap = static_cast<float>(params.GetNumber("gap")),
            .sigma = params.GetNumber("sigma"),
            .recent = {},
            .heavy = {},
            .sinks = params.GetInt("sinks"),
            .longest = params.GetInt("longest"),
            .tail = params.GetInt("tail"),
            .queries = static_cast<int>(params.GetInt("queries"))};
  if (!params.Auto("recent")) o.recent = params.GetNumber("recent");
  if (!params.Auto("heavy")) o.heavy = params.GetNumber("heavy");
  o.kernel =
      kernel == "fixed" ? Kernel::kFixed : (kernel == "rms" ? Kernel::kRms : Kernel::kTwoPass);
  o.scaling = scaling == "paper" ? Scaling::kPaper
                                 : (scaling == "mean" ? Scaling::kMean : Scaling::kMeanLogN);
  return std::make_unique<KvMerger>(o);
}

}  // namespace

extern constinit const MethodInfo kKvMerger = {
    .name = "kvmerger",
    .role = Role::kBase,
    .family = "merge",
    .summary = "merges runs of neighbouring entries whose keys are alike; evicts nothing",
    .paper = "arXiv 2407.08454",
    .about =
        "Neighbouring keys are often nearly parallel; each run of them becomes one entry, a mean "
        "around the entry with the most attention. A merged entry counts in attention as often as "
        "it has members (scaling=mean_logn, which is exact where they are equal; `paper` and "
        "`mean` are the printed forms). Sinks, the newest and the most attended entries are never "
        "merged, as far as the budget allows, nor is anything across the border of a turn. The "
        "budget is met exactly, on average over the layers, unless `gap` keeps too many apart; "
        "skip=auto leaves the first two and the last whole, as the paper does, which costs the "
        "others more than it gains (docs/methods-findings.md). Needs the attention mass of all "
        "queries (a second pass over the prompt's attention; queries=32 takes the last 32 "
        "instead). Positions of merged entries are their pivots'. Which value belonged to which "
        "token is lost, so look-ups of exact numbers suffer; prefer `chunkkv + snapkv` for those.",
    .example = "kvmerger:budget=50%",
    .params = kParams,
    .make = &Make,
    .takes_evicted = true,
};

}  // namespace kvasir
