// Tiers by age: the newest entries as they were appended, older ones in 8 bits, the oldest in 4 or
// 2. Moment: store, in blocks of 32 entries; cost: each entry is encoded twice.
//
// The oldest: keys by channel over 32 entries, values by entry, as kivi stores them. Entries that
// are old already when they are first encoded (a prompt's) skip the 8 bits.
#include "methods/full_precision.h"
#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kAgesWindow = {"window", ParamKind::kInteger, "128", "0..16777216",
                                   "most recent entries that are left as they are"};
constexpr ParamInfo kParams[] = {
    {"middle", ParamKind::kInteger, "512", "0..16777216", "entries in 8 bits, the next by age"},
    {"bits", ParamKind::kInteger, "4", "2|4", "bits of the oldest"},
    kAgesWindow,
    kFirstLayers,
    kLastLayers,
    kSinks,
};

int64_t Blocks(int64_t n) { return n / kGroupSlots * kGroupSlots; }

class Ages final : public Method {
 public:
  Ages(int64_t middle, int bits, const FullPrecision& full)
      : middle_(middle), old_{ChannelPlane(bits, 0), TokenPlane(bits, 0)}, full_(full) {}

  void Compress(const LayerView& at, Ops&, LayerPlan& plan) const override {
    if (full_.Skips(at)) return;
    const PlaneFormat middle = Q8Plane(0);
    for (int h = 0; h < plan.n_heads(); ++h) {
      const HeadCache& head = at.heads[h];
      if (Matches(head.format().k(), middle)) {  // a base in 8 bits: no tier between
        const int64_t n = Blocks(full_.Eligible(head, PlaneKind::kKeys) - middle_);
        plan.Encode(h, full_.Oldest(head, PlaneKind::kKeys, n), old_);
        continue;
      }
      const int64_t n_middle = head.n_stored(PlaneKind::kKeys, middle);
      const int64_t n_aged = Blocks(full_.Eligible(head, PlaneKind::kKeys));
      const int64_t n_old = std::max<int64_t>(0, Blocks(n_middle + n_aged - middle_));
      const int64_t from_middle = std::min(n_old, n_middle);
      const int64_t at_once = Blocks(n_old - from_middle);
      plan.Encode(h, StoredSpan{PlaneKind::kKeys, middle, 0, from_middle}, old_);
      plan.Encode(h, full_.Oldest(head, PlaneKind::kKeys, at_once), old_);
      plan.Encode(h, full_.Oldest(head, PlaneKind::kKeys, n_aged - at_once), {middle, middle});
    }
  }

 private:
  const int64_t middle_;
  const Encoding old_;
  const FullPrecision full_;
};

Result<std::unique_ptr<Method>> Make(const Params& params) {
  return std::make_unique<Ages>(params.GetInt("middle"), static_cast<int>(params.GetInt("bits")),
                                FullPrecision(params));
}

}  // namespace

extern constinit const MethodInfo kAges = {
    .name = "ages",
    .role = Role::kCodec,
    .family = "quantise",
    .summary = "the older an entry, the fewer its bits: 16, then 8, then 4 or 2",
    .paper = "",
    .about =
        "Attention looks mostly at what is near, so errors in what is far cost less. The `window` "
        "newest entries stay as they are, the next `middle` take 8 bits, all older ones `bits`. "
        "Nothing is dropped. A long text costs almost as little as `kivi` of the same bits; the "
        "near context loses nothing that can be measured. A question about the distant past reads "
        "it at its worst: where that is the task, `mikv` asks attention, not age.",
    .example = "ages:middle=512,bits=4",
    .params = kParams,
    .make = &Make,
};

}  // namespace kvasir
