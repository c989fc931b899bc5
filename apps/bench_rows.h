// The figures of `kvasir bench`, and how they are written.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kvasir::cli {

// One spec in one phase, at one length, for so many sequences at a time.
struct BenchRow {
  std::string spec;
  bool decode = false;
  int64_t prompt = 0, batch = 1;
  int threads = 0;
  std::vector<double> tok_s, ttft_ms;  // a run each; tokens of all sequences, the last one's TTFT
  int64_t kv_bytes = 0, rss_peak_bytes = 0;  // of all sequences
  double read_bytes_per_token = 0, read_entries_per_step = 0, floor_tok_s = 0;
};

nlohmann::ordered_json BenchJson(const BenchRow& row);
std::string BenchTable(const std::vector<BenchRow>& rows);

}  // namespace kvasir::cli
