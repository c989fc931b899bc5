// Shares a layer's budget among its heads by need. Feng et al., Ada-KV, NeurIPS 2025, arXiv
// 2407.11550. Moment: after the base; cost: one selection over the layer's scores.
//
// paper: c_h = how many of the layer's best scored entries, protected ones aside, lie in head h; a
// head's budget is (1 - floor) c_h + floor * base, rounded by largest remainder so that the layer's
// sum stays exactly what the base allowed. Differs from the official code, whose roundings miss it.
// normalize: before that a head's scores are multiplied by the share of them that its even budget
// holds, so that a head with few peaks counts for more.
// kvpress: each head's best floor * budget are safe; of all others the layer's best stay.
// Both: where an earlier cut has left a head with less than its share, the others have the rest.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "methods/largest_remainder.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"floor", ParamKind::kNumber, "20%", "0..1", "share of its even budget that each head has"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress", "how the floor is counted in"},
    {"skip", ParamKind::kInteger, "0", "0..1024", "first layers whose heads share evenly"},
    {"normalize", ParamKind::kFlag, "false", "true|false",
     "paper: weigh a head by the share of its scores that its even budget would hold"},
};

constexpr double kSafe = 1e30;  // above what any score times any weight comes to

struct Candidate {
  float score;
  int32_t head, entry;
};

// How many of the n best candidates lie in each head. Of equal scores the earlier head and entry.
std::vector<int64_t> CountBest(std::vector<Candidate>& all, int64_t n, int n_heads) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.head != b.head ? a.head < b.head : a.entry < b.entry;
  };
  n = std::min(n, static_cast<int64_t>(all.size()));
  std::nth_element(all.begin(), all.begin() + n, all.end(), better);
  std::vector<int64_t> counts(n_heads);
  for (int64_t i = 0; i < n; ++i) ++counts[all[i].head];
  return counts;
}

// Multiplies a head's scores by the sum of its best n over the sum of all. Scores below zero have
// no such share, and stay.
void Normalize(std::span<Candidate> head, int64_t n) {
  std::vector<float> scores(head.size());
  std::transform(head.begin(), head.end(), scores.begin(), [](const auto& c) { return c.score; });
  n = std::min<int64_t>(n, std::ssize(scores));
  std::nth_element(scores.begin(), scores.begin() + n, scores.end(), std::greater<>());
  const double best = std::accumulate(scores.begin(), scores.begin() + n, 0.0);
  const double all = std::accumulate(scores.begin() + n, scores.end(), best);
  const bool negative = std::any_of(scores.begin(), scores.end(), [](float s) { return s < 0; });
  if (negative || all <= 0) return;
  for (Candidate& c : head) c.score *= static_cast<float>(best / all);
}

// Cuts shares to each head's room; what then lacks from `total` goes to all evenly, as far as they
// have room.
void FitRoom(const std::vector<int64_t>& room, int64_t total, std::vector<double>& shares) {
  const auto gap = [&](size_t h) { return static_cast<double>(room[h]) - shares[h]; };
  auto rest = static_cast<double>(total);
  for (size_t h = 0; h < shares.size(); ++h) {
    shares[h] = std::min(shares[h], static_cast<double>(room[h]));
    rest -= shares[h];
  }
  // Each round fills a head, or is the last.
  for (size_t round = 0; round < shares.size() && rest > 1e-6; ++round) {
    double n_open = 0;
    for (size_t h = 0; h < shares.size(); ++h) n_open += gap(h) > 0 ? 1 : 0;
    const double each = rest / std::max(1.0, n_open);
    for (size_t h = 0; h < shares.size(); ++h) {
      const double more = std::clamp(each, 0.0, std::max(0.0, gap(h)));
      shares[h] += more;
      rest -= more;
    }
  }
}

