#include "report.h"

#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace kvasir::cli {

nlohmann::ordered_json KvJson(const KvReport& report) {
  return {{"spec", report.spec},
          {"reads_as", report.reads_as},
          {"entries", report.entries},
          {"entries_full", report.entries_full},
          {"bytes", report.bytes},
          {"bytes_peak", report.bytes_peak},
          {"bytes_full", report.bytes_full},
          {"by_codec", report.by_codec},
          {"by_tier", report.by_tier},
          {"read_entries_per_step", report.read_entries_per_step}};
}

std::string BytesText(int64_t bytes) {
  const auto n = static_cast<double>(bytes);
  if (bytes >= 1000000000) return fmt::format("{:.2f} GB", n / 1e9);
  if (bytes >= 1000000) return fmt::format("{:.1f} MB", n / 1e6);
  if (bytes >= 1000) return fmt::format("{:.1f} kB", n / 1e3);
  return fmt::format("{} B", bytes);
}

std::string KvLine(const KvReport& report) {
  const double share =
      report.bytes_full > 0 ? 100.0 * static_cast<double>(report.bytes) / report.bytes_full : 0.0;
  return fmt::format("{} of {} ({:.0f} %), {} of {} entries", BytesText(report.bytes),
                     BytesText(report.bytes_full), share, report.entries, report.entries_full);
}

std::string SpecText(const KvReport& report) {
  return report.reads_as == report.spec ? report.spec
                                        : fmt::format("{} = {}", report.spec, report.reads_as);
}

int64_t PeakRssBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;  // in KiB
  }
  return 0;
}

void ResetPeakRss() { std::ofstream("/proc/self/clear_refs") << "5"; }  // proc(5)

}  // namespace kvasir::cli
