#include "kernels/cpu/attention_pages.h"

#include <algorithm>
#include <cstring>

#include "base/result.h"
#include "kernels/codec.h"
#include "kernels/cpu/i16_codes.h"

namespace kvasir::cpu {
namespace {

// From so many queries on, expanding a page first is cheaper than decoding it in registers for
// every register tile.
constexpr int kExpandFrom = 13;

constexpr int64_t kRoundedFloats = sizeof(Rounded) / sizeof(float);

int64_t RoundUp(int64_t floats) { return (floats + 31) / 32 * 32; }

// Bits [begin, end) of a word, clamped.
uint64_t Bits(int64_t begin, int64_t end) {
  begin = std::clamp<int64_t>(begin, 0, 64);
  end = std::clamp<int64_t>(end, 0, 64);
  if (begin >= end) return 0;
  const uint64_t below_end = end == 64 ? ~uint64_t{0} : (uint64_t{1} << end) - 1;
  return below_end & ~((uint64_t{1} << begin) - 1);
}

// How far ahead pages of low bits are prefetched, of n that are read together: by some kilobytes,
// for such a page is read before memory answers.
int PagesAhead(const Grids& grids, int n) {
  constexpr int64_t kBytes = 12 << 10;  // a fourth of the first level
  return static_cast<int>(std::clamp<int64_t>(kBytes / grids.grid[grids.n - 1].end, 1, n));
}

// Sums of queries over values of a format are so many floats apart.
int AccStride(const PlaneFormat& values) {
  return IsFloat(values.codec) ? Padded16(values.dim) : values.dim;
}

}  // namespace

const AttentionTable& AttentionTableOf(Isa isa) {
  static const AttentionTable kVnni = [] {
    AttentionTable table = N_AVX3::kAttention;
    table.codes = &kCodesAvx512Vnni;
    table.i16 = &kI16Avx512Vnni;
    return table;
  }();
  if (isa == Isa::kAvx512Vnni || isa == Isa::kAmx) return kVnni;
  return isa == Isa::kAvx2 ? N_AVX2::kAttention : N_AVX3::kAttention;
}

int64_t CountPages(std::span<const RunRef> runs) {
  int64_t n = 0;
  for (const RunRef& run : runs) n += run.n_pages;
  return n;
}

int64_t PageTile::ScratchFloats(int n_queries, int n_rows, int head_dim) {
  const int64_t coded = RoundUp(n_queries * RowFloats(head_dim)) +
                        RoundUp(CodedQueries::MostWeights(n_queries, head_dim)) +
                        RoundUp(CodedQueries::MostRounded(n_queries, head_dim) * kRoundedFloats);
  const int64_t vectors = RoundUp(int64_t{n_queries} * head_dim);  // packed_q_; narrow_
  return 2 * vectors + RoundUp(n_queries) + RoundUp(int64_t{kPageEntries} * head_dim) +
         RoundUp(int64_t{2} * kPagesPerSplit * n_rows) + coded;
}

PageTile::PageTile(const AttentionTable& table, const LogitSpec& spec, const QueryTile& tile,
                   float* scratch)
    : table_(table),
      spec_(spec),
      tile_(tile),
      expand_(tile.n_queries() >= kExpandFrom),
      registers_(tile.n_queries(), expand_ ? table.max_queries : table.max_coded_queries),
      i16_registers_(tile.n_queries(), table.i16->max_queries),
      packed_q_(scratch),
      i16_steps_(packed_q_ + RoundUp(int64_t{tile.n_queries()} * tile.head_dim)),
      plane_(i16_steps_ + RoundUp(tile.n_queries())),
      visible_(
          reinterpret_cast<uint64_t*>(plane_ + RoundUp(int64_t{kPageEntries} * tile.head_dim))) {
  const auto [low, high] = std::minmax_element(tile.q_order, tile.q_order + tile.n_rows);
  lowest_order_ = *low;
  highest_order_ = *high;
  const int64_t n = tile.n_queries(), dim = tile.head_dim;
  float* at = plane_ + RoundUp(kPageEntries * dim) + RoundUp(2 * kPagesPerSplit * tile.n_rows);
  coded_q_.n = tile.n_queries();
  coded_q_.rows = at;
  coded_q_.stride = RowFloats(tile.head_dim);
  coded_q_.weights = reinterpret_cast<int32_t*>(at += RoundUp(n * coded_q_.stride));
  at += RoundUp(CodedQueries::MostWeights(coded_q_.n, tile.head_dim));
  coded_q_.rounded = reinterpret_cast<Rounded*>(at);
  narrow_ = at + RoundUp(CodedQueries::MostRounded(coded_q_.n, tile.head_dim) * kRoundedFloats);
}

void PageTile::Seek(int64_t page) {
  if (page < at_page_) at_page_ = 0, at_run_ = 0, at_page_of_run_ = 0;
  while (at_page_ < page) {
    const int64_t left = tile_.runs[at_run_].n_pages - at_page_of_run_;
    const int64_t step = std::min(left, page - at_page_);
    at_page_ += step;
    at_page_of_run_ += static_cast<int32_t>(step);
    if (step == left) ++at_run_, at_page_of_run_ = 0;
  }
}

// What each row sees of a page; returns the union.
uint64_t PageTile::See(const PageRef& ref, uint64_t* visible) const {
  uint64_t seen = 0;
  for (int row = 0; row < tile_.n_rows; ++row) {
    const int32_t order = tile_.q_order[row];
    const int64_t after = After(order, tile_.window);
    if (ref.order == nullptr) {
      visible[row] = ref.live & Bits(after + 1 - ref.order0, int64_t{order} + 1 - ref.order0);
    } else if (after < INT32_MIN) {  // below all orders: none is excluded, INT32_MIN included
      visible[row] = ref.live & ~table_.order_mask(ref.order, order, INT32_MAX);
    } else {
      const auto lowest = static_cast<int32_t>(after);
      visible[row] = ref.live & table_.order_mask(ref.order, lowest, order);
    }
    seen |= visible[row];
  }
  return seen;
}

int PageTile::Collect(int64_t begin, int64_t end) {
  int n = 0;
  Seek(begin);
  size_t run_index = at_run_;
  int32_t at = at_page_of_run_;
  const RunRef* run = tile_.runs.data() + run_index;
  for (int64_t p = begin; p < end; ++p, ++at) {
    while (at == run->n_pages) run = &tile_.runs[++run_index], at = 0;
    const PageRef& ref = run->pages[at];
    const Sight sight = SightOf(ref, tile_.window, lowest_order_, highest_order_);
    if (sight == Sight::kNone) continue;
    uint64_t* visible = visible_ + int64_t{n} * tile_.n_rows;
    uint64_t seen = ref.live;
    bool full = seen == ~uint64_t{0};
    if (sight == Sight::kAll) {
      std::fill_n(visible, tile_.n_rows, seen);
    } else {
      seen = See(ref, visible);
      if (seen == 0) continue;
      full = std::all_of(visible, visible + tile_.n_rows,
                         [](uint64_t bits) { return bits == ~uint64_t{0}; });
    }
    pages_[n++] = {.ref = &ref,
                   .run = static_cast<int32_t>(run_index),
                   .index = static_cast<int32_t>(p - begin),
                   .seen = seen,
                   .needs_finish = !full || ref.bias != nullptr || spec_.softcap != 0.0f};
  }
  at_page_ = std::max(begin, end);
  at_run_ = run_index;
  at_page_of_run_ = at;
  n_active_ = n;
  // The facts of the pages that come next: those of all layers are more than a cache holds.
  if (n > 0) {
    const auto* next = reinterpret_cast<const std::byte*>(run->pages + at);
    constexpr size_t kBytes = kPagesPerSplit * sizeof(PageRef);
    for (size_t i = 0; i < kBytes; i += 64) __builtin_prefetch(next + i);
  }
  return n;
}

const std::byte* PageTile::KeysAfter(int n) const {
  size_t run = at_run_;
  int32_t page = at_page_of_run_ + n;
  while (run < tile_.runs.size() && page >= tile_.runs[run].n_pages) {
    page -= tile_.runs[run++].n_pages;
  }
  return run < tile_.runs.size() ? tile_.runs[run].pages[page].k : nullptr;
}

const float* PageTile::QueryOf(int32_t run, int query) const {
  const float* q =
      tile_.run_q == nullptr ? tile_.q : tile_.run_q[run] + tile_.row0 * tile_.q_stride;
  return q + query / tile_.group * tile_.q_stride + int64_t{query % tile_.group} * tile_.head_dim;
}

// The scale goes into the queries: one rounding a channel instead of one a logit.
void PageTile::PackQueries(const ActivePage& page) {
  const int32_t run = tile_.run_q == nullptr ? 0 : page.run, dim = RunOf(page).k.dim;
  if (run == packed_run_ && dim == packed_dim_ && !packed_i16_) return;
  packed_run_ = run;
  packed_dim_ = dim;
  packed_i16_ = false;
  for (int t = 0; t < registers_.n_tiles; ++t) {
    const int begin = registers_.Begin(t), n = registers_.Begin(t + 1) - begin;
    float* packed = packed_q_ + int64_t{begin} * dim;
    for (int i = 0; i < n; ++i) {
      const float* from = QueryOf(run, begin + i);
      for (int c = 0; c < dim; ++c) packed[c * n + i] = from[c] * spec_.scale;
    }
  }
}

I16Queries PageTile::RoundQueries(const ActivePage& page) {
  const int32_t run = tile_.run_q == nullptr ? 0 : page.run, dim = RunOf(page).k.dim;
  const I16Queries queries = {reinterpret_cast<int32_t*>(packed_q_), i16_steps_, (dim + 1) / 2};
  if (run == packed_run_ && dim == packed_dim_ && packed_i16_) return queries;
  packed_run_ = run;
  packed_dim_ = dim;
  packed_i16_ = true;
  for (int query = 0; query < tile_.n_queries(); ++query) {
    int16_t codes[kMostChannels + 1];
    i16_steps_[query] = KeyCodes(QueryOf(run, query), dim, codes) * spec_.scale;
    codes[dim] = 0;
    std::memcpy(packed_q_ + int64_t{query} * queries.n_pairs, codes, queries.n_pairs * 4);
  }
  return queries;
}

void PageTile::PackCodedQueries(const ActivePage& page) {
  const int32_t run = tile_.run_q == nullptr ? 0 : page.run;
  const PlaneFormat& format = RunOf(page).k;
  if (run == coded_run_ && format == coded_format_) return;
  coded_run_ = run;
  coded_format_ = format;
  k_grids_ = GridsOf(format, PlaneKind::kKeys);
  for (int query = 0; query < coded_q_.n; ++query) {
    const float* from = QueryOf(run, query);
    float* row = coded_q_.rows + query * coded_q_.stride;
    std::fill_n(row, coded_q_.stride, 0.0f);
    for (int g = 0; g < k_grids_.n; ++g) {
      const Grid& grid = k_grids_.grid[g];
      float* to = row + RowBegin(grid);
      for (int c = 0; c < grid.n_channels; ++c) to[c] = from[grid.first + c] * spec_.scale;
    }
  }
  if (!k_grids_.grid[0].by_channel) table_.codes->round_queries(k_grids_.grid[0], coded_q_);
}

// A plane as floats: itself, or decoded where many queries read it.
PageTile::Floats PageTile::FloatsOf(const PlaneFormat& format, const std::byte* plane,
                                    const std::byte* next) {
  if (format.codec == CodecId::kF32 || !expand_) return {format.codec, plane, next};
  table_.expand(format.codec, plane, format.dim, next == nullptr ? plane : next, plane_);
  return {CodecId::kF32, reinterpret_cast<const std::byte*>(plane_), nullptr};
}

// The pages from active page `begin` on that are of its run, or of one that is alike.
template <class Alike>
int PageTile::StretchFrom(int begin, const Alike& alike) const {
  const int32_t run = pages_[begin].run;
  int end = begin + 1;
  while (end < n_active_ &&
         (pages_[end].run == run || alike(tile_.runs[run], RunOf(pages_[end])))) {
    ++end;
  }
  return end;
}

void PageTile::Logits(bool values_follow, float* logits) {
  const auto alike = [&](const RunRef& a, const RunRef& b) {
    return tile_.run_q == nullptr && a.k == b.k;
  };
  for (int begin = 0, end; begin < n_active_; begin = end) {
    end = StretchFrom(begin, alike);
    const PlaneFormat& format = RunOf(pages_[begin]).k;
    const auto next = [&](int i, int ahead = 1) -> const std::byte* {
      const int j = i + ahead;
      if (j < n_active_) return pages_[j].ref->k;
      return values_follow ? pages_[j - n_active_].ref->v : nullptr;
    };
    if (IsFloat(format.codec)) {
      PackQueries(pages_[begin]);
      for (int i = begin; i < end; ++i) {
        const Floats keys = FloatsOf(format, pages_[i].ref->k, next(i));
        table_.logits(keys.codec, keys.plane, format.dim, packed_q_, registers_, keys.next,
                      logits + i * kPageEntries);
      }
    } else if (format.codec == CodecId::kI16) {
      const I16Queries queries = RoundQueries(pages_[begin]);
      for (int i = begin; i < end; ++i) {
        table_.i16->logits(pages_[i].ref->k, queries, i16_registers_, next(i),
                           logits + i * kPageEntries);
      }
    } else {
      PackCodedQueries(pages_[begin]);
      CodedPages pages;
      const int ahead = PagesAhead(k_grids_, n_active_);
      for (int i = begin; i < end; ++i) {
        pages.Add(pages_[i].ref->k, next(i, ahead), pages_[i].seen);
      }
      for (int g = 0; g < k_grids_.n; ++g) {
        table_.codes->logits(k_grids_.grid[g], pages, coded_q_, g > 0,
                             logits + begin * kPageEntries);
      }
    }
  }
  for (int i = 0; i < n_active_; ++i) {
    if (pages_[i].needs_finish) Finish(i, logits + i * kPageEntries);
  }
}

void PageTile::Finish(int i, float* logits) const {
  const uint64_t* visible = visible_ + int64_t{i} * tile_.n_rows;
  for (int query = 0; query < tile_.n_queries(); ++query) {
    table_.finish(logits + int64_t{query} * kLogitStride, spec_.softcap, pages_[i].ref->bias,
                  visible[query / tile_.group]);
  }
}

// What is summed up so far of the channels that the values have is taken out once for all pages
// that have the same, and put back. So each channel is one chain of additions, as if the values had
// all channels, some of them zeros.
void PageTile::Values(const float* p, float* acc) {
  const auto alike = [](const RunRef& a, const RunRef& b) {
    return a.v == b.v && a.v_channels == b.v_channels;
  };
  for (int begin = 0, end; begin < n_active_; begin = end) {
    end = StretchFrom(begin, alike);
    const RunRef& run = RunOf(pages_[begin]);
    const uint8_t* channels = run.v_channels;
    if (channels == nullptr) {
      AddValues(begin, end, p, acc);
      continue;
    }
    const int dim = run.v.dim, stride = AccStride(run.v);
    for (int64_t query = 0; query < tile_.n_queries(); ++query) {
      const float* from = acc + query * tile_.head_dim;
      float* to = narrow_ + query * stride;
      for (int c = 0; c < dim; ++c) to[c] = from[channels[c]];
      std::fill(to + dim, to + stride, 0.0f);
    }
    AddValues(begin, end, p, narrow_);
    for (int64_t query = 0; query < tile_.n_queries(); ++query) {
      const float* from = narrow_ + query * stride;
      float* to = acc + query * tile_.head_dim;
      for (int c = 0; c < dim; ++c) to[channels[c]] = from[c];
    }
  }
}

// acc[query][the values' channels] += p * values, of active pages [begin, end) that are alike.
void PageTile::AddValues(int begin, int end, const float* p, float* acc) {
  const PlaneFormat& format = RunOf(pages_[begin]).v;
  const auto next = [&](int i, int ahead = 1) -> const std::byte* {
    const int j = i + ahead;
    return j < n_active_ ? pages_[j].ref->v : KeysAfter(j - n_active_);
  };
  if (IsFloat(format.codec)) {
    for (int i = begin; i < end; ++i) {
      const Floats values = FloatsOf(format, pages_[i].ref->v, next(i));
      table_.values(values.codec, values.plane, format.dim, pages_[i].seen, p + i * kPageEntries,
                    registers_, values.next, acc);
    }
  } else if (format.codec == CodecId::kI16) {
    for (int i = begin; i < end; ++i) {
      table_.i16->values(pages_[i].ref->v, format.dim, pages_[i].seen, p + i * kPageEntries,
                         i16_registers_, next(i), acc);
    }
  } else {
    if (format != v_format_) {
      v_format_ = format;
      v_grids_ = GridsOf(v_format_, PlaneKind::kValues);
    }
    CodedPages pages;
    const int ahead = PagesAhead(v_grids_, n_active_);
    for (int i = begin; i < end; ++i) {
      pages.Add(pages_[i].ref->v, next(i, ahead), pages_[i].seen);
    }
    table_.codes->values(v_grids_.grid[0], pages, tile_.n_queries(), p + begin * kPageEntries, acc);
  }
}

}  // namespace kvasir::cpu
