// Drops the key channels that matter least to the last queries. Xu et al., ThinK, ICLR 2025, arXiv
// 2407.21018. Moment: store, at the prompt's end; cost: one pass over the keys, and a gather of
// each query's channels.
//
// score[c] = mean over the group and the last queries of q_c^2 times mean over entries of k_c^2,
// for a KV head; the head_dim * ratio channels of lowest score go (ties: the higher channel first).
// paper: the last `recent` entries keep all channels. kvpress: none does.
// Before a codec: entries lose channels as they are encoded, and the channels are chosen from the
// first that are (the sheet's section 3.7). Before mikv likewise, by all entries.
#include <algorithm>
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"ratio", ParamKind::kNumber, "40%", "0..0.95", "share of the key channels that is dropped"},
    {"window", ParamKind::kInteger, "32", "1..1024", "last queries that score channels"},
    {"recent", ParamKind::kInteger, "32", "0..16777216", "newest entries that keep all channels"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress", "kvpress: recent=0 unless given"},
};

class Think final : public Method {
 public:
  Think(double ratio, int window, int64_t recent)
      : ratio_(ratio), window_(window), recent_(recent) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = window_, .at_decode = true};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const int dim = at.model.head_dim;
    const auto n_kept = dim - static_cast<int>(dim * ratio_ + 1e-9);
    if (n_kept == dim) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      if (plan.key_map(h)) continue;  // dropped channels are gone: never chosen anew
      const HeadCache& head = at.heads[h];
      if (at.encoder_follows) {
        if (plan.Resolve(h)) plan.MapKeys(h, Choose(at, ops, h, All(head), n_kept));
        continue;
      }
      if (at.codec_follows) {
        const std::vector<int32_t> entries = plan.KeysToEncode(h);
        if (!entries.empty()) plan.MapKeys(h, Choose(at, ops, h, entries, n_kept));
        continue;
      }
      const int64_t n = head.n_staged(PlaneKind::kKeys) - recent_;
      if (n <= 0) continue;
      plan.MapKeys(h, Choose(at, ops, h, All(head), n_kept));
      PlaneFormat narrow = head.format().k();
      const StoredSpan old{PlaneKind::kKeys, narrow, 0, n};
      narrow.dim = 0;
      plan.Encode(h, old, {narrow, {}});
    }
  }

 private:
  static std::vector<int32_t> All(const HeadCache& head) {
    std::vector<int32_t> all(head.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }

  // The kept channels, ascending, by the keys of these entries.
  KeyMapPtr Choose(const LayerView& at, Ops& ops, int kv_head, std::span<const int32_t> entries,
                   int n_kept) const {
    const int dim = at.model.head_dim;
    const std::vector<float> keys = ReadPlane(at.heads[kv_head], PlaneKind::kKeys);
    std::vector<double> energy(dim);
    for (int32_t entry : entries) {
      for (int c = 0; c < dim; ++c) {
        const double k = keys[int64_t{entry} * dim + c];
        energy[c] += k * k;
      }
    }
    const int64_t rows = std::min<int64_t>(window_, at.n_last_queries);
    const std::vector<float> queries = ops.QueryEnergy(at, kv_head, rows);
    for (int c = 0; c < dim; ++c) {
      energy[c] *= queries[c] / static_cast<double>(entries.size());
    }
    std::vector<uint8_t> channels(dim);
    std::iota(channels.begin(), channels.end(), 0);
    std::stable_sort(channels.begin(), channels.end(),
                     [&](uint8_t a, uint8_t b) { return energy[a] > energy[b]; });
    channels.resize(n_kept);
    std::sort(channels.begin(), channels.end());
    return std::make_shared<const KeyMap>(dim, KeyMap::Parts{.channels = std::move(channels)});
  }

  const double ratio_;
  const int window_;
  const int64_t recent_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  const int64_t recent = kvpress && !params.Given("recent") ? 0 : params.GetInt("recent");
  return std::make_unique<Think>(params.GetNumber("ratio"),
                                 static_cast<int>(params.GetInt("window")), recent);
}

}  // namespace

extern constinit const MethodInfo kThink = {
    .name = "think",
    .role = Role::kPruner,
    .family = "prune",
    .summary = "drops the key channels that matter least to the last queries",
    .paper = "arXiv 2407.21018",
    .about =
        "At the prompt's end each KV head drops a share of its key channels, one choice for all "
        "of its entries but the newest; tokens that come later keep all channels (before a codec "
        "they lose them when they are encoded). Keys shrink by `ratio`, values stay: 0.4 saves a "
        "fifth of the cache. Choices are made for the prompt's last question; another question in "
        "a later turn may want other channels, and a shared document wants them unpruned. Stands "
        "after evictors and before a codec. Keys without some of their channels cannot be moved "
        "to other positions, so nothing that renumbers goes with it.",
    .example = "think:ratio=40%,recent=32",
    .params = kParams,
    .make = &Make,
    .fixes_keys = true,
};

}  // namespace kvasir
