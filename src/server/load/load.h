// Load: requests to a server, from clients that wait for each other or as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "server/load/stream_client.h"

namespace kvasir::server {

// When requests are to be sent, in seconds since the start: Poisson arrivals, `rate` a second on
// average. The same for a seed on every machine.
std::vector<double> Arrivals(int64_t n, double rate, uint64_t seed);

// Of requests or sessions that come when they come: so many are on their way at most.
inline constexpr int64_t kMostAtOnce = 512;

// Returns early, within a tenth of a second, once `stop` says so.
void SleepUntil(StreamClient::Clock::time_point time, const std::function<bool()>& stop);

struct LoadOptions {
  int64_t n_requests = 32;
  int64_t n_clients = 1;         // at most so many requests are on their way at a time
  std::vector<double> due = {};  // [n_requests]: when each is due; empty: when a client is free
};

// One request of a run.
struct LoadedRequest {
  double due_s = 0;  // since the run's start
  StreamedAnswer answer;
};

// Asks for requests 0 … n_requests - 1, in this order, each on a thread of its client. `ask` may be
// called by several threads. `stop`: no more are sent; those that were are in the result.
using AskFn = std::function<StreamedAnswer(int64_t request, StreamClient::Clock::time_point due)>;
std::vector<LoadedRequest> RunLoad(const LoadOptions& options, const AskFn& ask,
                                   const std::function<bool()>& stop,
                                   const std::function<void(int64_t n_done)>& progress);

}  // namespace kvasir::server
