// Stores keys in few bits by channel and values by token; the newest entries stay as they were
// appended. Liu et al., KIVI, ICML 2024, arXiv 2402.02750. Moment: store, at the prompt's end and
// as the residual fills; cost: each entry is encoded once.
//
// scale = (max - min) / (2^bits - 1), code = round((x - min) / scale), over `group_size` entries of
// a channel of keys, over `v_group` channels of an entry's values; scale and minimum in f16.
// Keys: whole blocks of `residual` entries. Values: all but the last `residual`.
#include "methods/full_precision.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"bits", ParamKind::kInteger, "2", "2|4|8", "bits a code, of keys and values"},
    {"k_bits", ParamKind::kInteger, "0", "0|2|4|8", "of keys alone; 0: as `bits`"},
    {"v_bits", ParamKind::kInteger, "0", "0|2|4|8", "of values alone; 0: as `bits`"},
    {"group_size", ParamKind::kInteger, "32", "32|64",
     "entries of a key's channel that share a grid (the paper's G)"},
    {"v_group", ParamKind::kInteger, "0", "0|32|64|128|256",
     "channels of a value that share one, as few as there are; 0: as `group_size`"},
    {"residual", ParamKind::kInteger, "128", "32..16777216",
     "newest entries that stay; a multiple of `group_size`"},
    kFirstLayers,
    kLastLayers,
    kSinks,
    kWindow,
};

class Kivi final : public Method {
 public:
  Kivi(int k_bits, int v_bits, int k_group, int v_group, int64_t residual,
       const FullPrecision& full)
      : k_(ChannelPlane(k_bits, 0, k_group)),
        v_(TokenPlane(v_bits, 0, v_group)),
        residual_(residual),
        full_(full) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (full_.Skips(at)) return;
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      const int64_t n_keys = full_.Eligible(head, PlaneKind::kKeys) / residual_ * residual_;
      const int64_t n_values =
          std::max<int64_t>(0, full_.Eligible(head, PlaneKind::kValues) - residual_);
      // Entries that have both in turn are moved once, by whole pages.
      const bool together = head.n_staged(PlaneKind::kKeys) == head.n_staged(PlaneKind::kValues);
      const int64_t n_both =
          together ? std::min(n_keys, n_values) / kPageEntries * kPageEntries : 0;
      plan.Encode(h, full_.Oldest(head, PlaneKind::kKeys, n_both), {k_, v_});
      plan.Encode(h, full_.Oldest(head, PlaneKind::kKeys, n_keys - n_both), {k_, {}});
      plan.Encode(h, full_.Oldest(head, PlaneKind::kValues, n_values - n_both), {{}, v_});
    }
  }

 private:
  const PlaneFormat k_, v_;
  const int64_t residual_;
  const FullPrecision full_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  if (params.GetInt("k_bits") > 0 && params.GetInt("v_bits") > 0) {
    KV_RETURN_IF_ERROR(params.Without({"bits"}, "k_bits and v_bits say both"));
  }
  const int64_t group = params.GetInt("group_size");
  KV_ASSIGN_OR_RETURN(const int64_t residual, GroupedResidual("kivi", params, group));
  const auto bits = [&](std::string_view name) {
    const int64_t own = params.GetInt(name);
    return static_cast<int>(own > 0 ? own : params.GetInt("bits"));
  };
  const int64_t v_group = params.GetInt("v_group") > 0 ? params.GetInt("v_group") : group;
  return std::make_unique<Kivi>(bits("k_bits"), bits("v_bits"), static_cast<int>(group),
                                static_cast<int>(v_group), residual, FullPrecision(params));
}

}  // namespace

extern constinit const MethodInfo kKivi = {
    .name = "kivi",
    .role = Role::kCodec,
    .family = "quantise",
    .summary = "keys in 2, 4 or 8 bits by channel, values by token; the newest stay",
    .paper = "arXiv 2402.02750",
    .about =
        "Outliers of keys live in a few channels, so each channel of 32 entries gets its own "
        "grid; values have none and get a grid for 32 channels of an entry. With its f16 grid a "
        "number takes 3 bits at 2, 5 at 4, 9 at 8. With group_size=64 grids are shared among "
        "twice as many entries (and channels of values): half a bit less and a fifth less time in "
        "attention, but coarser: at 2 bits half as far again from the full cache, at 4 bits hardly "
        "(docs/results.md). Needs nothing, "
        "drops nothing. The newest `residual` entries stay as they are, so short texts lose "
        "nothing and save nothing. 4 bits cost little on any model; 2 bits cost much on models "
        "that share a KV head among many query heads (grouped-query attention): keep the first "
        "layers with `first_layers=2` there. Evictors that act while generating leave holes in "
        "the groups; their bytes come back when half of a head's slots are holes.",
    .example = "kivi:bits=2",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
