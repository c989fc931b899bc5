// A head cache for tests, with garbage (NaN) where nothing was written; attention in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "base/buffer.h"
#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir {

class HeadCase {
 public:
  HeadCase(Isa isa, int head_dim, uint32_t seed) : isa_(isa), head_dim_(head_dim), random_(seed) {}

  // Appends a run of n entries in whole pages; the last page's other slots stay garbage.
  void AddRun(const PlaneFormat& k, const PlaneFormat& v, int n) {
    runs_.push_back({k, v, pages_.size(), (n + 63) / 64});
    for (int begin = 0; begin < n; begin += 64) AddPage(k, v, std::min(64, n - begin));
  }
  // The same with given numbers: of (entry in its page, channel).
  using Fill = std::function<float(int, int)>;
  void AddRun(const PlaneFormat& k, const PlaneFormat& v, int n, const Fill& keys,
              const Fill& values) {
    keys_ = keys, values_ = values;
    AddRun(k, v, n);
    keys_ = nullptr, values_ = nullptr;
  }
  // The same, of whose values these channels alone are stored.
  void AddNarrowRun(const PlaneFormat& k, const PlaneFormat& v, int n,
                    const std::vector<uint8_t>& v_channels, const Fill& values = nullptr) {
    values_ = values, v_channels_ = v_channels;
    AddRun(k, v, n);
    runs_.back().v_channels = v_channels;
    values_ = nullptr, v_channels_.clear();
  }
  void AddRun(CodecId k_codec, CodecId v_codec, int n) {
    AddRun(FloatPlane(k_codec, head_dim_), FloatPlane(v_codec, head_dim_), n);
  }
  // Kills the live bits for which dead(page, slot), and writes garbage over their entries where
  // entries are encoded one by one.
  template <class F>
  void Kill(F dead) {
    for (size_t p = 0; p < pages_.size(); ++p) {
      for (int slot = 0; slot < 64; ++slot) {
        if ((refs_[p].live >> slot & 1) == 0 || !dead(static_cast<int>(p), slot)) continue;
        refs_[p].live &= ~(uint64_t{1} << slot);
        const std::vector<float> garbage(head_dim_, std::nanf(""));
        Page& page = pages_[p];
        for (const PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
          const bool keys = kind == PlaneKind::kKeys;
          const PlaneFormat& format = keys ? page.k_format : page.v_format;
          if (SlotsTogether(format) > 1) continue;
          Buffer& plane = keys ? page.k : page.v;
          EncodeEntries(isa_, format, kind, garbage.data(), 0, slot, 1, plane.data());
        }
      }
    }
  }
  // Gives every page its array of orders: those it has, in a random permutation of the whole cache.
  void Shuffle() {
    std::vector<int32_t> orders(pages_.size() * 64);
    for (size_t i = 0; i < orders.size(); ++i) orders[i] = static_cast<int32_t>(i);
    std::shuffle(orders.begin(), orders.end(), random_);
    for (size_t p = 0; p < pages_.size(); ++p) {
      pages_[p].order.assign(orders.begin() + p * 64, orders.begin() + (p + 1) * 64);
      refs_[p].order = pages_[p].order.data();
    }
  }
  void AddBias() {
    for (size_t p = 0; p < pages_.size(); p += 2) {  // some pages have none
      pages_[p].bias = Normal(64, 1.0f);
      refs_[p].bias = pages_[p].bias.data();
    }
  }

  std::vector<float> Normal(size_t n, float spread) {
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> x(n);
    for (float& v : x) v = normal(random_);
    return x;
  }

  // The runs; pages may be cut into more runs than were added.
  std::vector<RunRef> Runs(bool one_page_each = false) const {
    std::vector<RunRef> runs;
    for (const RunSpec& run : runs_) {
      for (int i = 0; i < (one_page_each ? run.n_pages : 1); ++i) {
        runs.push_back({refs_.data() + run.first_page + i, one_page_each ? 1 : run.n_pages,
                        run.k_format, run.v_format,
                        run.v_channels.empty() ? nullptr : run.v_channels.data()});
      }
    }
    return runs;
  }
  int n_slots() const { return static_cast<int>(pages_.size()) * 64; }
  int head_dim() const { return head_dim_; }
  std::vector<PageRef>& refs() { return refs_; }

