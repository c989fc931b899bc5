// The verbs that write into entries: columns, merging, folding.
#include <algorithm>
#include <cmath>

#include "cache/head_cache.h"

namespace kvasir {

Status HeadCache::SetColumn(int column, int64_t entry, float value) {
  KV_CHECK(column < format_.n_columns && entry >= 0 && entry < size_);
  const Slot at = Slots()[entry];
  KV_RETURN_IF_ERROR(MakeWritable(runs_[at.run], at.page));
  WriteColumn(at, column, value);
  return {};
}

// REQUIRES: the page is ours alone.
void HeadCache::WriteColumn(const Slot& at, int column, float value) {
  Run& run = runs_[at.run];
  Page& page = *run.pages[at.page];
  if (!page.columns && value == DefaultOf(column)) return;
  page.MakeColumns(format_.n_columns);
  page.columns[column * kPageEntries + at.slot] = value;
  run.refs[at.page].bias = page.columns.get();
}

void HeadCache::ReadEntry(const Slot& at, PlaneKind kind, float* x) const {
  const Page& page = *runs_[at.run].pages[at.page];
  const bool keys = kind == PlaneKind::kKeys;
  DecodeEntries(keys ? format_.k_codec : format_.v_codec, kind, format_.head_dim,
                keys ? page.k : page.v, at.slot, 1, x, format_.head_dim);
}

// REQUIRES: the page is ours alone.
void HeadCache::WriteEntry(const Slot& at, PlaneKind kind, const double* x) {
  const Page& page = *runs_[at.run].pages[at.page];
  const bool keys = kind == PlaneKind::kKeys;
  const std::vector<float> rounded(x, x + format_.head_dim);
  EncodeEntries(Isa::kAvx2, keys ? format_.k_codec : format_.v_codec, kind, format_.head_dim,
                rounded.data(), format_.head_dim, at.slot, 1, keys ? page.k : page.v);
}

Status HeadCache::Merge(const MergeSets& sets) {
  const std::vector<Slot> slots = Slots();
  for (int32_t entry : sets.into) {  // all that can fail, before anything is written
    KV_RETURN_IF_ERROR(MakeWritable(runs_[slots[entry].run], slots[entry].page));
  }
  const auto sum = [&](int64_t set, PlaneKind kind, const std::vector<float>& weights) {
    std::vector<double> total(format_.head_dim);
    std::vector<float> x(format_.head_dim);
    for (int32_t m = sets.begin[set]; m < sets.begin[set + 1]; ++m) {
      if (weights[m] == 0) continue;
      ReadEntry(slots[sets.members[m]], kind, x.data());
      for (size_t c = 0; c < x.size(); ++c) total[c] += double{weights[m]} * x[c];
    }
    return total;
  };
  const std::vector<float> counts = Column(kCountColumn);
  for (int64_t set = 0; set < sets.n_sets(); ++set) {
    const Slot& at = slots[sets.into[set]];
    // Sets have no entry in common, so what is written here is read by no other.
    if (!sets.k_weights.empty()) {
      WriteEntry(at, PlaneKind::kKeys, sum(set, PlaneKind::kKeys, sets.k_weights).data());
    }
    WriteEntry(at, PlaneKind::kValues, sum(set, PlaneKind::kValues, sets.v_weights).data());
    float count = 0;
    for (int32_t m = sets.begin[set]; m < sets.begin[set + 1]; ++m) {
      count += counts[sets.members[m]];
    }
    WriteColumn(at, kCountColumn, count);
    if (!sets.bias.empty()) WriteColumn(at, kBiasColumn, sets.bias[set]);
  }
  Refresh();
  return {};
}

Status HeadCache::Fold(int64_t first, int64_t n, bool weighted) {
  KV_CHECK(first >= 0 && n >= 0 && first + n <= size_);
  if (n == 0) return {};
  const bool is_new = folded_.sum.empty();
  KV_CHECK(is_new || first > 0);
  const std::vector<Slot> slots = Slots();
  const Slot& at = slots[is_new ? first : first - 1];
  KV_RETURN_IF_ERROR(MakeWritable(runs_[at.run], at.page));
  const int64_t d = format_.head_dim;
  const std::vector<float> counts = Column(kCountColumn);
  folded_.sum.resize(2 * d);
  std::vector<float> x(2 * d);
  for (int64_t entry = first; entry < first + n; ++entry) {
    ReadEntry(slots[entry], PlaneKind::kKeys, x.data());
    ReadEntry(slots[entry], PlaneKind::kValues, x.data() + d);
    for (int64_t c = 0; c < 2 * d; ++c) folded_.sum[c] += double{counts[entry]} * x[c];
    folded_.n += static_cast<int64_t>(counts[entry]);
  }
  std::vector<double> mean = folded_.sum;
  for (double& m : mean) m /= static_cast<double>(folded_.n);
  WriteEntry(at, PlaneKind::kKeys, mean.data());
  WriteEntry(at, PlaneKind::kValues, mean.data() + d);
  WriteColumn(at, kCountColumn, static_cast<float>(folded_.n));
  const double bias = weighted ? std::log(static_cast<double>(folded_.n)) : 0;
  WriteColumn(at, kBiasColumn, static_cast<float>(bias));
  if (is_new) {
    Drop(first + 1, n - 1);
  } else {
    Drop(first, n);
  }
  return {};
}

}  // namespace kvasir
