// What the base would drop is stored in few bits instead, and stays. Yang et al., MiKV, arXiv
// 2402.18096. Moment: compress, when the base acts; cost: each entry is encoded once, one more
// division of each query.
//
// Entries that the base keeps stay as they are (hi_bits), the others go to lo_bits and never come
// back: their scores count for nothing afterwards. A base's share is of all tokens so far, so what
// stays grows with the text. Grids span `group` channels of an entry.
// Keys of lo_bits are balanced: channel c times b = sqrt(max|q_c| / max|k_c|), in [1e-4, 1e4], 1
// where either is 0; their queries are divided by b. Queries are those of the group in the prompt,
// also where the first entries are encoded later; from then on b is frozen.
#include <algorithm>
#include <cmath>
#include <limits>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"lo_bits", ParamKind::kInteger, "2", "0|2|3|4|8",
     "bits of what the base would drop; 0: it is dropped"},
    {"hi_bits", ParamKind::kInteger, "16", "2|4|8|16", "bits of what it keeps; 16: as appended"},
    {"balancer", ParamKind::kFlag, "true", "true|false",
     "move outliers of key channels to the queries before encoding"},
    {"group", ParamKind::kInteger, "0", "0..256",
     "channels that share a grid, a multiple of 8; 0: half of those that are stored"},
    {"grow", ParamKind::kFlag, "true", "true|false",
     "a base's share is of all tokens so far; false: of the prompt"},
};

class MiKv final : public Method {
 public:
  MiKv(int lo_bits, int hi_bits, int group, bool balancer, bool grow)
      : lo_bits_(lo_bits), hi_bits_(hi_bits), group_(group), balancer_(balancer), grow_(grow) {}

  Needs needs(const ModelInfo&) const override { return {.query_max = balancer_ && lo_bits_ > 0}; }
  std::optional<int64_t> SharesOf(const LayerView& at) const override {
    if (!grow_ || lo_bits_ == 0) return std::nullopt;
    return at.n_prompt + at.n_generated;
  }

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (lo_bits_ == 0) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      const KeyMapPtr map = plan.key_map(h);  // of a pruner, or as it was set before
      const int k_dim = map ? map->dim() : at.model.head_dim;
      const int v_dim = plan.value_map(h) ? plan.value_map(h)->dim() : at.model.head_dim;
      const Encoding lo = Tokens(lo_bits_, k_dim, v_dim), hi = Tokens(hi_bits_, k_dim, v_dim);
      const std::vector<int32_t> low =
          head.Entries({PlaneKind::kKeys, *lo.k, 0, head.n_stored(PlaneKind::kKeys, *lo.k)});
      Forget(low, plan, h);
      const auto kept = plan.Resolve(h);
      plan.KeepAll(h);
      if (!kept) continue;
      if (balancer_ && !head.key_map() && !at.query_max.empty()) {
        plan.MapKeys(h, Balanced(at, h, map ? map->parts() : KeyMap::Parts{}));
      }
      std::vector<int32_t> dropped;
      size_t next = 0;
      for (int32_t i = 0; i < static_cast<int32_t>(head.size()); ++i) {
        if (next < kept->size() && (*kept)[next] == i) {
          ++next;
        } else {
          dropped.push_back(i);
        }
      }
      if (hi_bits_ < 16) plan.Encode(h, Without(*kept, low), hi);
      plan.Encode(h, Without(dropped, low), lo);
    }
  }

 private:
  // By default a group's halves stay apart: channel c rotates with c + head_dim / 2.
  Encoding Tokens(int bits, int k_dim, int v_dim) const {
    const auto group = [&](int dim) { return group_ > 0 ? group_ : std::max(16, dim / 2 / 8 * 8); };
    return {TokenPlane(bits, 0, group(k_dim)), TokenPlane(bits, 0, group(v_dim))};
  }

  // What has few bits already takes no part in the base's choice.
  static void Forget(const std::vector<int32_t>& low, LayerPlan& plan, int h) {
    if (plan.scores(h).empty()) return;
    std::vector<float> scores(plan.scores(h).begin(), plan.scores(h).end());
    for (int32_t entry : low) scores[entry] = -std::numeric_limits<float>::infinity();
    plan.Score(h, std::move(scores));
  }

  static std::vector<int32_t> Without(const std::vector<int32_t>& entries,
                                      const std::vector<int32_t>& low) {
    std::vector<int32_t> rest;
    std::set_difference(entries.begin(), entries.end(), low.begin(), low.end(),
                        std::back_inserter(rest));
    return rest;
  }

  // The map of these parts, which balances nothing, with a balancer of its channels.
  static KeyMapPtr Balanced(const LayerView& at, int kv_head, KeyMap::Parts parts) {
    const int dim = at.model.head_dim;
    const std::vector<float> keys = ReadPlane(at.heads[kv_head], PlaneKind::kKeys);
    std::vector<float> most(dim), b(dim);
    for (size_t i = 0; i < keys.size(); ++i) {
      most[i % dim] = std::max(most[i % dim], std::abs(keys[i]));
    }
    for (int c = 0; c < dim; ++c) {
      const float q = at.query_max[kv_head][c], k = most[c];
      b[c] = q > 0 && k > 0 ? std::clamp(std::sqrt(q / k), 1e-4f, 1e4f) : 1.0f;
    }
    for (uint8_t channel : parts.channels) parts.balancer.push_back(b[channel]);
    if (parts.channels.empty()) parts.balancer = std::move(b);
    return std::make_shared<const KeyMap>(dim, std::move(parts));
  }

  const int lo_bits_, hi_bits_, group_;
  const bool balancer_, grow_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  const int64_t lo = params.GetInt("lo_bits"), hi = params.GetInt("hi_bits");
  if (lo == 0) {
    KV_RETURN_IF_ERROR(params.Without({"hi_bits", "group", "balancer", "grow"},
                                      "lo_bits=0 drops what the base drops, and encodes nothing"));
  }
  if (lo > hi) {
    return Fail(
        "--kv \"mikv:lo_bits={},hi_bits={}\": what the base would drop has more bits than what it "
        "keeps; write lo_bits={} or less",
        lo, hi, hi);
  }
  const int64_t group = params.GetInt("group");
  if (group % 8 != 0) {
    return Fail("--kv \"mikv:group={}\": a multiple of 8 is needed, such as {}", group,
                std::max<int64_t>(8, group / 8 * 8));
  }
  return std::make_unique<MiKv>(static_cast<int>(lo), static_cast<int>(hi), static_cast<int>(group),
                                params.GetFlag("balancer"), params.GetFlag("grow"));
}

}  // namespace

extern constinit const MethodInfo kMiKv = {
    .name = "mikv",
    .role = Role::kWrapper,
    .family = "quantise",
    .summary = "what the base would drop goes to low bits instead, and stays",
    .paper = "arXiv 2402.18096",
    .about =
        "Nothing is forgotten: the entries that the base keeps stay at full precision, all others "
        "in `lo_bits`. With h2o:budget=20% and 2 bits the cache takes a third of `full` (h2o "
        "alone a fifth): compare at equal bytes, not at equal budgets. Better than eviction where "
        "any part of the text may be asked for. All entries are read at each step, so it saves "
        "memory more than time. A base that scores (h2o, snapkv, tova) suits it best; it stands "
        "before all wrappers. What has low bits never comes back, whatever attention it gets "
        "later. `think` in front of it drops key channels of what goes to low bits.",
    .example = "mikv:lo_bits=2 + h2o:budget=20%",
    .params = kParams,
    .make = &Make,
    .encodes = true,
};

}  // namespace kvasir