class AdaKv final : public Method {
 public:
  AdaKv(double floor, bool kvpress, int64_t skip, bool normalize)
      : floor_(floor), kvpress_(kvpress), skip_(skip), normalize_(normalize) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (!plan.has_scores() || at.layer < skip_) return;
    int64_t total = 0, size = 0;
    for (int h = 0; h < plan.n_heads(); ++h) {
      total += *plan.budget(h);
      size += at.heads[h].size();
    }
    if (size <= total) {  // no limit, though it may be one to a head alone
      for (int h = 0; h < plan.n_heads(); ++h) plan.Budget(h, at.heads[h].size());
      return;
    }
    const std::vector<int64_t> budgets = kvpress_ ? SafeBest(plan, total) : Shares(plan, total);
    for (int h = 0; h < plan.n_heads(); ++h) plan.Budget(h, budgets[h]);
  }

 private:
  std::vector<int64_t> Shares(const LayerPlan& plan, int64_t total) const {
    const int n_heads = plan.n_heads();
    std::vector<Candidate> candidates;
    std::vector<int64_t> guarded(n_heads), base(n_heads), room(n_heads);
    for (int h = 0; h < n_heads; ++h) {
      const std::vector<bool> is_protected = plan.Protected(h);
      const size_t first = candidates.size();
      for (size_t i = 0; i < is_protected.size(); ++i) {
        if (!is_protected[i]) {
          candidates.push_back({plan.scores(h)[i], h, static_cast<int32_t>(i)});
        } else {
          guarded[h] = std::min(guarded[h] + 1, *plan.budget(h));
        }
      }
      base[h] = *plan.budget(h) - guarded[h];
      if (normalize_) Normalize(std::span(candidates).subspan(first), base[h]);
      room[h] = std::ssize(is_protected) - guarded[h];
      total -= guarded[h];
    }
    const std::vector<int64_t> best = CountBest(candidates, total, n_heads);
    std::vector<double> shares(n_heads);
    for (int h = 0; h < n_heads; ++h) {
      shares[h] =
          static_cast<double>(best[h]) * (1 - floor_) + floor_ * static_cast<double>(base[h]);
    }
    FitRoom(room, total, shares);
    std::vector<int64_t> budgets = LargestRemainder(shares, total);
    for (int h = 0; h < n_heads; ++h) budgets[h] += guarded[h];
    return budgets;
  }

  // Safe entries get scores above all others, so that a wrapper outside cannot lose them.
  std::vector<int64_t> SafeBest(LayerPlan& plan, int64_t total) const {
    std::vector<Candidate> candidates;
    std::vector<std::vector<float>> scores;
    for (int h = 0; h < plan.n_heads(); ++h) {
      // One at least, also where kvpress has none: no head here is empty.
      const auto floor = static_cast<int64_t>(static_cast<double>(*plan.budget(h)) * floor_);
      const auto n_safe = std::max<int64_t>(1, floor);
      scores.push_back(plan.Ranking(h));
      std::vector<int32_t> order(scores[h].size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int32_t a, int32_t b) { return scores[h][a] > scores[h][b]; });
      for (int64_t i = 0; i < std::min(n_safe, std::ssize(order)); ++i) {
        const double rank = static_cast<double>(i) / static_cast<double>(n_safe);
        scores[h][order[i]] = static_cast<float>(kSafe * (2 - rank));
      }
      for (int32_t entry : order) candidates.push_back({scores[h][entry], h, entry});
    }
    for (int h = 0; h < plan.n_heads(); ++h) plan.Score(h, std::move(scores[h]));
    return CountBest(candidates, total, plan.n_heads());
  }

  const double floor_;
  const bool kvpress_;
  const int64_t skip_;
  const bool normalize_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  if (kvpress) {
    KV_RETURN_IF_ERROR(params.Without({"normalize"}, "kvpress takes scores as they are"));
  }
  return std::make_unique<AdaKv>(params.GetNumber("floor"), kvpress, params.GetInt("skip"),
                                 params.GetFlag("normalize"));
}

}  // namespace

extern constinit const MethodInfo kAdaKv = {
    .name = "adakv",
    .role = Role::kWrapper,
    .family = "budget",
    .summary = "shares a layer's budget among its heads: those with spread attention get more",
    .paper = "arXiv 2407.11550",
    .about =
        "The layer keeps as many entries as the base allows, but heads whose scores are flat get "
        "more of them than heads that look at a few places. Costs nothing at run time here: heads "
        "of different lengths are ordinary. Compares scores across heads, so the base's scores "
        "have to mean the same in all heads (attention does, key norms hardly). `floor` guards "
        "heads against starving.",
    .example = "adakv:floor=20% + snapkv:budget=300",
    .params = kParams,
    .make = &Make,
    .scored = true,
    .shares = Shares::kHeads,
};

}  // namespace kvasir
