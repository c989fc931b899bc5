// What the base evicts is merged into what it keeps: each evicted entry into the kept one whose key
// is nearest by cosine. Moment: after the base and all its other wrappers; cost: evicted x kept
// products of keys.
//
// paper: D2O (Wan et al., arXiv 2406.13035, section 3.3). With u the cosine, an evicted entry
// weighs exp(u), the kept one e; keys and values become weighted means. What is less alike than
// `least` goes: by default the mean of u over all that is evicted at once. kvpress: MergingPress.
// Keys stay; with a = max(u, 0) |v_e| / (|v_e| + |v_t| + 1e-6) the value is (v_t + sum a v_e) / (1
// + sum a). counts: an entry weighs as many times as it has tokens, and log of their number is
// added to the merged entry's logit (as KeepKV, arXiv 2504.09936, counts its votes). Differs from
// D2O: no moving average of u while generating: what goes alone is always merged.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"variant", ParamKind::kWord, "paper", "paper|kvpress",
     "paper: D2O's weighted means of keys and values; kvpress: values alone"},
    {"least", ParamKind::kNumber, "auto", "-1..1",
     "cosine below which an evicted entry goes; auto: paper the mean, kvpress 0"},
    {"counts", ParamKind::kFlag, "false", "true|false",
     "a merged entry counts in attention as often as it has tokens"},
};

class Merge final : public Method {
 public:
  Merge(bool kvpress, std::optional<float> least, bool counts)
      : kvpress_(kvpress), least_(least), counts_(counts) {}

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    for (int h = 0; h < plan.n_heads(); ++h) {
      const std::optional<std::vector<int32_t>> kept = plan.Resolve(h);
      if (!kept || kept->empty()) continue;
      std::vector<int32_t> evicted;
      size_t next = 0;
      for (int32_t entry = 0; entry < at.heads[h].size(); ++entry) {
        if (next < kept->size() && (*kept)[next] == entry) {
          ++next;
        } else {
          evicted.push_back(entry);
        }
      }
      if (evicted.empty()) continue;
      plan.Merge(h, Sets(at.heads[h], evicted, ops.NearestKeys(at, h, evicted, *kept)));
    }
  }

 private:
  struct Evicted {
    int32_t into, entry;
    float cosine;
  };

  // What each kept entry takes in, by kept entry and in the order of the text.
  std::vector<Evicted> Taken(std::span<const int32_t> evicted,
                             const NearestEntries& nearest) const {
    const double mean = std::accumulate(nearest.cosine.begin(), nearest.cosine.end(), 0.0) /
                        static_cast<double>(evicted.size());
    // The mean of equal numbers may be rounded above them.
    const auto least = least_.value_or(kvpress_ ? 0 : static_cast<float>(mean) - 1e-6f);
    std::vector<Evicted> taken;
    for (size_t i = 0; i < evicted.size(); ++i) {
      if (nearest.cosine[i] >= least) {
        taken.push_back({nearest.entry[i], evicted[i], nearest.cosine[i]});
      }
    }
    std::stable_sort(taken.begin(), taken.end(),
                     [](const Evicted& a, const Evicted& b) { return a.into < b.into; });
    return taken;
  }

  MergeSets Sets(const HeadCache& head, std::span<const int32_t> evicted,
                 const NearestEntries& nearest) const {
    const std::vector<Evicted> taken = Taken(evicted, nearest);
    const std::vector<float> counts = head.Column(kCountColumn);
    const std::vector<float> norms = kvpress_ ? ValueNorms(head) : std::vector<float>();
    MergeSets sets;
    for (size_t first = 0; first < taken.size();) {
      const int32_t into = taken[first].into;
      size_t end = first;
      while (end < taken.size() && taken[end].into == into) ++end;
      std::vector<double> weights = {kvpress_ ? 1 : std::exp(1.0)};  // of `into`, then the others
      double n_tokens = counts[into];
      for (size_t i = first; i < end; ++i) {
        const Evicted& e = taken[i];
        weights.push_back(kvpress_ ? std::max(e.cosine, 0.0f) * norms[e.entry] /
                                         (double{norms[e.entry]} + norms[into] + 1e-6)
                                   : std::exp(double{e.cosine}));
        n_tokens += counts[e.entry];
      }
      for (size_t i = 0; counts_ && i < weights.size(); ++i) {
        weights[i] *= counts[i == 0 ? into : taken[first + i - 1].entry];
      }
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (size_t i = 0; i < weights.size(); ++i) {
        const auto weight = static_cast<float>(weights[i] / sum);
        sets.Add(i == 0 ? into : taken[first + i - 1].entry, weight, weight);
      }
      sets.Close(into);
      if (counts_) sets.bias.push_back(static_cast<float>(std::log(n_tokens)));
      first = end;
    }
    if (kvpress_) sets.k_weights.clear();
    return sets;
  }

  static std::vector<float> ValueNorms(const HeadCache& head) {
    const int64_t dim = head.format().head_dim;
    const std::vector<float> values = ReadPlane(head, PlaneKind::kValues);
    std::vector<float> norms(head.size());
    for (int64_t i = 0; i < head.size(); ++i) {
      double square = 0;
      for (int64_t c = 0; c < dim; ++c) square += double{values[i * dim + c]} * values[i * dim + c];
      norms[i] = static_cast<float>(std::sqrt(square));
    }
    return norms;
  }

  const bool kvpress_;
  const std::optional<float> least_;
  const bool counts_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  std::optional<float> least;
  if (!params.Auto("least")) least = static_cast<float>(params.GetNumber("least"));
  return std::make_unique<Merge>(params.GetWord("variant") == "kvpress", least,
                                 params.GetFlag("counts"));
}

}  // namespace

extern constinit const MethodInfo kMerge = {
    .name = "merge",
    .role = Role::kWrapper,
    .family = "merge",
    .summary = "what the base evicts is merged into what it keeps",
    .paper = "arXiv 2406.13035",
    .about =
        "Each evicted entry goes into the kept one with the most similar key, so that something of "
        "its value stays. Works around every base that evicts (`finch` with renumber=false), acts "
        "whenever it does, after all its other wrappers, and costs the products of evicted with "
        "kept keys. The account of what "
        "is kept is the base's. Keys are compared as rotated, so far away entries are rarely "
        "alike. The paper's form merges half of what goes and makes most bases worse; with "
        "least=0.9,counts=true it gains a little (docs/methods-findings.md).",
    .example = "merge:least=0.9,counts=true + snapkv:budget=20%",
    .params = kParams,
    .make = &Make,
    .takes_evicted = true,
};

}  // namespace kvasir
