#include "cache/cache_file.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr uint64_t kMostRuns = 1024;

void WriteFormat(const PlaneFormat& format, FileWriter& file) {
  file.Value(static_cast<uint8_t>(format.codec));
  file.Value(format.bits);
  file.Value(static_cast<uint8_t>(format.f32_scales));
  file.Value(static_cast<uint8_t>(format.ternary));
  file.Value(format.dim);
  file.Value(format.group);
  file.Value(format.wide);
}

PlaneFormat ReadFormat(ByteReader& file) {
  PlaneFormat format;
  format.codec = static_cast<CodecId>(file.Value<uint8_t>());
  format.bits = file.Value<uint8_t>();
  format.f32_scales = file.Value<uint8_t>() != 0;
  format.ternary = static_cast<TernaryScale>(file.Value<uint8_t>());
  format.dim = file.Value<int16_t>();
  format.group = file.Value<int16_t>();
  format.wide = file.Value<int16_t>();
  return format;
}

}  // namespace

void CacheFile::Write(const KvCache& cache, FileWriter& file) {
  file.Value(int32_t{cache.n_layers()});
  file.Value(int32_t{cache.n_kv_heads()});
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (const HeadCache& head : cache.layer(l)) WriteHead(head, file);
  }
}

void CacheFile::WriteHead(const HeadCache& head, FileWriter& file) {
  const HeadFormat& format = head.format_;
  file.Value(format.head_dim);
  WriteFormat(format.k(), file);
  WriteFormat(format.v(), file);
  file.Value(format.n_columns);
  file.Value(head.end_order_);
  file.Value(head.delta_);
  file.Value(static_cast<uint64_t>(head.runs_.size()));
  for (const HeadCache::Run& run : head.runs_) {
    file.Value(run.shift);
    file.Value(static_cast<uint64_t>(run.pages.size()));
    for (size_t p = 0; p < run.pages.size(); ++p) {
      const Page& page = *run.pages[p];
      file.Value(run.refs[p].live);
      file.Value(page.order0);
      file.Value(page.pos0);
      file.Value(static_cast<uint8_t>(page.order != nullptr));
      if (page.order) {
        file.Bytes(page.order.get(), kPageEntries * sizeof(int32_t));
        file.Bytes(page.pos.get(), kPageEntries * sizeof(int32_t));
      }
      file.Bytes(page.columns.get(), format.n_columns * kPageEntries * sizeof(float));
      file.Bytes(page.k, format.k_bytes());
      file.Bytes(page.v, format.v_bytes());
    }
  }
}

Status CacheFile::Read(ByteReader& file, int64_t n_tokens, KvCache& cache) {
  cache.Clear();
  const auto n_layers = file.Value<int32_t>(), n_heads = file.Value<int32_t>();
  Status status;
  if (n_layers != cache.n_layers() || n_heads != cache.n_kv_heads()) {
    status = Fail("the cache has {} layers of {} KV heads, the model {} of {}", n_layers, n_heads,
                  cache.n_layers(), cache.n_kv_heads());
  }
  for (int l = 0; l < cache.n_layers() && status; ++l) {
    for (HeadCache& head : cache.layer(l)) {
      if (status) status = ReadHead(file, n_tokens, head);
    }
  }
  if (!status) cache.Clear();
  return status;
}

Status CacheFile::ReadHead(ByteReader& file, int64_t n_tokens, HeadCache& head) {
  const HeadFormat& format = head.format_;
  const auto head_dim = file.Value<int32_t>();
  const PlaneFormat k = ReadFormat(file), v = ReadFormat(file);
  const auto n_columns = file.Value<int32_t>();
  if (head_dim != format.head_dim || k != format.k() || v != format.v() ||
      n_columns != format.n_columns) {
    return Fail(
        "the cache is of another format (head size {}, codecs {} and {}): load it with the "
        "--kv and --kv-type that it was saved with",
        head_dim, FormatName(k), FormatName(v));
  }
  const auto end_order = file.Value<int32_t>(), delta = file.Value<int32_t>();
  const auto n_runs = file.Value<uint64_t>();
  if (end_order != n_tokens || delta > 0 || delta < -n_tokens || n_runs < 1 || n_runs > kMostRuns ||
      !file.ok()) {
    return Fail("the cache's table of a head is damaged");
  }
  head.runs_.clear();
  Status status;
  for (uint64_t r = 0; r < n_runs && status; ++r) {
    HeadCache::Run& run = head.runs_.emplace_back();
    run.shift = file.Value<int32_t>();
    const auto n_pages = file.Value<uint64_t>();
    const auto page_bytes = static_cast<uint64_t>(format.k_bytes() + format.v_bytes());
    if (n_pages > file.n_left() / page_bytes || run.shift > n_tokens || run.shift < -n_tokens) {
      status = Fail("the cache's table of a run is damaged");
    }
    for (uint64_t p = 0; p < n_pages && status; ++p) status = ReadPage(file, n_tokens, head, run);
  }
  head.end_order_ = end_order;
  head.delta_ = delta;
  head.Refresh();
  return status;
}

Status CacheFile::ReadPage(ByteReader& file, int64_t n_tokens, HeadCache& head,
                           HeadCache::Run& run) {
  const HeadFormat& format = head.format_;
  KV_ASSIGN_OR_RETURN(Page * page, head.NewPage());
  const auto live = file.Value<uint64_t>();
  page->order0 = file.Value<int32_t>();
  page->pos0 = file.Value<int32_t>();
  const auto in_text = [&](int64_t n) { return n >= 0 && n < n_tokens; };
  bool good = live != 0 && in_text(page->order0) && in_text(page->pos0);
  if (file.Value<uint8_t>() != 0) {
    page->MakeExplicit();
    file.Bytes(page->order.get(), kPageEntries * sizeof(int32_t));
    file.Bytes(page->pos.get(), kPageEntries * sizeof(int32_t));
  }
  if (format.n_columns > 0) {
    file.Bytes(page->columns.get(), format.n_columns * kPageEntries * sizeof(float));
  }
  file.Bytes(page->k, format.k_bytes());
  file.Bytes(page->v, format.v_bytes());
  head.AddPage(run, page, live);
  for (int s = 0; s < kPageEntries; ++s) {
    const bool is_live = (live >> s & 1) != 0;
    good = good && (!is_live || (in_text(page->OrderOf(s)) && in_text(page->PosOf(s))));
  }
  if (!good || !file.ok()) return Fail("a page of the cache is damaged");
  return {};
}

}  // namespace kvasir
