#include "cache/cache_file.h"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr uint64_t kMostRuns = 1024;
constexpr uint64_t kMostMaps = 64;

void WriteFormat(const PlaneFormat& format, ByteWriter& file) {
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

void WriteMap(const KeyMap& map, ByteWriter& file) {
  const KeyMap::Parts& parts = map.parts();
  file.Values(std::span<const uint8_t>(parts.channels));
  file.Values(std::span<const float>(parts.balancer));
  file.Value(static_cast<uint8_t>(parts.transform));
  file.Value(static_cast<int32_t>(parts.transform_from));
}

Result<KeyMapPtr> ReadMap(ByteReader& file, int head_dim) {
  KeyMap::Parts parts;
  parts.channels = file.Values<uint8_t>(head_dim);
  parts.balancer = file.Values<float>(head_dim);
  parts.transform = static_cast<KeyMap::Transform>(file.Value<uint8_t>());
  parts.transform_from = file.Value<int32_t>();
  if (!file.ok()) return Fail("a map of keys in the cache is cut short");
  if (const Status good = KeyMap::Check(head_dim, parts); !good) {
    return Fail("a map of keys in the cache is damaged: {}", good.error().message);
  }
  return std::make_shared<const KeyMap>(head_dim, std::move(parts));
}

}  // namespace

void CacheFile::Write(const KvCache& cache, ByteWriter& file) {
  file.Value(int32_t{cache.n_layers()});
  file.Value(int32_t{cache.n_kv_heads()});
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (const HeadCache& head : cache.layer(l)) WriteHead(head, file);
  }
}

void CacheFile::WriteHead(const HeadCache& head, ByteWriter& file) {
  const HeadFormat& format = head.format_;
  file.Value(format.head_dim);
  WriteFormat(format.k(), file);
  WriteFormat(format.v(), file);
  file.Value(format.n_columns);
  file.Value(head.end_order_);
  file.Value(head.delta_);
  file.Value(head.folded_.n);
  file.Values(std::span<const double>(head.folded_.sum));
  std::vector<KeyMapPtr> maps = {nullptr};
  const auto index_of = [&](const KeyMapPtr& map) {
    const auto found = std::find(maps.begin(), maps.end(), map);
    const auto index = static_cast<int32_t>(found - maps.begin());
    if (found == maps.end()) maps.push_back(map);
    return index;
  };
  index_of(head.key_map_);
  for (const HeadCache::Run& run : head.runs_) index_of(run.format.map);
  file.Value(static_cast<uint64_t>(maps.size() - 1));
  for (size_t m = 1; m < maps.size(); ++m) WriteMap(*maps[m], file);
  file.Value(index_of(head.key_map_));
  file.Value(static_cast<uint64_t>(head.runs_.size()));
  std::vector<const Plane*> written;  // a plane that two pages hold is there once
  for (const HeadCache::Run& run : head.runs_) {
    WriteFormat(run.format.k, file);
    WriteFormat(run.format.v, file);
    file.Value(index_of(run.format.map));
    file.Value(run.format.shift);
    file.Value(static_cast<uint64_t>(run.pages.size()));
    for (size_t p = 0; p < run.pages.size(); ++p) {
      WritePage(*run.pages[p], run.refs[p].live, format.n_columns, written, file);
    }
  }
  WriteValueMaps(head, file);
  for (const HeadCache::Run& run : head.runs_) {
    file.Value(static_cast<uint8_t>(run.rotated));
    file.Values(std::span<const int32_t>(run.turns));
  }
}

// The channels of each map; if there is one, which of them the head has and which each run (0:
// none).
void CacheFile::WriteValueMaps(const HeadCache& head, ByteWriter& file) {
  std::vector<ValueMapPtr> maps = {nullptr};
  const auto index_of = [&](const ValueMapPtr& map) {
    const auto found = std::find(maps.begin(), maps.end(), map);
    const auto index = static_cast<int32_t>(found - maps.begin());
    if (found == maps.end()) maps.push_back(map);
    return index;
  };
  std::vector<int32_t> uses = {index_of(head.value_map_)};
  for (const HeadCache::Run& run : head.runs_) uses.push_back(index_of(run.format.v_map));
  file.Value(static_cast<uint64_t>(maps.size() - 1));
  if (maps.size() == 1) return;
  for (size_t m = 1; m < maps.size(); ++m) {
    file.Values(std::span<const uint8_t>(maps[m]->channels()));
  }
  file.Values(std::span<const int32_t>(uses));
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
  HeadCache::Folded folded{.n = file.Value<int64_t>(), .sum = {}};
  folded.sum = file.Values<double>(2 * format.head_dim);
  const bool good_sums =
      folded.n >= 0 && folded.n <= n_tokens &&
      folded.sum.size() == (folded.n > 0 ? 2 * static_cast<size_t>(format.head_dim) : 0) &&
      std::all_of(folded.sum.begin(), folded.sum.end(), [](double x) { return std::isfinite(x); });
  const auto n_maps = file.Value<uint64_t>();
  if (!good_sums || end_order != n_tokens || delta > 0 || delta < -n_tokens || n_maps > kMostMaps ||
      !file.ok()) {
    return Fail("the cache's table of a head is damaged");
  }
  std::vector<KeyMapPtr> maps = {nullptr};
  for (uint64_t m = 0; m < n_maps; ++m) {
    KV_ASSIGN_OR_RETURN(KeyMapPtr map, ReadMap(file, head_dim));
    maps.push_back(std::move(map));
  }
  const auto key_map = file.Value<int32_t>();
  const auto n_runs = file.Value<uint64_t>();
  if (key_map < 0 || static_cast<uint64_t>(key_map) > n_maps || n_runs < 1 || n_runs > kMostRuns) {
    return Fail("the cache's table of a head is damaged");
  }
  head.key_map_ = maps[key_map];
  head.runs_.clear();
  Status status;
  ReadPlanes planes;
  for (uint64_t r = 0; r < n_runs && status; ++r) {
    status = ReadRun(file, n_tokens, maps, planes, head);
  }
  if (status) status = ReadValueMaps(file, head);
  if (status) status = ReadTurns(file, n_tokens, head);
  const RunFormat& last = head.runs_.back().format;
  if (status && (last.k != format.k() || last.v != format.v() || last.map || last.v_map)) {
    status = Fail("the cache has no run for new entries");
  }
  head.end_order_ = end_order;
  head.delta_ = delta;
  head.folded_ = std::move(folded);
  head.Refresh();
  return status;
}

