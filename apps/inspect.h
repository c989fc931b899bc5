// The parts of `kvasir inspect`.
#pragma once

#include <string>
#include <vector>

#include "context.h"

namespace kvasir {
class KvCache;
}

namespace kvasir::cli {

Result<int> InspectModel(Context& context);    // facts of a file
Result<int> InspectTensors(Context& context);  // --list
Result<int> InspectTensor(Context& context);   // --tensor
Result<int> InspectCache(Context& context);    // a prompt and --kv
Result<int> InspectHeads(Context& context);    // --find-heads

// What a cache holds of a text, for pictures: which positions, by layer and KV head.
struct CacheMap {
  std::string title, spec;
  int64_t n_tokens = 0;
  int n_layers = 0, n_kv_heads = 0;
  std::vector<std::vector<int32_t>> positions;  // [layer * n_kv_heads + head], ascending

  // Share of the positions [first, end) that a row (one head) holds.
  double Share(size_t row, int64_t first, int64_t end) const;
};

CacheMap MapOf(const KvCache& cache, int64_t n_tokens, std::string spec);
// By the ending of the path: .png or .html.
Status DrawMap(const CacheMap& map, const std::string& path);
std::string MapHtml(const CacheMap& map);
// 8-bit RGB, rows from the top.
Status WritePng(const std::string& path, int width, int height, const std::vector<uint8_t>& rgb);

}  // namespace kvasir::cli
