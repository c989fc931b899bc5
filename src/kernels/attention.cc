#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/result.h"
#include "kernels/attention_scratch.h"
#include "kernels/cpu/attention_pages.h"

namespace kvasir {
namespace {

using cpu::AttentionTable;
using cpu::kLogitStride;
using cpu::PageTile;
using cpu::QueryTile;

constexpr float kInf = std::numeric_limits<float>::infinity();

// Results of some queries over some splits: [n_queries] max, [n_queries] sum,
// [n_queries][head_dim].
struct Partial {
  float* max;
  float* sum;
  float* acc;

  static int64_t Floats(const QueryTile& tile) {
    return (2 * int64_t{tile.n_queries()} + 31) / 32 * 32 +
           int64_t{tile.n_queries()} * tile.head_dim;
  }
  static Partial At(float* memory, const QueryTile& tile) {
    const int64_t n = tile.n_queries();
    return {memory, memory + n, memory + (2 * n + 31) / 32 * 32};
  }
  void Clear(const QueryTile& tile) const {
    std::fill_n(max, tile.n_queries(), -kInf);
    std::fill_n(sum, tile.n_queries(), 0.0f);
    std::fill_n(acc, int64_t{tile.n_queries()} * tile.head_dim, 0.0f);
  }
};

// Pages [first, end) of a job: before and behind them rows of orders [low, high] see nothing.
struct PageRange {
  int64_t first, end;
};
PageRange SeenPages(const AttendJob& job, int32_t low, int32_t high) {
  const auto hidden = [&](const PageRef& ref) {
    return cpu::SightOf(ref, job.mask.window, low, high) == cpu::Sight::kNone;
  };
  PageRange range = {0, cpu::CountPages(job.runs)};
  for (const RunRef& run : job.runs) {
    const std::span<const PageRef> pages(run.pages, run.n_pages);
    const auto seen = std::find_if_not(pages.begin(), pages.end(), hidden);
    range.first += seen - pages.begin();
    if (seen != pages.end()) break;
  }
  for (size_t r = job.runs.size(); r-- > 0 && range.end > range.first;) {
    const std::span<const PageRef> pages(job.runs[r].pages, job.runs[r].n_pages);
    const auto seen = std::find_if_not(pages.rbegin(), pages.rend(), hidden);
    range.end -= seen - pages.rbegin();
    if (seen != pages.rend()) break;
  }
  return range;
}

// One call of Attend: a plan of tasks, and their execution.
class AttendCall {
 public:
  AttendCall(Isa isa, const LogitSpec& spec, std::span<const AttendJob> jobs, int n_threads,
             AttentionScratch::Impl& scratch)
      : table_(cpu::AttentionTableOf(isa)), spec_(spec), jobs_(jobs), s_(scratch) {
    MakeTiles();
    MakeTasks(n_threads);
    int64_t floats = 0;
    for (const AttendTile& tile : s_.tiles) {
      const QueryTile q = Queries(tile);
      floats = std::max(floats, PageTile::ScratchFloats(q.n_queries(), q.n_rows, q.head_dim) +
                                    int64_t{q.n_queries()} * kLogitStride + 2 * Partial::Floats(q));
    }
    s_.ReserveThreads(n_threads, floats);
  }

  int64_t n_tasks() const { return static_cast<int64_t>(s_.tasks.size()); }
  void Run(int64_t task, int thread);

 private:
  QueryTile Queries(const AttendTile& tile) const {
    return cpu::TileOf(jobs_[tile.job], tile.row0, tile.n_rows);
  }
  void MakeTiles();
  void MakeTasks(int n_threads);
  void AttendSplit(PageTile& pages, int n_active, const QueryTile& tile, float* logits,
                   const Partial& out) const;
  void Merge(const QueryTile& tile, const Partial& part, const Partial& total) const;
  void Write(const AttendTile& tile, const Partial& total) const;