Status CacheFile::ReadValueMaps(ByteReader& file, HeadCache& head) {
  const int head_dim = head.format_.head_dim;
  const auto n_maps = file.Value<uint64_t>();
  if (n_maps > kMostMaps) return Fail("the cache's table of a head is damaged");
  std::vector<ValueMapPtr> maps = {nullptr};
  for (uint64_t m = 0; m < n_maps; ++m) {
    std::vector<uint8_t> channels = file.Values<uint8_t>(head_dim);
    if (const Status good = ValueMap::Check(head_dim, channels); !good) {
      return Fail("a map of values in the cache is damaged: {}", good.error().message);
    }
    maps.push_back(std::make_shared<const ValueMap>(head_dim, std::move(channels)));
  }
  std::vector<int32_t> uses(head.runs_.size() + 1);
  if (n_maps > 0) uses = file.Values<int32_t>(uses.size());
  const auto known = [&](int32_t map) { return map >= 0 && map < std::ssize(maps); };
  if (!file.ok() || uses.size() != head.runs_.size() + 1 ||
      !std::all_of(uses.begin(), uses.end(), known)) {
    return Fail("the cache's table of a head is damaged");
  }
  head.value_map_ = maps[uses[0]];
  for (size_t r = 0; r < head.runs_.size(); ++r) {
    RunFormat& format = head.runs_[r].format;
    format.v_map = maps[uses[r + 1]];
    if (format.v.dim != (format.v_map ? format.v_map->dim() : head_dim)) {
      return Fail("the cache's table of a run is damaged");
    }
  }
  return {};
}

Status CacheFile::ReadTurns(ByteReader& file, int64_t n_tokens, HeadCache& head) {
  for (HeadCache::Run& run : head.runs_) {
    run.rotated = file.Value<uint8_t>() != 0;
    const size_t n = run.pages.size() * kPageEntries;
    run.turns = file.Values<int32_t>(static_cast<int64_t>(n));
    const bool narrow = run.format.map && run.format.map->drops_channels();
    const bool has_turns = !run.turns.empty();
    const auto in_text = [&](int32_t turn) { return turn <= n_tokens && turn >= -n_tokens; };
    if (!file.ok() || (has_turns && (narrow || run.turns.size() != n)) ||
        !std::all_of(run.turns.begin(), run.turns.end(), in_text)) {
      return Fail("the cache's table of a run is damaged");
    }
  }
  return {};
}

Status CacheFile::ReadRun(ByteReader& file, int64_t n_tokens, std::span<const KeyMapPtr> maps,
                          ReadPlanes& planes, HeadCache& head) {
  HeadCache::Run& run = head.runs_.emplace_back();
  RunFormat& format = run.format;
  format.k = ReadFormat(file);
  format.v = ReadFormat(file);
  const auto map = file.Value<int32_t>();
  format.shift = file.Value<int32_t>();
  const auto n_pages = file.Value<uint64_t>();
  KV_RETURN_IF_ERROR(CheckFormat(format.k, PlaneKind::kKeys));
  KV_RETURN_IF_ERROR(CheckFormat(format.v, PlaneKind::kValues));
  if (map < 0 || map >= static_cast<int64_t>(maps.size()) || !file.ok()) {
    return Fail("the cache's table of a run is damaged");
  }
  format.map = maps[map];
  const int k_dim = format.map ? format.map->dim() : head.format_.head_dim;
  constexpr uint64_t kLeastBytes = 24;  // of a page in the file
  if (format.k.dim != k_dim || format.v.dim > head.format_.head_dim ||
      n_pages > file.n_left() / kLeastBytes || format.shift > n_tokens ||
      format.shift < -n_tokens) {
    return Fail("the cache's table of a run is damaged");
  }
  for (uint64_t p = 0; p < n_pages; ++p) {
    KV_RETURN_IF_ERROR(ReadPage(file, n_tokens, planes, head, run));
  }
  return {};
}

}  // namespace kvasir
