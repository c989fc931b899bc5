// Stores keys in 1 to 2 bits and values in 1.58. Tao et al., VidKV, arXiv 2503.16257. Moment:
// store, at the prompt's end and as the residual fills; cost: each entry is encoded once, with a
// Fourier transform of its quiet key channels.
//
// Keys: the head_dim * (key_bits - 1) channels of the widest range in 2 bits by channel, of the
// others the sign of their spectrum, one scale (the mean magnitude) for 32 entries of each of its
// numbers. The spectrum is packed (a real transform that is orthogonal), so a query is transformed
// once and no key is transformed back. Values, by channel: t = sign(x) where |x| > mean|x| / 2,
// else 0; decoded alpha * t with alpha the mean of |x| where t is not 0 (lsq), or of all (mean).
// Differs from the paper's code: its decoders (0 for a negative sign, no scale of values) are
// defects; channels are chosen for each KV head; what is encoded is never encoded again; `protect`
// goes by attention, since the similarity of a video's embeddings to a question's means nothing in
// a text, and takes whole groups of what is encoded (the sheet's section 3.6).
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "methods/full_precision.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr int kProtectQueries = 32;  // that choose what `protect` protects

constexpr ParamInfo kParams[] = {
    {"key_bits", ParamKind::kNumber, "1.5", "1..2", "bits a key code: 1 + share of wide channels"},
    {"value_bits", ParamKind::kNumber, "1.58", "1.58|2", "1.58: -1, 0 or 1; 2: four steps"},
    {"alpha", ParamKind::kWord, "lsq", "lsq|mean", "scale of 1.58-bit values"},
    {"residual", ParamKind::kInteger, "128", "32..16777216",
     "entries that wait before they are encoded; a multiple of 32"},
    {"protect", ParamKind::kNumber, "0%", "0..0.5",
     "share of what the prompt's end encodes, most looked at by its last 32 queries, whose values "
     "take 2 bits"},
    kFirstLayers,
    kLastLayers,
    kSinks,
    kWindow,
};

class VidKv final : public Method {
 public:
  VidKv(double key_bits, PlaneFormat values, int64_t residual, double protect,
        const FullPrecision& full)
      : key_bits_(key_bits), v_(values), residual_(residual), protect_(protect), full_(full) {}

  Needs needs(const ModelInfo&) const override {
    return {.last_queries = protect_ > 0 ? kProtectQueries : 0};
  }

