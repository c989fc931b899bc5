// A task is a job: its rows are taken a few at a time, each against all pages, so that a row's
// normaliser is known while its logits are still at hand. A slot's sum over the rows is one chain
// in row order, whatever the tiles.
#include "kernels/attention_own.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"
#include "kernels/attention_scratch.h"
#include "kernels/cpu/attention_pages.h"

namespace kvasir {
namespace {

using cpu::ActivePage;
using cpu::kLogitStride;
using cpu::PageTile;
using cpu::QueryTile;

constexpr float kInf = std::numeric_limits<float>::infinity();
// Logits of 48 queries with 8,000 slots are 1.6 MB: they stay in the third-level cache, and
// expanding a page costs little beside 48 products with it.
constexpr int32_t kTileQueries = 48;
constexpr int kSumSlots = 32;  // summed in registers at a time

int64_t RoundUp(int64_t floats) { return (floats + 31) / 32 * 32; }

// Which pages of a split some row of a tile sees.
struct SplitPages {
  int32_t n = 0;
  int32_t page[kPagesPerSplit];  // of the head
};

// Where a task's memory lies.
struct Layout {
  int64_t n_pages, n_splits;
  int32_t rows, n_queries;  // a tile, at most
  int64_t sums, logits, maxima, factors, splits, tile, floats;

  explicit Layout(const OwnMassJob& job)
      : n_pages(cpu::CountPages(job.runs)),
        n_splits((n_pages + kPagesPerSplit - 1) / kPagesPerSplit),
        rows(std::clamp(kTileQueries / job.group, 1, std::max(1, job.n_rows))),
        n_queries(rows * job.group) {
    sums = 0;  // [group][slots]
    logits = sums + RoundUp(job.group * n_pages * kPageEntries);
    maxima = logits + n_splits * n_queries * kLogitStride;  // [splits][queries][stride]
    factors = maxima + RoundUp(n_queries * n_splits);       // [queries][splits]
    splits = factors + RoundUp(n_queries * n_splits);       // [queries][splits]
    constexpr int64_t kSplitFloats = sizeof(SplitPages) / sizeof(float);
    tile = splits + RoundUp(n_splits * kSplitFloats);
    floats = tile + PageTile::ScratchFloats(n_queries, rows, job.head_dim);
  }
};

class OwnTask {
 public:
  OwnTask(const cpu::AttentionTable& table, const LogitSpec& spec, const OwnMassJob& job,
          float* memory)
      : table_(table),
        spec_(spec),
        job_(job),
        at_(job),
        sums_(memory + at_.sums),
        logits_(memory + at_.logits),
        maxima_(memory + at_.maxima),
        factors_(memory + at_.factors),
        splits_(reinterpret_cast<SplitPages*>(memory + at_.splits)),
        tile_scratch_(memory + at_.tile) {}

  void Run() {
    const int64_t n_slots = at_.n_pages * kPageEntries;
    std::fill_n(sums_, job_.group * n_slots, 0.0f);
    for (int32_t row0 = 0; row0 < job_.n_rows; row0 += at_.rows) {
      const QueryTile tile = cpu::TileOf(job_, row0, std::min(at_.rows, job_.n_rows - row0));
      PageTile pages(table_, spec_, tile, tile_scratch_);
      for (int64_t s = 0; s < at_.n_splits; ++s) Softmax(s, tile, pages);
      for (int q = 0; q < tile.n_queries(); ++q) Normalise(q);
      for (int64_t s = 0; s < at_.n_splits; ++s) AddUp(s, tile);
    }
    const auto group = static_cast<float>(job_.group);
    for (int64_t slot = 0; slot < n_slots; ++slot) {
      float sum = sums_[slot];
      for (int g = 1; g < job_.group; ++g) sum += sums_[g * n_slots + slot];
      job_.mass[slot] = sum / group;
    }
  }

 private:
  float* Row(int64_t split, int64_t query, int64_t n_queries) {
    return logits_ + (split * n_queries + query) * kLogitStride;
  }

