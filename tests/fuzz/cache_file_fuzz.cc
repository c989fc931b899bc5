// libFuzzer: any bytes as a saved cache. What is accepted must be a cache that works: entries
// within the text, readable, evictable, growable.
#include <cstddef>
#include <cstdint>

#include "cache/cache_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;  // NOLINT: a fuzz target is one function
  constexpr int kTokens = 300;
  PagePool pool(4 << 20);
  const std::vector<HeadFormat> formats(1, HeadFormat{.head_dim = 16});
  KvCache cache(pool, formats, 1);
  ByteReader file({reinterpret_cast<const std::byte*>(data), size});
  if (!CacheFile::Read(file, kTokens, cache)) {
    KV_CHECK(pool.used_bytes() == 0);
    return 0;
  }
  for (HeadCache& head : cache.layer(0)) {
    for (int32_t order : head.Orders()) KV_CHECK(order >= 0 && order < kTokens);
    std::vector<float> keys(head.size() * head.format().head_dim);
    head.Read(PlaneKind::kKeys, 0, head.size(), keys.data());
    std::vector<float> values(keys.size());
    head.Read(PlaneKind::kValues, 0, head.size(), values.data());
    std::vector<SlotRange> slots;
    KV_CHECK(head.Append(70, kTokens, slots).has_value() || pool.used_bytes() > (3 << 20));
    if (head.size() > 2) head.Drop(1, head.size() - 2);
    KV_CHECK(head.bytes().keys + head.bytes().values == pool.used_bytes());
  }
  return 0;
}
