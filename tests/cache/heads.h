// Heads with given keys and values, and attention over them, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cache/head_cache.h"

namespace kvasir {

using Rows = std::vector<std::vector<float>>;

constexpr int kTestDim = 16;  // rows are padded with zeros to it

inline HeadFormat TestFormat(const PlaneFormat& plane = FloatPlane(CodecId::kF32, kTestDim)) {
  return {.head_dim = kTestDim, .k_plane = plane, .v_plane = plane};
}

// Rotates nothing, but adds how far it was asked to, so that sums of moves can be read.
class NotingRotator final : public KeyRotator {
 public:
  void Rotate(float* key, int32_t from, int32_t to) const override {
    key[0] += static_cast<float>(to - from);
    ++n_calls;
  }
  mutable int64_t n_calls = 0;
};

// Appends rows of orders first_order, first_order + 1, …
inline void AppendRows(HeadCache& head, const Rows& keys, const Rows& values, int first_order = 0) {
  const HeadFormat& format = head.format();
  std::vector<SlotRange> slots;
  ASSERT_TRUE(head.Append(static_cast<int64_t>(keys.size()), first_order, slots));
  for (const SlotRange& range : slots) {
    for (int i = 0; i < range.n; ++i) {
      std::vector<float> k = keys[range.row + i], v = values[range.row + i];
      k.resize(kTestDim);
      v.resize(kTestDim);
      EncodeEntries(Isa::kAvx2, format.k(), PlaneKind::kKeys, k.data(), kTestDim, range.slot + i, 1,
                    range.k);
      EncodeEntries(Isa::kAvx2, format.v(), PlaneKind::kValues, v.data(), kTestDim, range.slot + i,
                    1, range.v);
    }
  }
}

// The first n channels of every entry.
inline Rows ReadRows(const HeadCache& head, PlaneKind kind, int n = kTestDim) {
  std::vector<float> x(head.size() * kTestDim);
  head.Read(kind, 0, head.size(), x.data());
  Rows rows;
  for (int64_t i = 0; i < head.size(); ++i) {
    rows.emplace_back(x.begin() + i * kTestDim, x.begin() + i * kTestDim + n);
  }
  return rows;
}

inline Rows RandomRows(int n, uint32_t seed, float scale = 1) {
  Rows rows(n, std::vector<float>(kTestDim));
  for (std::vector<float>& row : rows) {
    for (float& x : row) {
      seed = seed * 1664525u + 1013904223u;
      x = scale * (static_cast<float>(seed >> 8) * 0x1p-23f - 1);
    }
  }
  return rows;
}

// What a query that sees everything gets.
inline std::vector<float> AttendAll(const HeadCache& head, std::vector<float> query,
                                    float scale = 1) {
  query.resize(kTestDim);
  const int32_t order = INT32_MAX - 1;
  std::vector<float> out(kTestDim);
  const AttendJob job{.runs = head.runs(),
                      .q = query.data(),
                      .q_order = &order,
                      .out = out.data(),
                      .n_rows = 1,
                      .head_dim = kTestDim,
                      .q_stride = kTestDim,
                      .out_stride = kTestDim,
                      .mask = {}};
  ThreadPool pool(1);
  AttentionScratch scratch;
  Attend(Isa::kAvx2, {.scale = scale}, {&job, 1}, pool, scratch);
  return out;
}

}  // namespace kvasir
