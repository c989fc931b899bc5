// Metrics in Prometheus' text form 0.0.4: our own names, and on request those of vLLM and
// llama-server, which people's dashboards know.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "engine/scheduler.h"
#include "server/kv_counts.h"

namespace kvasir::server {

struct MetricAliases {
  bool vllm = false, llamacpp = false;
};

// Counted by the server; thread-safe.
class HttpCounts {
 public:
  void Add(const std::string& route, int status);
  std::map<std::pair<std::string, int>, int64_t> Get() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> counts_;
};

struct MetricInputs {
  std::string model;
  BatchFigures batch;
  KvFigures kv = {};
  std::map<std::pair<std::string, int>, int64_t> http;
  int n_connections = 0;
  int64_t n_refused = 0;
  double started_at = 0;  // seconds since 1970
  MetricAliases aliases;
};
std::string MetricsText(const MetricInputs& inputs);

}  // namespace kvasir::server