  // Logits of one query in double, -inf where it sees nothing. q by run: q + run * run_stride.
  std::vector<double> Logits(const LogitSpec& spec, const float* q, int64_t run_stride,
                             int32_t q_order, int window) const {
    std::vector<double> logits(n_slots(), -std::numeric_limits<double>::infinity());
    for (size_t r = 0; r < runs_.size(); ++r) {
      for (int i = 0; i < runs_[r].n_pages; ++i) {
        const size_t p = runs_[r].first_page + i;
        for (int slot = 0; slot < 64; ++slot) {
          if (!Sees(refs_[p], slot, q_order, window)) continue;
          const PlaneFormat& format = pages_[p].k_format;
          const float* key = Decoded(p, PlaneKind::kKeys) + slot * format.dim;
          double dot = 0;
          for (int c = 0; c < format.dim; ++c) dot += double{q[r * run_stride + c]} * key[c];
          dot *= spec.scale;
          if (spec.softcap != 0) dot = spec.softcap * std::tanh(dot / spec.softcap);
          if (refs_[p].bias != nullptr) dot += refs_[p].bias[slot];
          logits[p * 64 + slot] = dot;
        }
      }
    }
    return logits;
  }
  // softmax(logits) * V, and log-sum-exp.
  std::vector<double> Attend(const std::vector<double>& logits, double* lse) const {
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (double x : logits) max = std::max(max, x);
    std::vector<double> out(head_dim_, 0.0);
    *lse = max;
    if (std::isinf(max)) return out;
    for (double x : logits) sum += std::exp(x - max);
    *lse = max + std::log(sum);
    for (size_t i = 0; i < logits.size(); ++i) {
      if (std::isinf(logits[i])) continue;
      const size_t p = i / 64;
      const Page& page = pages_[p];
      const float* value = Decoded(p, PlaneKind::kValues) + i % 64 * page.v_format.dim;
      const double weight = std::exp(logits[i] - *lse);
      for (int c = 0; c < page.v_format.dim; ++c) {
        out[page.v_channels.empty() ? c : page.v_channels[c]] += weight * value[c];
      }
    }
    return out;
  }

 private:
  struct Page {
    PlaneFormat k_format, v_format;
    Buffer k, v;
    std::vector<int32_t> order{};
    std::vector<float> bias{};
    std::vector<uint8_t> v_channels{};                    // empty: all
    mutable std::vector<float> k_decoded{}, v_decoded{};  // when first asked for
  };
  struct RunSpec {
    PlaneFormat k_format, v_format;
    size_t first_page;
    int n_pages;
    std::vector<uint8_t> v_channels{};
  };

  static bool Sees(const PageRef& ref, int slot, int32_t q_order, int window) {
    if ((ref.live >> slot & 1) == 0) return false;
    const int64_t order = ref.order != nullptr ? ref.order[slot] : int64_t{ref.order0} + slot;
    return order <= q_order && (window == 0 || order > int64_t{q_order} - window);
  }

  // All slots of a page, [64][dim].
  const float* Decoded(size_t p, PlaneKind kind) const {
    const Page& page = pages_[p];
    const bool keys = kind == PlaneKind::kKeys;
    std::vector<float>& to = keys ? page.k_decoded : page.v_decoded;
    const PlaneFormat& format = keys ? page.k_format : page.v_format;
    if (!to.empty()) return to.data();
    to.resize(64 * format.dim);
    DecodeEntries(format, kind, keys ? refs_[p].k : refs_[p].v, 0, 64, to.data(), format.dim);
    return to.data();
  }

  void AddPage(const PlaneFormat& k_format, const PlaneFormat& v_format, int n) {
    Page page{k_format, v_format, Buffer(PlaneBytes(k_format, PlaneKind::kKeys)),
              Buffer(PlaneBytes(v_format, PlaneKind::kValues))};
    std::memset(page.k.data(), 0xff, page.k.size());
    std::memset(page.v.data(), 0xff, page.v.size());
    // Entries that are encoded together are whole groups, of which the last may not live.
    const int together = std::max(SlotsTogether(k_format), SlotsTogether(v_format));
    const int rows = (n + together - 1) / together * together;
    std::vector<float> k = Normal(rows * head_dim_, 1.0f), v = Normal(rows * head_dim_, 1.0f);
    for (int c = 0; c < head_dim_; ++c) k[n / 2 * head_dim_ + c] *= 3.0f;  // a loud key
    v[n / 3 * head_dim_ + 1] = 50.0f;                                      // an outlier channel
    for (int i = 0; i < rows * head_dim_; ++i) {
      if (keys_) k[i] = keys_(i / head_dim_, i % head_dim_);
      if (values_) v[i] = values_(i / head_dim_, i % head_dim_);
    }
    EncodeEntries(isa_, k_format, PlaneKind::kKeys, k.data(), head_dim_, 0, rows, page.k.data());
    for (int i = 0; i < rows && !v_channels_.empty(); ++i) {  // ascending, so in place
      float* row = v.data() + i * head_dim_;
      for (size_t c = 0; c < v_channels_.size(); ++c) row[c] = row[v_channels_[c]];
    }
    page.v_channels = v_channels_;
    EncodeEntries(isa_, v_format, PlaneKind::kValues, v.data(), head_dim_, 0, rows, page.v.data());
    refs_.push_back({.k = page.k.data(),
                     .v = page.v.data(),
                     .live = n == 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1,
                     .order0 = static_cast<int32_t>(refs_.size()) * 64});
    pages_.push_back(std::move(page));
  }

  Isa isa_;
  int head_dim_;
  std::mt19937 random_;
  std::vector<Page> pages_;
  std::vector<PageRef> refs_;
  std::vector<RunSpec> runs_;
  Fill keys_, values_;
  std::vector<uint8_t> v_channels_;  // of the run that is being added
};

}  // namespace kvasir