  const AttentionTable& table_;
  const LogitSpec& spec_;
  const std::span<const AttendJob> jobs_;
  AttentionScratch::Impl& s_;
};

void AttendCall::MakeTiles() {
  s_.tiles.clear();
  for (size_t j = 0; j < jobs_.size(); ++j) {
    const AttendJob& job = jobs_[j];
    KV_CHECK(job.head_dim > 0 && job.head_dim <= 256 && job.head_dim % 16 == 0);
    for (const RunRef& run : job.runs) {
      KV_CHECK(run.k.dim <= job.head_dim && run.v.dim <= job.head_dim);
      KV_CHECK(run.v.dim == job.head_dim || run.v_channels != nullptr);
    }
    for (int32_t row0 = 0; row0 < job.n_rows;) {
      AttendTile tile{.job = static_cast<int32_t>(j), .row0 = row0};
      tile.n_rows = std::min(cpu::RowsPerTile(job.group), job.n_rows - row0);
      row0 += tile.n_rows;
      const auto [low, high] = std::minmax_element(job.q_order + tile.row0, job.q_order + row0);
      const auto [first, end] = SeenPages(job, *low, *high);
      tile.split_begin = static_cast<int32_t>(first / kPagesPerSplit);
      tile.split_end = static_cast<int32_t>((end + kPagesPerSplit - 1) / kPagesPerSplit);
      tile.split_end = std::max(tile.split_end, tile.split_begin);
      constexpr int kPageOverhead = 4;  // reading a page costs about as much as 4 queries
      tile.cost = (end - first) * (int64_t{tile.n_rows} * job.group + kPageOverhead);
      s_.tiles.push_back(tile);
    }
  }
}

void AttendCall::MakeTasks(int n_threads) {
  s_.tasks.clear();
  s_.n_left = 0;
  int64_t total = 0, partial_floats = 0;
  for (const AttendTile& tile : s_.tiles) total += tile.cost;
  const int64_t share = total / (int64_t{n_threads} * 4) + 1;
  for (size_t t = 0; t < s_.tiles.size(); ++t) {
    AttendTile& tile = s_.tiles[t];
    const int64_t n_splits = tile.split_end - tile.split_begin;
    int64_t n_parts = n_threads == 1 ? 1 : (tile.cost + share - 1) / share;
    n_parts = std::clamp<int64_t>(n_parts, 1, std::max<int64_t>(n_splits, 1));
    if (n_parts > 1) {
      tile.partials = partial_floats;
      partial_floats += n_splits * Partial::Floats(Queries(tile));
      tile.left = s_.n_left++;
    }
    for (int64_t part = 0; part < n_parts; ++part) {
      AttendTask task{.tile = static_cast<int32_t>(t)};
      task.split_begin = tile.split_begin + static_cast<int32_t>(part * n_splits / n_parts);
      task.split_end = tile.split_begin + static_cast<int32_t>((part + 1) * n_splits / n_parts);
      task.cost = tile.cost / n_parts;
      s_.tasks.push_back(task);
    }
  }
  s_.ResetCounters();
  for (const AttendTask& task : s_.tasks) {
    const AttendTile& tile = s_.tiles[task.tile];
    if (tile.left >= 0) s_.left[tile.left].fetch_add(1, std::memory_order_relaxed);
  }
  s_.partials.Grow(partial_floats * sizeof(float));
  if (n_threads == 1) return;
  std::sort(s_.tasks.begin(), s_.tasks.end(), [](const AttendTask& a, const AttendTask& b) {
    if (a.cost != b.cost) return a.cost > b.cost;  // long ones first
    return a.tile != b.tile ? a.tile < b.tile : a.split_begin < b.split_begin;
  });
}

void AttendCall::AttendSplit(PageTile& pages, int n_active, const QueryTile& tile, float* logits,
                             const Partial& out) const {
  pages.Logits(true, logits);
  table_.softmax(logits, tile.n_queries(), n_active, out.max, out.sum);
  std::fill_n(out.acc, int64_t{tile.n_queries()} * tile.head_dim, 0.0f);
  pages.Values(logits, out.acc);
}

void AttendCall::Merge(const QueryTile& tile, const Partial& part, const Partial& total) const {
  table_.merge(tile.n_queries(), tile.head_dim, part.max, part.sum, part.acc, total.max, total.sum,
               total.acc);
}

void AttendCall::Write(const AttendTile& tile, const Partial& total) const {
  const AttendJob& job = jobs_[tile.job];
  for (int64_t i = 0; i < int64_t{tile.n_rows} * job.group; ++i) {
    const int64_t row = tile.row0 + i / job.group, g = i % job.group;
    table_.normalise(job.head_dim, total.sum[i], total.acc + i * job.head_dim,
                     job.out + row * job.out_stride + g * job.head_dim);
    if (job.lse == nullptr) continue;
    job.lse[row * job.group + g] =
        total.sum[i] == 0.0f ? -kInf : total.max[i] + std::log(total.sum[i]);
  }
}

void AttendCall::Run(int64_t index, int thread) {
  const AttendTask& task = s_.tasks[index];
  const AttendTile& tile = s_.tiles[task.tile];
  const QueryTile queries = Queries(tile);
  const int64_t part_floats = Partial::Floats(queries);
  float* memory = s_.ThreadFloats(thread);
  const Partial total = Partial::At(memory, queries);
  const Partial own = Partial::At(memory += part_floats, queries);
  float* logits = memory += part_floats;
  PageTile pages(table_, spec_, queries, memory + int64_t{queries.n_queries()} * kLogitStride);
  const bool shared = tile.left >= 0;
  float* partials = s_.partials.as<float>() + tile.partials;

  if (!shared) total.Clear(queries);
  const int64_t n_pages = cpu::CountPages(queries.runs);
  for (int32_t split = task.split_begin; split < task.split_end; ++split) {
    const int64_t begin = int64_t{split} * kPagesPerSplit;
    const int n_active = pages.Collect(begin, std::min(begin + kPagesPerSplit, n_pages));
    const Partial part =
        shared ? Partial::At(partials + (split - tile.split_begin) * part_floats, queries) : own;
    if (n_active == 0) {
      if (shared) std::fill_n(part.max, queries.n_queries(), -kInf);
      continue;
    }
    AttendSplit(pages, n_active, queries, logits, part);
    if (!shared) Merge(queries, part, total);
  }
  if (shared) {
    // The last task of a tile sees the partials of all the others.
    if (s_.left[tile.left].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    total.Clear(queries);
    for (int32_t split = 0; split < tile.split_end - tile.split_begin; ++split) {
      Merge(queries, Partial::At(partials + split * part_floats, queries), total);
    }
  }
  Write(tile, total);
}

}  // namespace

AttentionScratch::AttentionScratch() : impl_(std::make_unique<Impl>()) {}
AttentionScratch::~AttentionScratch() = default;
AttentionScratch::AttentionScratch(AttentionScratch&&) noexcept = default;
AttentionScratch& AttentionScratch::operator=(AttentionScratch&&) noexcept = default;

void Attend(Isa isa, const LogitSpec& logit, std::span<const AttendJob> jobs, ThreadPool& pool,
            AttentionScratch& scratch) {
  AttendCall call(isa, logit, jobs, pool.n_threads(), scratch.impl());
  pool.For(call.n_tasks(), [&call](int64_t task, int thread) { call.Run(task, thread); });
}

}  // namespace kvasir
