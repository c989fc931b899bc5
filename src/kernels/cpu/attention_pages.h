// A tile of query vectors meets the pages of a head: which pages some row sees, and their logits.
// Shared by attention and by score requests; independent of the instruction set.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/attention.h"
#include "kernels/cpu/attention_codes.h"
#include "kernels/cpu/attention_tile.h"

namespace kvasir::cpu {

const AttentionTable& AttentionTableOf(Isa isa);

// Some rows of a job.
struct QueryTile {
  std::span<const RunRef> runs;
  const float* q = nullptr;             // as in AttendJob, row 0 being the tile's first
  const float* const* run_q = nullptr;  // per run, of the job's row 0
  const int32_t* q_order = nullptr;
  int32_t row0 = 0;  // of the job
  int32_t n_rows = 0, group = 1, head_dim = 64;
  int64_t q_stride = 0;
  int32_t window = 0;

  int n_queries() const { return n_rows * group; }
};

// The tile of rows [row0, row0 + n_rows) of an AttendJob or MassJob.
template <class Job>
QueryTile TileOf(const Job& job, int32_t row0, int32_t n_rows) {
  return {.runs = job.runs,
          .q = job.q + row0 * job.q_stride,
          .run_q = job.run_q,
          .q_order = job.q_order + row0,
          .row0 = row0,
          .n_rows = n_rows,
          .group = job.group,
          .head_dim = job.head_dim,
          .q_stride = job.q_stride,
          .window = job.mask.window};
}

// Rows a tile: enough that expanding a page costs little beside its products, few enough that a
// split's logits stay in the second-level cache.
inline int32_t RowsPerTile(int32_t group) { return group >= 96 ? 1 : 96 / group; }

int64_t CountPages(std::span<const RunRef> runs);

struct ActivePage {
  const PageRef* ref;
  int32_t run;
  int32_t index;      // among the pages asked for
  uint64_t seen;      // slots that some row sees
  bool needs_finish;  // bias, softcap, or a slot that some row does not see
};

class PageTile {
 public:
  // Floats of scratch for up to n_queries queries of n_rows rows.
  static int64_t ScratchFloats(int n_queries, int n_rows, int head_dim);

  // scratch is aligned like a Buffer. The tile must outlive this.
  PageTile(const AttentionTable& table, const LogitSpec& spec, const QueryTile& tile,
           float* scratch);

  // Finds the pages of [begin, end), at most kPagesPerSplit, that some row sees. Returns how many.
  // Cheapest when called with rising ranges.
  int Collect(int64_t begin, int64_t end);
  const ActivePage& page(int i) const { return pages_[i]; }
  // logits[query][active page][64], rows kLogitStride apart. values_follow: the values of the same
  // pages are read next, and are prefetched.
  void Logits(bool values_follow, float* logits);
  // acc[query][head_dim] += p[query][active page][64] * values.
  void Values(const float* p, float* acc);

 private:
  struct Floats {
    CodecId codec;
    const std::byte *plane, *next;  // next: to prefetch while reading this
  };
  Floats FloatsOf(const PlaneFormat& format, const std::byte* plane, const std::byte* next);
  void Seek(int64_t page);
  uint64_t See(const PageRef& ref, uint64_t* visible) const;
  const float* QueryOf(int32_t run, int query) const;
  void PackQueries(const ActivePage& page);
  I16Queries RoundQueries(const ActivePage& page);
  void PackCodedQueries(const ActivePage& page);
  const RunRef& RunOf(const ActivePage& page) const { return tile_.runs[page.run]; }
  template <class Alike>
  int StretchFrom(int begin, const Alike& alike) const;
  // Keys of the n-th page (from 0) after those collected; null past the end.
  const std::byte* KeysAfter(int n) const;
  void Finish(int i, float* logits) const;
  void AddValues(int begin, int end, const float* p, float* acc);

  const AttentionTable& table_;
  const LogitSpec spec_;
  const QueryTile& tile_;
  const bool expand_;  // decode planes to floats first
  const RegisterTiles registers_, i16_registers_;
  int32_t lowest_order_, highest_order_;  // of the rows
  // Where the next page is.
  int64_t at_page_ = 0;
  size_t at_run_ = 0;
  int32_t at_page_of_run_ = 0;
  // Floats [n_queries][dim] by register tile, or where the keys are 16-bit integers pairs of them.
  int32_t packed_run_ = -1, packed_dim_ = 0;
  bool packed_i16_ = false;
  float* packed_q_;
  float* i16_steps_;  // [n_queries]
  int32_t coded_run_ = -1;
  PlaneFormat coded_format_;
  Grids k_grids_;
  CodedQueries coded_q_;
  PlaneFormat v_format_;
  Grids v_grids_;
  float* plane_;       // [64 * head_dim]
  uint64_t* visible_;  // [kPagesPerSplit][n_rows]
  float* narrow_;      // [n_queries][head_dim] of acc the channels that some pages' values have
  int n_active_ = 0;
  ActivePage pages_[kPagesPerSplit];
};

// Orders seen from `order` are in (this, order].
inline int64_t After(int32_t order, int32_t window) {
  return window > 0 ? int64_t{order} - window : int64_t{INT32_MIN} - 1;
}

// How a page lies to rows of orders [lowest, highest].
enum class Sight : uint8_t { kNone, kSome, kAll };
inline Sight SightOf(const PageRef& ref, int32_t window, int32_t lowest, int32_t highest) {
  if (ref.live == 0) return Sight::kNone;
  if (ref.order != nullptr) return Sight::kSome;
  const int64_t first = ref.order0, last = first + kPageEntries - 1;
  if (first > highest || last <= After(lowest, window)) return Sight::kNone;
  const bool all = last <= lowest && first > After(highest, window);
  return all ? Sight::kAll : Sight::kSome;
}

}  // namespace kvasir::cpu
