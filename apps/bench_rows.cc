#include "bench_rows.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eval/distributions.h"
#include "report.h"

namespace kvasir::cli {

nlohmann::ordered_json BenchJson(const BenchRow& row) {
  const double median = Median(row.tok_s);
  return {{"spec", row.spec},
          {"phase", row.decode ? "decode" : "prefill"},
          {"prompt", row.prompt},
          {"depth", row.decode ? row.prompt : 0},
          {"batch", row.batch},
          {"threads", row.threads},
          {"tok_s_median", median},
          {"tok_s_min", *std::min_element(row.tok_s.begin(), row.tok_s.end())},
          {"tok_s_max", *std::max_element(row.tok_s.begin(), row.tok_s.end())},
          {"tok_s_each", median / static_cast<double>(row.batch)},
          {"ttft_ms", Median(row.ttft_ms)},
          {"kv_bytes", row.kv_bytes},
          {"rss_peak_bytes", row.rss_peak_bytes},
          {"read_bytes_per_token", row.read_bytes_per_token},
          {"floor_tok_s", row.floor_tok_s}};
}

std::string BenchTable(const std::vector<BenchRow>& rows) {
  size_t width = 4;
  for (const BenchRow& row : rows) width = std::max(width, row.spec.size());
  std::string text =
      fmt::format("{:<{}}  {:<8} {:>7} {:>5} {:>3} {:>9} {:>19} {:>8} {:>9} {:>8} {:>10} {:>10}\n",
                  "spec", width, "phase", "tokens", "batch", "thr", "tokens/s", "min .. max",
                  "each", "floor", "of floor", "KV", "peak RSS");
  for (const BenchRow& row : rows) {
    const nlohmann::ordered_json json = BenchJson(row);
    const double median = json["tok_s_median"];
    text += fmt::format(
        "{:<{}}  {:<8} {:>7} {:>5} {:>3} {:>9.1f} {:>8.1f} .. {:>7.1f} {:>8.1f} {:>9.1f} "
        "{:>6.0f} % {:>10} {:>10}\n",
        row.spec, width, row.decode ? "decode" : "prefill", row.prompt, row.batch, row.threads,
        median, json["tok_s_min"].get<double>(), json["tok_s_max"].get<double>(),
        json["tok_s_each"].get<double>(), row.floor_tok_s,
        row.floor_tok_s > 0 ? 100 * median / row.floor_tok_s : 0, BytesText(row.kv_bytes),
        BytesText(row.rss_peak_bytes));
  }
  return text;
}

}  // namespace kvasir::cli
