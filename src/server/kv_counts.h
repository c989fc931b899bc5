// KvCounts: what answers told of their caches when they ended, failed or were canceled, for
// metrics: entries that were dropped, by the methods that did it, and the codecs that hold the
// caches of slots. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "engine/scheduler.h"

namespace kvasir::server {

struct KvFigures {
  // By {policy, reason}: names of methods, and "budget", or "window" where the model's layers drop
  // what they no longer see. Entries of all heads.
  std::map<std::pair<std::string, std::string>, int64_t> evicted_entries = {};
  int64_t compactions = 0;  // answers in whose caches entries were dropped
  std::map<std::string, int64_t> bytes_by_codec = {};  // of slots; kChanging: not told yet
  std::map<std::string, int64_t> tokens = {};          // in slots, by "running" and "idle"
  int64_t n_heads = 1;                                 // KV heads of all layers
};

class KvCounts {
 public:
  // Bytes of caches of which no answer has told the codecs: answers are being made in them.
  static constexpr char kChanging[] = "changing";

  // In the order in which answers end.
  void Add(const BatchOutcome& outcome);
  // `used_bytes`: of all pages.
  KvFigures Figures(std::span<const SlotFacts> slots, int64_t used_bytes, int64_t n_heads) const;

 private:
  struct Told {
    int64_t bytes = 0;
    std::map<std::string, int64_t> by_codec;
  };
  mutable std::mutex mutex_;
  std::map<int, Told> slots_;  // by the last answer of each
  std::map<std::pair<std::string, std::string>, int64_t> evicted_;
  int64_t compactions_ = 0;
};

}  // namespace kvasir::server
