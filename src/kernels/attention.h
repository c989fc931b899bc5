// Attention over paged head caches. A head's pages come in runs of one pair of formats; a kernel
// reads a run in whatever format it is in and returns a partial result (max, sum, accumulator);
// merging partials is the only way anything is combined.
//
// Determinism: a row's logits are computed key by key in one order, softmax and P*V inside a split
// of kSplitEntries slots in slot order, and splits are merged from left to right. A split is 8
// pages of all runs in turn, wherever runs begin and end. So a row's result has the same bits alone
// or among many rows, for every thread count, chunk size, batch and instruction set.
//
// Planes of low bits are read as they are, with integer products: queries of a run (times the
// scales of 32 slots, where keys are scaled by channel) and probabilities of a page (times the
// scales of its entries, where values are) are rounded to 16 bits, or 8 for codes of one or two
// bits, relative to the largest among them. That adds about 2^(bits - 14), or 2^(bits - 6), of the
// codec's own rounding error at worst, where one weight dwarfs the others, and it is the same for
// every row, tile and instruction set.
//
// Dead slots, and pages that no row may see, are never read as values: they may hold garbage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/plane_format.h"

namespace kvasir {

inline constexpr int kPagesPerSplit = 8;  // attention splits every 512 slots
inline constexpr int kSplitEntries = kPageEntries * kPagesPerSplit;

// One page of one head as kernels see it; 48 bytes, trivially copyable.
struct PageRef {
  const std::byte* k = nullptr;    // K plane in the run's key format
  const std::byte* v = nullptr;    // V plane in the run's value format
  const float* bias = nullptr;     // [64] added to the logits; null: none
  const int32_t* order = nullptr;  // [64] place in the text of each slot; null: order0 + slot
  uint64_t live = 0;               // bit i: slot i holds an entry
  int32_t order0 = 0;
};

// Consecutive pages of one head with one pair of formats and one map of the queries.
struct RunRef {
  const PageRef* pages = nullptr;
  int32_t n_pages = 0;
  PlaneFormat k, v;  // of head_dim channels, or fewer
  // [v.dim] which of a value's channels are stored, ascending; the others are 0. Null: all are.
  const uint8_t* v_channels = nullptr;
};

// logit = softcap(scale * q.k) + bias, then the mask. softcap 0: none; else c * tanh(x / c).
struct LogitSpec {
  float scale = 1.0f;
  float softcap = 0.0f;
};

// A query at order o sees keys of order in (o - window, o]; window 0: all keys of order <= o.
struct MaskSpec {
  int32_t window = 0;
};

// The query rows of one sequence that read one KV head. Rows of a prompt chunk, or one decode row.
struct AttendJob {
  std::span<const RunRef> runs;
  const float* q = nullptr;  // [rows][group][head_dim], rows q_stride apart, rotated
  // Per run: the queries as its keys are stored (rotated, balanced, transformed, some channels
  // gathered). Laid out as q; of each query the first k.dim floats are read. Null: q for all runs.
  const float* const* run_q = nullptr;
  const int32_t* q_order = nullptr;  // [rows] place in the text
  float* out = nullptr;              // [rows][group][head_dim], rows out_stride apart
  float* lse = nullptr;              // [rows][group] log-sum-exp of the logits; null: not wanted
  int32_t n_rows = 0, group = 1, head_dim = 64;
  int64_t q_stride = 0, out_stride = 0;  // in floats
  MaskSpec mask;
};

// Working memory of attention calls, one call at a time; grows, never shrinks.
class AttentionScratch {
 public:
  AttentionScratch();
  ~AttentionScratch();
  AttentionScratch(AttentionScratch&&) noexcept;
  AttentionScratch& operator=(AttentionScratch&&) noexcept;

  struct Impl;  // kernels/attention_scratch.h
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// out = softmax(logits) * V for all jobs; all threads are busy whatever the mix of long and short.
// head_dim is a multiple of 16 up to 256. A row that sees no key gets zeros and lse -inf.
void Attend(Isa isa, const LogitSpec& logit, std::span<const AttendJob> jobs, ThreadPool& pool,
            AttentionScratch& scratch);

// What some query rows give each slot of a head: mass[slot] = reduce over rows and group of
// weight[row] * exp(logit - lse[row, g]), 0 where masked or dead.
enum class GroupReduce : uint8_t { kMean, kMax, kSum };  // over the group, after summing rows
struct MassJob {
  std::span<const RunRef> runs;
  const float* q = nullptr;  // as in AttendJob
  const float* const* run_q = nullptr;
  const int32_t* q_order = nullptr;
  const float* lse = nullptr;         // [rows][group]; as Attend returned it
  const float* row_weight = nullptr;  // [rows]; null: 1
  float* mass = nullptr;              // [slots of all runs in turn] (kMean, kMax, kSum over group)
  int32_t n_rows = 0, group = 1, head_dim = 64;
  int64_t q_stride = 0;
  MaskSpec mask;
  GroupReduce over_group = GroupReduce::kMean;
};
void AttentionMass(Isa isa, const LogitSpec& logit, std::span<const MassJob> jobs, ThreadPool& pool,
                   AttentionScratch& scratch);

}  // namespace kvasir
