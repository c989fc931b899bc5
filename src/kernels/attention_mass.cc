// Score requests: tasks own ranges of pages, so nothing is merged; a slot's sum over the rows is
// one chain in row order.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"
#include "kernels/attention.h"
#include "kernels/attention_scratch.h"
#include "kernels/cpu/attention_pages.h"

namespace kvasir {
namespace {

using cpu::kLogitStride;
using cpu::PageTile;
using cpu::QueryTile;

constexpr float kInf = std::numeric_limits<float>::infinity();

int64_t MassFloats(const MassJob& job) { return int64_t{job.group} * kSplitEntries; }

// mass[slot] of one page from [group][64] sums.
void ReduceGroup(const MassJob& job, const float* sums, float* mass) {
  std::copy_n(sums, kPageEntries, mass);
  for (int g = 1; g < job.group; ++g) {
    const float* more = sums + g * kPageEntries;
    for (int slot = 0; slot < kPageEntries; ++slot) {
      mass[slot] = job.over_group == GroupReduce::kMax ? std::max(mass[slot], more[slot])
                                                       : mass[slot] + more[slot];
    }
  }
  if (job.over_group != GroupReduce::kMean) return;
  const float group = static_cast<float>(job.group);
  for (int slot = 0; slot < kPageEntries; ++slot) mass[slot] /= group;
}

// The pages [begin, end) of one job, for all its rows.
void MassOfPages(const cpu::AttentionTable& table, const LogitSpec& spec, const MassJob& job,
                 int64_t begin, int64_t end, float* memory) {
  float* sums = memory;  // [pages][group][64]
  std::fill_n(sums, MassFloats(job), 0.0f);
  const int32_t rows_per_tile = cpu::RowsPerTile(job.group);
  float* logits = memory + MassFloats(job);
  for (int32_t row0 = 0; row0 < job.n_rows; row0 += rows_per_tile) {
    const QueryTile tile = cpu::TileOf(job, row0, std::min(rows_per_tile, job.n_rows - row0));
    PageTile pages(table, spec, tile, logits + int64_t{tile.n_queries()} * kLogitStride);
    const int n_active = pages.Collect(begin, end);
    pages.Logits(false, logits);
    for (int i = 0; i < n_active; ++i) {
      float* page_sums = sums + int64_t{pages.page(i).index} * job.group * kPageEntries;
      for (int64_t query = 0; query < tile.n_queries(); ++query) {
        const int64_t row = row0 + query / job.group, g = query % job.group;
        const float lse = job.lse[row * job.group + g];
        if (lse == -kInf) continue;  // the row sees nothing
        const float weight = job.row_weight == nullptr ? 1.0f : job.row_weight[row];
        table.add_mass(logits + query * kLogitStride + i * kPageEntries, lse, weight,
                       page_sums + g * kPageEntries);
      }
    }
  }
  for (int64_t page = begin; page < end; ++page) {
    ReduceGroup(job, sums + (page - begin) * job.group * kPageEntries,
                job.mass + page * kPageEntries);
  }
}

}  // namespace

void AttentionMass(Isa isa, const LogitSpec& logit, std::span<const MassJob> jobs, ThreadPool& pool,
                   AttentionScratch& scratch) {
  AttentionScratch::Impl& s = scratch.impl();
  const cpu::AttentionTable& table = cpu::AttentionTableOf(isa);
  s.tasks.clear();
  int64_t floats = 0;
  for (size_t j = 0; j < jobs.size(); ++j) {
    const MassJob& job = jobs[j];
    KV_CHECK(job.head_dim > 0 && job.head_dim <= 256 && job.head_dim % 16 == 0);
    const int64_t n_pages = cpu::CountPages(job.runs);
    for (int32_t split = 0; split * int64_t{kPagesPerSplit} < n_pages; ++split) {
      s.tasks.push_back({.tile = static_cast<int32_t>(j), .split_begin = split});
    }
    const int32_t n_rows = std::min(cpu::RowsPerTile(job.group), job.n_rows);
    const int n_queries = n_rows * job.group;
    floats = std::max(floats, MassFloats(job) + int64_t{n_queries} * kLogitStride +
                                  PageTile::ScratchFloats(n_queries, n_rows, job.head_dim));
  }
  s.ReserveThreads(pool.n_threads(), floats);
  pool.For(static_cast<int64_t>(s.tasks.size()), [&](int64_t task, int thread) {
    const MassJob& job = jobs[s.tasks[task].tile];
    const int64_t begin = int64_t{s.tasks[task].split_begin} * kPagesPerSplit;
    MassOfPages(table, logit, job, begin,
                std::min(begin + kPagesPerSplit, cpu::CountPages(job.runs)),
                s.ThreadFloats(thread));
  });
}

}  // namespace kvasir
