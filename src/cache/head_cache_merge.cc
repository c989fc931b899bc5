// The verbs that write into entries: columns, merging, folding.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cache/head_cache.h"

namespace kvasir {
namespace {

// Whether an entry can be written without others, and holds all channels.
bool StoredAlone(const RunFormat& format) {
  const bool narrow = (format.map && format.map->drops_channels()) || format.v_map;
  return format.together() == 1 && !narrow;
}

}  // namespace

Status HeadCache::SetColumn(int column, int64_t entry, float value) {
  KV_CHECK(column < format_.n_columns && entry >= 0 && entry < size_);
  const Place at = Places()[entry];
  KV_RETURN_IF_ERROR(MakeWritable(runs_[at.run], at.page));
  WriteColumn(at, column, value);
  return {};
}

// So that an entry can be written alone: out of a group that is encoded together, or of a format
// that has lost channels, and with planes that nobody else reads; as_appended: out of any format
// but that of new entries. Entries keep their numbers.
Status HeadCache::MakeOneWritable(int64_t entry, bool as_appended) {
  Place at = Places()[entry];
  const RunFormat& format = runs_[at.run].format;
  const bool appended = format.k == format_.k() && format.v == format_.v() && !format.map;
  if (!StoredAlone(format) || (as_appended && !appended)) {
    const size_t before = runs_.size();
    const size_t target = FindRun(
        {.k = format_.k(), .v = format_.v(), .map = nullptr, .shift = runs_[at.run].format.shift});
    if (runs_.size() > before && static_cast<size_t>(at.run) >= target) ++at.run;
    KV_RETURN_IF_ERROR(MoveInto({&at, 1}, runs_[target]));
    SortRuns();
    Refresh();
    at = Places()[entry];
  }
  Run& run = runs_[at.run];
  KV_RETURN_IF_ERROR(MakeWritable(run, at.page));
  Page& page = *run.pages[at.page];
  for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
    Plane*& plane = page.plane(kind);
    if (IsOwn(plane)) continue;
    KV_ASSIGN_OR_RETURN(Plane * copy, NewPlane(plane->n_bytes, kind));
    std::memcpy(copy->bytes, plane->bytes, plane->n_bytes);
    Unref(plane);
    plane = copy;
  }
  SyncRef(run, at.page);
  return {};
}

// REQUIRES: the page is ours alone.
void HeadCache::WriteColumn(const Place& at, int column, float value) {
  Run& run = runs_[at.run];
  Page& page = *run.pages[at.page];
  if (!page.columns && value == DefaultOf(column)) return;
  page.MakeColumns(format_.n_columns);
  page.columns[column * kPageEntries + at.slot] = value;
  run.refs[at.page].bias = page.columns.get();
}

void HeadCache::ReadEntry(const Place& at, PlaneKind kind, float* x) const {
  runs_[at.run].format.Decode(kind, PageAt(at).bytes(kind), at.slot, x);
}

// REQUIRES: MakeOneWritable of the entry.
void HeadCache::WriteEntry(const Place& at, PlaneKind kind, const double* x) {
  const std::vector<float> rounded(x, x + format_.head_dim);
  runs_[at.run].format.Encode(kind, rounded.data(), at.slot,
                              runs_[at.run].pages[at.page]->plane(kind)->bytes);
}

Status HeadCache::Merge(const MergeSets& sets) {
  std::vector<Place> places = Places();
  for (int32_t entry : sets.into) {  // all that can fail, before anything is written
    const Place& at = places[entry];
    const Page& page = PageAt(at);
    const bool alone = StoredAlone(runs_[at.run].format);
    const bool mine = page.n_refs.load(std::memory_order_acquire) == 1;
    if (alone && mine && IsOwn(page.k) && IsOwn(page.v)) continue;
    KV_RETURN_IF_ERROR(MakeOneWritable(entry));
    if (!alone) places = Places();  // it was moved
  }
  const auto sum = [&](int64_t set, PlaneKind kind, const std::vector<float>& weights) {
    std::vector<double> total(format_.head_dim);
    std::vector<float> x(format_.head_dim);
    for (int32_t m = sets.begin[set]; m < sets.begin[set + 1]; ++m) {
      if (weights[m] == 0) continue;
      ReadEntry(places[sets.members[m]], kind, x.data());
      for (size_t c = 0; c < x.size(); ++c) total[c] += double{weights[m]} * x[c];
    }
    return total;
  };
  const std::vector<float> counts = Column(kCountColumn);
  for (int64_t set = 0; set < sets.n_sets(); ++set) {
    const Place& at = places[sets.into[set]];
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
  KV_RETURN_IF_ERROR(MakeOneWritable(is_new ? first : first - 1, /*as_appended=*/true));
  const std::vector<Place> places = Places();
  const Place& at = places[is_new ? first : first - 1];
  const int64_t d = format_.head_dim;
  const std::vector<float> counts = Column(kCountColumn);
  folded_.sum.resize(2 * d);
  std::vector<float> x(2 * d);
  for (int64_t entry = first; entry < first + n; ++entry) {
    ReadEntry(places[entry], PlaneKind::kKeys, x.data());
    ReadEntry(places[entry], PlaneKind::kValues, x.data() + d);
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
