// Figures as JSON fields and as lines for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kvasir/kvasir.h"

namespace kvasir::cli {

// {"spec","reads_as","entries","entries_full","bytes","bytes_peak","bytes_full","by_codec","by_tier","read_entries_per_step"}
nlohmann::ordered_json KvJson(const KvReport& report);
// "12.3 MB of 45.6 MB (27 %), 1536 of 6144 entries"
std::string KvLine(const KvReport& report);
// "auto:budget=20% = snapkv:budget=50% + …" where a name stands for others.
std::string SpecText(const KvReport& report);
std::string BytesText(int64_t bytes);  // "12.3 MB": 1 MB is 1e6 bytes
int64_t PeakRssBytes();                // of this process, since ResetPeakRss or its start
void ResetPeakRss();                   // where the system lets us

}  // namespace kvasir::cli
