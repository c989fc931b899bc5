// What a run of requests amounts to: percentiles, throughput, and the share that was served well.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/load/load.h"

namespace kvasir::server {

// Bounds in seconds; none: any time is good.
struct LoadBounds {
  std::optional<double> ttft, tpot, e2e;  // first token; mean of a token after it; to the end
};

struct Spread {
  double p50 = 0, p95 = 0, p99 = 0, mean = 0;
  int64_t n = 0;  // values; 0: the others mean nothing
};
// Percentiles are linear between the two nearest values.
Spread SpreadOf(std::vector<double> values);

struct LoadFigures {
  int64_t n_requests = 0, n_failed = 0, n_good = 0;  // n_good: within all bounds
  double wall_s = 0;                                 // from the first due time to the last end
  int64_t prompt_tokens = 0, generated_tokens = 0;   // of answers that did not fail
  Spread ttft_s, inter_token_s, tpot_s, e2e_s;
  std::map<int, int64_t> by_status;  // of HTTP; 0: no reply
  LoadBounds bounds;
};
LoadFigures FiguresOf(std::span<const LoadedRequest> requests, const LoadBounds& bounds);

nlohmann::ordered_json LoadJson(const LoadFigures& figures);
std::string LoadText(const LoadFigures& figures);

}  // namespace kvasir::server
