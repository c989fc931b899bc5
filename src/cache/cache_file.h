// Saves and restores the entries of a KvCache: bytes as they are encoded, orders, positions, live
// bits, columns.
#pragma once

#include "base/byte_stream.h"
#include "cache/kv_cache.h"

namespace kvasir {

class CacheFile {
 public:
  static void Write(const KvCache& cache, ByteWriter& file);
  // Replaces the entries of `cache`, whose shape and codecs must be those of the file. After an
  // error `cache` is empty. n_tokens: orders are below it.
  static Status Read(ByteReader& file, int64_t n_tokens, KvCache& cache);

 private:
  struct KnownPlane {
    Plane* plane;
    PlaneKind kind;
    PlaneFormat format;
  };
  using ReadPlanes = std::vector<KnownPlane>;  // of one head, in the order of the file

  static void WriteHead(const HeadCache& head, ByteWriter& file);
  static void WritePage(const Page& page, uint64_t live, int n_columns,
                        std::vector<const Plane*>& written, ByteWriter& file);
  static void WriteValueMaps(const HeadCache& head, ByteWriter& file);
  static Status ReadHead(ByteReader& file, int64_t n_tokens, HeadCache& head);
  static Status ReadValueMaps(ByteReader& file, HeadCache& head);
  static Status ReadTurns(ByteReader& file, int64_t n_tokens, HeadCache& head);
  static Status ReadRun(ByteReader& file, int64_t n_tokens, std::span<const KeyMapPtr> maps,
                        ReadPlanes& planes, HeadCache& head);
  static Result<Plane*> ReadPlane(ByteReader& file, PlaneKind kind, const PlaneFormat& format,
                                  ReadPlanes& planes, HeadCache& head);
  static Status ReadPage(ByteReader& file, int64_t n_tokens, ReadPlanes& planes, HeadCache& head,
                         HeadCache::Run& run);
};

}  // namespace kvasir