  void Compress(const LayerView& at, Ops& ops, LayerPlan& plan) const override {
    if (full_.Skips(at)) return;
    const int wide = WideChannels(at.model.head_dim);
    std::vector<std::vector<float>> votes;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      const int64_t n = full_.Eligible(head, PlaneKind::kKeys);
      if (n < residual_) continue;
      const StoredSpan span = full_.Oldest(head, PlaneKind::kKeys, n / kGroupSlots * kGroupSlots);
      const bool first = !plan.key_map(h);
      const Encoding encoding{SplitPlane(wide, 0), v_};
      if (first) plan.MapKeys(h, Split(at, h, head.Entries(span), wide));
      const int64_t n_protected = ProtectedOf(span.n);
      if (!first || n_protected == 0 || at.moment != Moment::kPromptEnd) {
        plan.Encode(h, span, encoding);
        continue;
      }
      if (votes.empty()) {
        const int64_t rows = std::min<int64_t>(kProtectQueries, at.n_last_queries);
        votes = ops.AttentionMass(at, {.last_rows = rows});
      }
      std::vector<int32_t> best = head.Entries(span), rest;
      const auto better = [&](int32_t a, int32_t b) {
        return votes[h][a] != votes[h][b] ? votes[h][a] > votes[h][b] : a < b;
      };
      std::sort(best.begin(), best.end(), better);
      rest.assign(best.begin() + n_protected, best.end());
      best.resize(n_protected);
      std::sort(best.begin(), best.end());
      std::sort(rest.begin(), rest.end());
      plan.Encode(h, std::move(best), {SplitPlane(wide, 0), ChannelPlane(2, 0)});
      plan.Encode(h, std::move(rest), encoding);
    }
  }

 private:
  // Of the n entries that are encoded at the prompt's end: whole groups, and one at least.
  int64_t ProtectedOf(int64_t n) const {
    if (protect_ == 0) return 0;
    const auto share = static_cast<int64_t>(static_cast<double>(n) * protect_ + 1e-9);
    return std::max<int64_t>(1, share / kGroupSlots) * kGroupSlots;
  }

  // An even number of channels is left for the transform.
  int WideChannels(int dim) const {
    const int n = static_cast<int>(dim * (key_bits_ - 1) + 1e-9);
    return key_bits_ > 1 && n == 0 ? std::min(32, dim) : n + n % 2;
  }

  // Channels of wide range, then the others, each ascending; the others are transformed.
  KeyMapPtr Split(const LayerView& at, int kv_head, std::span<const int32_t> entries,
                  int wide) const {
    const int dim = at.model.head_dim;
    const std::vector<float> keys = ReadPlane(at.heads[kv_head], PlaneKind::kKeys);
    std::vector<float> low(dim, std::numeric_limits<float>::infinity()), high(dim);
    std::transform(low.begin(), low.end(), high.begin(), std::negate<>());
    for (int32_t entry : entries) {
      for (int c = 0; c < dim; ++c) {
        low[c] = std::min(low[c], keys[int64_t{entry} * dim + c]);
        high[c] = std::max(high[c], keys[int64_t{entry} * dim + c]);
      }
    }
    std::vector<uint8_t> channels(dim);
    std::iota(channels.begin(), channels.end(), 0);
    std::stable_sort(channels.begin(), channels.end(),
                     [&](uint8_t a, uint8_t b) { return high[a] - low[a] > high[b] - low[b]; });
    std::sort(channels.begin(), channels.begin() + wide);
    std::sort(channels.begin() + wide, channels.end());
    return std::make_shared<const KeyMap>(dim,
                                          KeyMap::Parts{.channels = std::move(channels),
                                                        .transform = KeyMap::Transform::kFourier,
                                                        .transform_from = wide});
  }

  const double key_bits_;
  const PlaneFormat v_;
  const int64_t residual_;
  const double protect_;
  const FullPrecision full_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  KV_ASSIGN_OR_RETURN(const int64_t residual, GroupedResidual("vidkv", params));
  if (params.GetNumber("value_bits") == 2) {
    KV_RETURN_IF_ERROR(params.Without({"alpha", "protect"}, "all values have 2 bits"));
  }
  const TernaryScale scale =
      params.GetWord("alpha") == "lsq" ? TernaryScale::kLeastSquares : TernaryScale::kMean;
  const PlaneFormat values =
      params.GetNumber("value_bits") == 2 ? ChannelPlane(2, 0) : TernaryPlane(0, scale);
  return std::make_unique<VidKv>(params.GetNumber("key_bits"), values, residual,
                                 params.GetNumber("protect"), FullPrecision(params));
}

}  // namespace

extern constinit const MethodInfo kVidKv = {
    .name = "vidkv",
    .role = Role::kCodec,
    .family = "quantise",
    .summary = "keys in 1.5 bits, values in 1.58, both by channel; the newest stay",
    .paper = "arXiv 2503.16257",
    .about =
        "Made for video tokens, which repeat themselves. Key channels of wide range take 2 bits, "
        "the others one sign of their Fourier spectrum; values are -1, 0 or 1 times a scale. With "
        "f16 scales for 32 entries that is 2.25 bits a key number at key_bits=1.5 and 2.5 a value "
        "number. Text is less redundant: expect a larger loss than kivi's 2 bits, and keep what "
        "matters with `sinks`, `window` and `first_layers`. `protect` gives the values of what "
        "the prompt's last 32 queries look at most 2 bits, of each KV head its own, 32 entries or "
        "more; the paper goes by what is similar to the question. Entries are encoded in groups "
        "of 32 once `residual` of them wait; shorter texts lose nothing and save nothing. Keys "
        "stored so cannot be moved to other positions.",
    .example = "vidkv:key_bits=1.5,value_bits=1.58",
    .params = kParams,
    .make = &Make,
    .fixes_keys = true,
};

}  // namespace kvasir
