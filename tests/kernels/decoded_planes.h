// Planes as attention on codes sees them: value = middle + scale * code, codes counted from the
// middle of their range; found from decoded values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir {

inline bool IsCoded(const PlaneFormat& format) { return format.codec >= CodecId::kQ8; }

// The keys or the values of a run, decoded: [slots][dim].
class DecodedPlanes {
 public:
  DecodedPlanes(const RunRef& run, PlaneKind kind)
      : format_(kind == PlaneKind::kKeys ? run.k : run.v), n_slots_(run.n_pages * kPageEntries) {
    values_.resize(At(n_slots_, 0));
    for (int i = 0; i < run.n_pages; ++i) {
      const std::byte* plane = kind == PlaneKind::kKeys ? run.pages[i].k : run.pages[i].v;
      DecodeEntries(format_, kind, plane, 0, kPageEntries, &values_[At(i * kPageEntries, 0)],
                    format_.dim);
    }
    if (!IsCoded(format_)) return;
    distances_.resize(values_.size()), scales_.resize(values_.size());
    const int slots = SlotsTogether(format_), channels = by_channel() ? 1 : format_.group;
    for (int slot = 0; slot < n_slots_; slot += slots) {
      for (int c = 0; c < dim(); c += channels) {
        Measure(slot, slot + slots, c, std::min(c + channels, dim()));
      }
    }
  }

  const PlaneFormat& format() const { return format_; }
  int n_slots() const { return n_slots_; }
  int dim() const { return format_.dim; }
  bool by_channel() const { return SlotsTogether(format_) > 1; }  // scales
  double Value(int slot, int c) const { return values_[At(slot, c)]; }
  double Scale(int slot, int c) const { return scales_[At(slot, c)]; }
  const double* Distances(int slot) const { return &distances_[At(slot, 0)]; }  // scale * code

 private:
  size_t At(int slot, int c) const { return static_cast<size_t>(slot) * format_.dim + c; }

  // Slots and channels that share a scale: their codes use all of the range (kernels/codec.h).
  void Measure(int slot0, int slot1, int c0, int c1) {
    const bool split = format_.codec == CodecId::kSplit, signs = split && c0 >= format_.wide;
    const bool ternary = format_.codec == CodecId::kTernary, q8 = format_.codec == CodecId::kQ8;
    const double highest = (1 << (split ? 2 : format_.bits)) - 1;
    const double most_code = signs ? 0.5 : ternary ? 1 : q8 ? 127 : highest / 2;
    const auto for_each = [&](auto f) {
      for (int slot = slot0; slot < slot1; ++slot) {
        for (int c = c0; c < c1; ++c) f(At(slot, c));
      }
    };
    double low = Value(slot0, c0), high = low;
    for_each([&](size_t i) {
      low = std::min<double>(low, values_[i]), high = std::max<double>(high, values_[i]);
    });
    const double middle = signs || ternary || q8 ? 0 : (low + high) / 2;
    for_each([&](size_t i) {
      distances_[i] = values_[i] - middle;
      scales_[i] = std::max(high - middle, middle - low) / most_code;
    });
  }

  PlaneFormat format_;
  int n_slots_;
  std::vector<float> values_;
  std::vector<double> distances_, scales_;
};

}  // namespace kvasir
