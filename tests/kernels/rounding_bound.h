// How far attention on low-bit planes may be from float64 attention on their decoded values: a
// bound for each query, from these values, the float64 result and how kernels read codes
// (kernels/attention.h).
//
// value = middle + scale * code, codes counted from the middle of their range. What is summed over
// has weights: queries (over channels) or probabilities (over slots), times the scales that belong
// to it. Those rounded together become integers times a step, the largest / 32639, or / 127 for
// codes of one or two bits; sums of their products with codes are exact. So such a sum is off by
//   sum of |weight * code|                      over weights below step / 2, which become 0, and
//   step / 2 * sum of |code|                    at most over the others. Their errors are as good
//   as independent and uniform, so that
//   6 * step / sqrt(12) * sqrt(sum of code^2)   are six standard deviations; the less counts.
//
// Logits off by e_i make of probabilities p_i p_i * exp(e_i), before they are normalised. Their
// log-sum-exp moves by sum p_i e_i, which is such a sum over the codes of the average key, and by
// at most sum p_i (exp|e_i| - 1 - |e_i|) beside it. As sum p_i (v_i - out) = 0, the output moves by
// at most
//   sum p_i (exp|e_i| - 1) |v_i - out| / sum p_i exp(-|e_i|),
// and by what rounding the probabilities adds. Arithmetic in f32, as on planes of floats, comes on
// top.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "tests/kernels/decoded_planes.h"

namespace kvasir {

// The largest weight as an integer.
inline double MostInteger(const PlaneFormat& format) {
  const bool bytes =
      format.codec == CodecId::kSplit || format.codec == CodecId::kTernary || format.bits == 2;
  return bytes ? 127 : 32639;
}

// How far a sum of weight * code moves when its weights are rounded.
class RoundedSum {
 public:
  // Adds n products, whose weights are rounded together.
  void Add(int n, const double* weights, const double* codes, double most_integer) {
    double largest = 0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, std::abs(weights[i]));
    const double step = largest / most_integer;
    constexpr double kF32 = 0.01;  // of a step: three roundings of 32639 are 0.006
    for (int i = 0; i < n; ++i) {
      const double weight = std::abs(weights[i]), code = std::abs(codes[i]);
      if (weight < (0.5 - kF32) * step) {
        lost_ += weight * code;
        continue;
      }
      const double off = (0.5 + kF32) * step * code;
      most_ += off;
      variance_ += off * off / 3;
    }
  }
  double Bound() const { return lost_ + std::min(most_, 6 * std::sqrt(variance_)); }

 private:
  double lost_ = 0, most_ = 0, variance_ = 0;
};

struct QueryBound {
  double lse = 0;
  std::vector<double> out{};
};

// Of a run that has all channels.
class RoundingBound {
 public:
  explicit RoundingBound(const RunRef& run)
      : k_(run, PlaneKind::kKeys), v_(run, PlaneKind::kValues) {}

  // logits = scale * q.k, their log-sum-exp and the output are those in float64.
  QueryBound Of(const float* q, double scale, const std::vector<double>& logits, double lse,
                const std::vector<double>& out) const {
    const int n = v_.n_slots();
    // Probabilities, by how much they may grow, and what that makes of them.
    std::vector<double> p(n), growth(n), grown(n);
    double second_order = 0, least = 0;
    for (int i = 0; i < n; ++i) {
      p[i] = std::exp(logits[i] - lse);
      if (p[i] == 0) continue;
      const double e = LogitBound(i, q, scale);
      second_order += p[i] * (std::expm1(e) - e);
      least += p[i] * std::exp(-e);
      growth[i] = p[i] * std::expm1(e), grown[i] = p[i] * std::exp(e);
    }
    for (int i = 0; i < n; ++i) growth[i] /= least, grown[i] /= least;
    QueryBound bound{LseBound(q, scale, p) + second_order};
    for (int c = 0; c < v_.dim(); ++c) {
      double moved = ValueBound(c, grown);
      for (int i = 0; i < n; ++i) {
        if (p[i] != 0) moved += growth[i] * std::abs(v_.Value(i, c) - out[c]);
      }
      bound.out.push_back(moved);
    }
    return bound;
  }

 private:
  // Adds the products of a query with codes [dim] times scales: those of this slot. Rounded
  // together are the channels of a group, or, with scales by channel, of a grid.
  void AddKeys(int slot, const float* q, double q_scale, const double* distances,
               RoundedSum& sum) const {
    const bool by_channel = k_.by_channel();
    const int dim = k_.dim(), wide = k_.format().wide, group = k_.format().group;
    double weights[kMostChannels], codes[kMostChannels];
    for (int c = 0; c < dim; ++c) {
      const double scale = by_channel ? k_.Scale(slot, c) : 1;
      weights[c] = q[c] * q_scale * scale;
      codes[c] = scale == 0 ? 0 : distances[c] / scale;
    }
    for (int begin = 0, end; begin < dim; begin = end) {
      end = by_channel ? (begin < wide ? wide : dim) : std::min(begin + group, dim);
      sum.Add(end - begin, weights + begin, codes + begin, MostInteger(k_.format()));
    }
  }

  double LogitBound(int slot, const float* q, double scale) const {
    RoundedSum sum;
    if (IsCoded(k_.format())) AddKeys(slot, q, scale, k_.Distances(slot), sum);
    return sum.Bound();
  }

  // Of sum p * logit: of the average key, by channel of those that share scales.
  double LseBound(const float* q, double scale, const std::vector<double>& p) const {
    RoundedSum sum;
    const int n = k_.by_channel() ? SlotsTogether(k_.format()) : k_.n_slots();
    for (int begin = 0; begin < k_.n_slots() && IsCoded(k_.format()); begin += n) {
      std::vector<double> average;
      for (int slot = begin; slot < begin + n; ++slot) {
        if (p[slot] == 0) continue;
        average.resize(k_.dim());
        for (int c = 0; c < k_.dim(); ++c) average[c] += p[slot] * k_.Distances(slot)[c];
      }
      if (!average.empty()) AddKeys(begin, q, scale, average.data(), sum);
    }
    return sum.Bound();
  }

  // Of sum p * value of a channel. Rounded together are the slots of a page, times their scales,
  // or, with scales by channel, those of a group.
  double ValueBound(int c, const std::vector<double>& p) const {
    RoundedSum sum;
    const int n = v_.by_channel() ? SlotsTogether(v_.format()) : kPageEntries;
    for (int begin = 0; begin < v_.n_slots() && IsCoded(v_.format()); begin += n) {
      double weights[kPageEntries] = {}, codes[kPageEntries] = {};
      for (int i = 0; i < n; ++i) {
        if (p[begin + i] == 0) continue;
        const double scale = v_.by_channel() ? 1 : v_.Scale(begin + i, c);
        weights[i] = p[begin + i] * scale;
        codes[i] = scale == 0 ? 0 : v_.Distances(begin + i)[c] / scale;
      }
      sum.Add(n, weights, codes, MostInteger(v_.format()));
    }
    return sum.Bound();
  }

  DecodedPlanes k_, v_;
};

}  // namespace kvasir
