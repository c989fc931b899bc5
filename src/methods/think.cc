// Drops the key channels that matter least to the last queries. Xu et al., ThinK, ICLR 2025, arXiv
// 2407.21018. Moment: store, at the prompt's end; cost: one pass over the keys, and a gather of
// each query's channels.
//
// score[c] = mean over the group and the last queries of q_c^2 times mean over entries of k_c^2,
// for a KV head; the head_dim * ratio channels of lowest score go (ties: the higher channel first).
// values: the same of value channels (the sheet's section 3.8), by ||A V_c||, A the attention of
// the last queries over all entries of the head: its square is what they got in channel c, squared
// and summed. paper: the last `recent` entries keep all channels. kvpress: none does. Before a
// codec: entries lose channels as they are encoded, and the channels are chosen when the first are,
// those of keys by these (the sheet's section 3.7). Before mikv likewise, by all entries. Low bits
// take value channels by 8, 16-bit integers by 16: so many more stay.
#include <algorithm>
#include <numeric>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"ratio", ParamKind::kNumber, "40%", "0..0.95", "share of the key channels that is dropped"},
    {"values", ParamKind::kNumber, "0", "0..0.95", "share of the value channels that is dropped"},
    {"window", ParamKind::kInteger, "32", "1..1024", "last queries that score channels"},
    {"recent", ParamKind::kInteger, "32", "0..16777216",
     "newest entries that keep all channels; before a codec or mikv those that it leaves do"},
    {"variant", ParamKind::kWord, "paper", "paper|kvpress", "kvpress: recent=0 unless given"},
};

class Think final : public Method {
 public:
  Think(double ratio, double values, int window, int64_t recent)
      : ratio_(ratio), values_(values), window_(window), recent_(recent) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = window_, .at_decode = true};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    const bool encoded = at.encoder_follows || at.codec_follows;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      const CodecId codec = encoded ? CodecId::kToken : head.format().v_plane.codec;
      const int n_keys = Kept(at, ratio_, 1), n_values = Kept(at, values_, ValueStep(codec));
      // Dropped channels are gone: never chosen anew.
      const bool keys = n_keys < at.model.head_dim && !plan.key_map(h);
      const bool values = n_values < at.model.head_dim && !plan.value_map(h);
      if (!keys && !values) continue;
      if (at.encoder_follows) {
        if (!plan.Resolve(h)) continue;
        if (keys) plan.MapKeys(h, ChooseKeys(at, ops, h, All(head), n_keys));
        if (values) plan.MapValues(h, ChooseValues(at, ops, h, n_values));
      } else if (at.codec_follows) {
        std::vector<int32_t> entries;
        if (keys) entries = plan.KeysToEncode(h);
        if (!entries.empty()) plan.MapKeys(h, ChooseKeys(at, ops, h, entries, n_keys));
        if (values && plan.EncodesValues(h)) plan.MapValues(h, ChooseValues(at, ops, h, n_values));
      } else {
        const PlaneKind kind = keys ? PlaneKind::kKeys : PlaneKind::kValues;
        const int64_t n = head.n_staged(kind) - recent_;
        if (n <= 0) continue;
        if (keys) plan.MapKeys(h, ChooseKeys(at, ops, h, All(head), n_keys));
        if (values) plan.MapValues(h, ChooseValues(at, ops, h, n_values));
        Narrow(head, kind, n, keys, values, h, plan);
      }
    }
  }

 private:
  static int Kept(const LayerView& at, double share, int step) {
    const int dim = at.model.head_dim, kept = dim - static_cast<int>(dim * share + 1e-9);
    return (kept + step - 1) / step * step;
  }
  static std::vector<int32_t> All(const HeadCache& head) {
    std::vector<int32_t> all(head.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  int64_t Rows(const LayerView& at) const { return std::min<int64_t>(window_, at.n_last_queries); }

  // The oldest n entries in the format that they have, through the maps.
  static void Narrow(const HeadCache& head, PlaneKind kind, int64_t n, bool keys, bool values,
                     int h, LayerPlan& plan) {
    PlaneFormat k = head.format().k(), v = head.format().v();
    const StoredSpan old{kind, kind == PlaneKind::kKeys ? k : v, 0, n};
    k.dim = v.dim = 0;
    Encoding narrow;
    if (keys) narrow.k = k;
    if (values) narrow.v = v;
    plan.Encode(h, old, narrow);
  }

  // The n_kept channels of most energy, ascending; of equals the lower.
  template <class T>
  static std::vector<uint8_t> Strongest(const std::vector<T>& energy, int n_kept) {
    std::vector<uint8_t> channels(energy.size());
    std::iota(channels.begin(), channels.end(), 0);
    std::stable_sort(channels.begin(), channels.end(),
                     [&](uint8_t a, uint8_t b) { return energy[a] > energy[b]; });
    channels.resize(n_kept);
    std::sort(channels.begin(), channels.end());
    return channels;
  }

  // By the keys of these entries.
  KeyMapPtr ChooseKeys(const LayerView& at, Ops& ops, int kv_head, std::span<const int32_t> entries,
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
    const std::vector<float> queries = ops.QueryEnergy(at, kv_head, Rows(at));
    for (int c = 0; c < dim; ++c) {
      energy[c] *= queries[c] / static_cast<double>(entries.size());
    }
    return std::make_shared<const KeyMap>(dim,
                                          KeyMap::Parts{.channels = Strongest(energy, n_kept)});
  }

  ValueMapPtr ChooseValues(const LayerView& at, Ops& ops, int kv_head, int n_kept) const {
    const std::vector<float> energy = ops.OutputEnergy(at, kv_head, Rows(at));
    return std::make_shared<const ValueMap>(at.model.head_dim, Strongest(energy, n_kept));
  }

  const double ratio_, values_;
  const int window_;
  const int64_t recent_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const bool kvpress = params.GetWord("variant") == "kvpress";
  const int64_t recent = kvpress && !params.Given("recent") ? 0 : params.GetInt("recent");
  return std::make_unique<Think>(params.GetNumber("ratio"), params.GetNumber("values"),
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
        "they lose them when they are encoded). Keys shrink by `ratio`: 0.4 saves a fifth of the "
        "cache. Values stay, unless `values` names a share of their channels: those that add least "
        "to what the last queries get go in the same way, and count as zero in every later answer. "
        "That costs more quality than keys, for a key channel only shifts weights. Values of low "
        "bits keep a multiple of 8 channels (i16: of 16). "
        "Choices are made for the prompt's last question; another question in "
        "a later turn may want other channels, and a shared document wants them unpruned. Stands "
        "after evictors and before a codec. Keys without some of their channels cannot be moved "
        "to other positions, so nothing that renumbers goes with it.",
    .example = "think:ratio=40%,recent=32",
    .params = kParams,
    .make = &Make,
    .fixes_keys = true,
};

}  // namespace kvasir
