// Pages within a saved cache: their facts, and planes, of which one that several pages hold is
// there once.
#include <algorithm>
#include <cmath>

#include "cache/cache_file.h"

namespace kvasir {

void CacheFile::WritePage(const Page& page, uint64_t live, int n_columns,
                          std::vector<const Plane*>& written, ByteWriter& file) {
  file.Value(live);
  file.Value(page.order0);
  file.Value(page.pos0);
  file.Value(static_cast<uint8_t>(page.order != nullptr));
  file.Value(static_cast<uint8_t>(page.columns != nullptr));
  if (page.order) {
    file.Bytes(page.order.get(), kPageEntries * sizeof(int32_t));
    file.Bytes(page.pos.get(), kPageEntries * sizeof(int32_t));
  }
  if (page.columns) {
    file.Bytes(page.columns.get(), n_columns * kPageEntries * sizeof(float));
  }
  for (const Plane* plane : {page.k, page.v}) {
    const auto found = std::find(written.begin(), written.end(), plane);
    file.Value(static_cast<uint64_t>(found - written.begin()));
    if (found != written.end()) continue;
    written.push_back(plane);
    file.Bytes(plane->bytes, plane->n_bytes);
  }
}

// A plane that follows, or one that was there before. Counts one reference.
Result<Plane*> CacheFile::ReadPlane(ByteReader& file, PlaneKind kind, const PlaneFormat& format,
                                    ReadPlanes& planes, HeadCache& head) {
  const auto index = file.Value<uint64_t>();
  const int64_t n_bytes = PlaneBytes(format, kind);
  if (!file.ok() || index > planes.size()) return Fail("a page of the cache is damaged");
  if (index < planes.size()) {
    const KnownPlane& known = planes[index];
    if (known.kind != kind || known.format != format) {
      return Fail("two pages of the cache share a plane of two formats");
    }
    known.plane->n_refs.fetch_add(1, std::memory_order_relaxed);
    return known.plane;
  }
  if (file.n_left() < static_cast<uint64_t>(n_bytes)) return Fail("the cache is cut short");
  KV_ASSIGN_OR_RETURN(Plane * plane, head.NewPlane(n_bytes, kind));
  file.Bytes(plane->bytes, n_bytes);
  planes.push_back({plane, kind, format});
  return plane;
}

Status CacheFile::ReadPage(ByteReader& file, int64_t n_tokens, ReadPlanes& planes, HeadCache& head,
                           HeadCache::Run& run) {
  const int n_columns = head.format_.n_columns;
  const auto live = file.Value<uint64_t>();
  Page facts;
  facts.order0 = file.Value<int32_t>();
  facts.pos0 = file.Value<int32_t>();
  const auto in_text = [&](int64_t n) { return n >= 0 && n < n_tokens; };
  const bool is_explicit = file.Value<uint8_t>() != 0, has_columns = file.Value<uint8_t>() != 0;
  // Before the arrays are filled from them.
  if (live == 0 || !in_text(facts.order0) || !in_text(facts.pos0)) {
    return Fail("a page of the cache is damaged");
  }
  if (is_explicit) {
    facts.MakeExplicit();
    file.Bytes(facts.order.get(), kPageEntries * sizeof(int32_t));
    file.Bytes(facts.pos.get(), kPageEntries * sizeof(int32_t));
  }
  if (has_columns) {
    facts.MakeColumns(n_columns);
    file.Bytes(facts.columns.get(), n_columns * kPageEntries * sizeof(float));
  }
  KV_ASSIGN_OR_RETURN(Plane * k, ReadPlane(file, PlaneKind::kKeys, run.format.k, planes, head));
  Result<Plane*> v = ReadPlane(file, PlaneKind::kValues, run.format.v, planes, head);
  if (!v) {
    head.Unref(k);
    return tl::unexpected<Error>(v.error());
  }
  Page* page = head.PageWith(k, *v);
  head.CopyFacts(facts, *page);
  page->NoteOrder(live);
  head.AddPage(run, page, live);
  bool good = true;
  for (int s = 0; s < kPageEntries; ++s) {
    const bool is_live = (live >> s & 1) != 0;
    good = good && (!is_live || (in_text(page->OrderOf(s)) && in_text(page->PosOf(s))));
    for (int c = 0; c < n_columns; ++c) {
      good = good && (!is_live || std::isfinite(page->ColumnOf(c, s)));
    }
  }
  if (!good || !file.ok()) return Fail("a page of the cache is damaged");
  return {};
}

}  // namespace kvasir