  // exp(y - the split's largest y) of a tile's queries and the pages of one split that they see.
  void Softmax(int64_t s, const QueryTile& tile, PageTile& pages) {
    const int64_t begin = s * kPagesPerSplit, end = std::min(begin + kPagesPerSplit, at_.n_pages);
    const int n = pages.Collect(begin, end), n_queries = tile.n_queries();
    splits_[s].n = n;
    for (int i = 0; i < n; ++i) {
      splits_[s].page[i] = static_cast<int32_t>(begin) + pages.page(i).index;
    }
    pages.Logits(false, Row(s, 0, n_queries));
    for (int q = 0; q < n_queries; ++q) {
      float* row = Row(s, q, n_queries);
      float max = -kInf, sum = 0;
      for (int i = 0; i < n; ++i) Disturb(tile, q, pages.page(i), splits_[s].page[i], row + i * 64);
      if (n > 0) table_.softmax(row, 1, n, &max, &sum);
      maxima_[q * at_.n_splits + s] = max;
      factors_[q * at_.n_splits + s] = sum;
    }
  }

  // (logit + noise) / tau of one query and one page.
  void Disturb(const QueryTile& tile, int q, const ActivePage& page, int64_t index,
               float* y) const {
    if (job_.token_noise != nullptr) {
      const float* noise = job_.token_noise + index * kPageEntries;
      for (int slot = 0; slot < kPageEntries; ++slot) y[slot] += noise[slot];
    }
    if (job_.element_noise != nullptr) {
      const ElementNoise& noise = *job_.element_noise;
      const int32_t head = noise.first_head + (noise.one_a_group ? 0 : q % job_.group);
      const int32_t query = tile.q_order[q / job_.group];
      for (int slot = 0; slot < kPageEntries; ++slot) {
        if (y[slot] == -kInf) continue;
        const int32_t token =
            page.ref->order != nullptr ? page.ref->order[slot] : page.ref->order0 + slot;
        y[slot] += GumbelAt(noise.key, head, token, query);
      }
    }
    if (job_.tau == 1) return;
    for (int slot = 0; slot < kPageEntries; ++slot) y[slot] /= job_.tau;
  }

  // The sums of a query's splits become the factors of their exponentials.
  void Normalise(int q) {
    const float* maxima = maxima_ + q * at_.n_splits;
    float* factors = factors_ + q * at_.n_splits;
    const float max = *std::max_element(maxima, maxima + at_.n_splits);
    if (max == -kInf) {  // the row sees nothing
      std::fill_n(factors, at_.n_splits, 0.0f);
      return;
    }
    float total = 0;
    for (int64_t s = 0; s < at_.n_splits; ++s) {
      total += factors[s] * std::exp(maxima[s] - max);
    }
    for (int64_t s = 0; s < at_.n_splits; ++s) factors[s] = std::exp(maxima[s] - max) / total;
  }

  void AddUp(int64_t s, const QueryTile& tile) {
    const int64_t n_slots = at_.n_pages * kPageEntries;
    const int n_queries = tile.n_queries();
    for (int i = 0; i < splits_[s].n; ++i) {
      for (int g = 0; g < job_.group; ++g) {
        float* sums = sums_ + g * n_slots + splits_[s].page[i] * int64_t{kPageEntries};
        for (int slot = 0; slot < kPageEntries; slot += kSumSlots) {
          float acc[kSumSlots];
          std::copy_n(sums + slot, kSumSlots, acc);
          for (int q = g; q < n_queries; q += job_.group) {
            const float factor = factors_[q * at_.n_splits + s];
            const float* p = Row(s, q, n_queries) + i * kPageEntries + slot;
            for (int k = 0; k < kSumSlots; ++k) acc[k] += factor * p[k];
          }
          std::copy_n(acc, kSumSlots, sums + slot);
        }
      }
    }
  }

  const cpu::AttentionTable& table_;
  const LogitSpec spec_;
  const OwnMassJob& job_;
  const Layout at_;
  float *const sums_, *const logits_, *const maxima_, *const factors_;
  SplitPages* const splits_;
  float* const tile_scratch_;
};

}  // namespace

void OwnSoftmaxMass(Isa isa, const LogitSpec& logit, std::span<const OwnMassJob> jobs,
                    ThreadPool& pool, AttentionScratch& scratch) {
  AttentionScratch::Impl& s = scratch.impl();
  const cpu::AttentionTable& table = cpu::AttentionTableOf(isa);
  int64_t floats = 0;
  for (const OwnMassJob& job : jobs) {
    KV_CHECK(job.head_dim > 0 && job.head_dim <= 256 && job.head_dim % 16 == 0 && job.tau > 0);
    floats = std::max(floats, Layout(job).floats);
  }
  s.ReserveThreads(pool.n_threads(), floats);
  pool.For(static_cast<int64_t>(jobs.size()), [&](int64_t job, int thread) {
    OwnTask(table, logit, jobs[job], s.ThreadFloats(thread)).Run();
  });
}

}  // namespace kvasir
