// What a head cache is made of: formats, planes, pages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cache/key_map.h"
#include "cache/value_map.h"
#include "kernels/attention.h"
#include "kernels/codec.h"

namespace kvasir {

// Columns: extra facts an entry, which travel with it through every verb. All heads have the first
// two; a page holds columns only where an entry differs from the defaults.
inline constexpr int kBiasColumn = 0;   // added to its logits, which is all that kernels read
inline constexpr int kCountColumn = 1;  // tokens that it stands for
inline constexpr float DefaultOf(int column) { return column == kCountColumn ? 1.0f : 0.0f; }

// How new entries of a head are stored: the staging format. The plan's Encode gives them others.
struct HeadFormat {
  int32_t head_dim = 0;
  PlaneFormat k_plane{}, v_plane{};  // a `dim` of 0 stands for head_dim
  int32_t n_columns = 2;             // bias, count, and what methods declare beside them

  PlaneFormat k() const { return WithDim(k_plane); }
  PlaneFormat v() const { return WithDim(v_plane); }
  int64_t k_bytes() const { return PlaneBytes(k(), PlaneKind::kKeys); }
  int64_t v_bytes() const { return PlaneBytes(v(), PlaneKind::kValues); }

 private:
  PlaneFormat WithDim(PlaneFormat plane) const {
    if (plane.dim == 0) plane.dim = static_cast<int16_t>(head_dim);
    return plane;
  }
};

// Whether a plane is of the format asked for, where `dim` 0 stands for any.
inline bool Matches(const PlaneFormat& stored, PlaneFormat asked) {
  if (asked.dim == 0) asked.dim = stored.dim;
  return stored == asked;
}

// How the entries of a run are stored.
struct RunFormat {
  PlaneFormat k, v;
  KeyMapPtr map;                // of the keys
  ValueMapPtr v_map = nullptr;  // of the values
  int32_t shift = 0;

  // Slots that are encoded and moved together.
  int together() const {
    const int keys = SlotsTogether(k), values = SlotsTogether(v);
    return keys > values ? keys : values;
  }
  const PlaneFormat& plane(PlaneKind kind) const { return kind == PlaneKind::kKeys ? k : v; }
  bool operator==(const RunFormat&) const = default;  // one map: the same object
  bool MapsLike(const RunFormat& other, PlaneKind kind) const {
    return kind == PlaneKind::kKeys ? map == other.map : v_map == other.v_map;
  }
  // A key or value [head_dim] as it is encoded: some of its channels, transformed. No overlap.
  void Map(PlaneKind kind, const float* x, float* stored) const;
  // One key or value [head_dim] of a plane; channels that were dropped are 0.
  void Decode(PlaneKind kind, const std::byte* plane, int slot, float* x) const;
  // REQUIRES: SlotsTogether of its codec is 1.
  void Encode(PlaneKind kind, const float* x, int slot, std::byte* plane) const;
};

// The bytes of the keys or values of 64 slots; ref-counted: two pages of a head may hold one whose
// other planes differ, each for its own live slots.
struct Plane {
  std::byte* bytes = nullptr;
  int64_t n_bytes = 0;
  std::atomic<int32_t> n_refs{1};
};

// The planes and facts of 64 slots; ref-counted: forked heads hold the same pages.
struct Page {
  Plane *k = nullptr, *v = nullptr;
  int32_t order0 = 0, pos0 = 0;      // of slot 0, the others follow, unless the arrays are there
  std::unique_ptr<int32_t[]> order;  // [64]
  std::unique_ptr<int32_t[]> pos;    // [64] stored position
  std::unique_ptr<float[]> columns;  // [n_columns][64]; null: defaults
  bool ascends = true;               // the orders of the live slots: see NoteOrder
  std::atomic<int32_t> n_refs{1};

  void MakeExplicit();              // allocates and fills the arrays
  void MakeColumns(int n_columns);  // likewise, with defaults
  void NoteOrder(uint64_t live);
  // Drops the arrays where the first n slots follow one another.
  void MakeAffine(int n);
  int32_t OrderOf(int slot) const { return order ? order[slot] : order0 + slot; }
  int32_t PosOf(int slot) const { return pos ? pos[slot] : pos0 + slot; }
  float ColumnOf(int column, int slot) const {
    return columns ? columns[column * kPageEntries + slot] : DefaultOf(column);
  }
  void SetFacts(int slot, const Page& from, int from_slot, int n_columns);
  Plane*& plane(PlaneKind kind) { return kind == PlaneKind::kKeys ? k : v; }
  const std::byte* bytes(PlaneKind kind) const {
    return kind == PlaneKind::kKeys ? k->bytes : v->bytes;
  }
};

// Slots that an append has made ready to be written: rows [row, row + n) of the chunk.
struct SlotRange {
  std::byte *k = nullptr, *v = nullptr;  // planes
  int32_t slot = 0, n = 0, row = 0;
};

struct HeadBytes {
  int64_t keys = 0, values = 0;             // planes, from the pool
  int64_t facts = 0;                        // page tables, orders, positions, columns, maps
  std::map<std::string, int64_t> by_codec;  // planes
  int64_t total() const { return keys + values + facts; }
};

}  // namespace kvasir
