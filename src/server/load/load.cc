#include "server/load/load.h"

#include <atomic>
#include <cmath>
#include <mutex>
#include <random>
#include <thread>

namespace kvasir::server {

using Clock = StreamClient::Clock;

std::vector<double> Arrivals(int64_t n, double rate, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> due;
  double at = 0;
  for (int64_t i = 0; i < n; ++i) {
    due.push_back(at);
    const double share = static_cast<double>(random() >> 11) * 0x1p-53;  // [0, 1)
    at -= std::log1p(-share) / rate;
  }
  return due;
}

void SleepUntil(Clock::time_point time, const std::function<bool()>& stop) {
  while (Clock::now() < time && !stop()) {
    std::this_thread::sleep_for(
        std::min<Clock::duration>(time - Clock::now(), std::chrono::milliseconds(100)));
  }
}

std::vector<LoadedRequest> RunLoad(const LoadOptions& options, const AskFn& ask,
                                   const std::function<bool()>& stop,
                                   const std::function<void(int64_t n_done)>& progress) {
  const Clock::time_point start = Clock::now();
  std::vector<std::optional<LoadedRequest>> requests(options.n_requests);
  std::atomic<int64_t> next{0};
  std::mutex mutex;  // guards n_done and the progress
  int64_t n_done = 0;
  const auto client = [&] {
    while (!stop()) {
      const int64_t i = next++;
      if (i >= options.n_requests) return;
      Clock::time_point due = Clock::now();
      if (!options.due.empty()) {
        due = start + std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(options.due[i]));
        SleepUntil(due, stop);
        if (stop()) return;
      }
      const double due_s = std::chrono::duration<double>(due - start).count();
      requests[i] = LoadedRequest{due_s, ask(i, due)};
      const std::lock_guard lock(mutex);
      progress(++n_done);
    }
  };
  std::vector<std::thread> clients;
  for (int64_t c = 0; c < std::min(options.n_clients, options.n_requests); ++c) {
    clients.emplace_back(client);
  }
  for (std::thread& each : clients) each.join();
  std::vector<LoadedRequest> sent;
  for (auto& request : requests) {
    if (request) sent.push_back(std::move(*request));
  }
  return sent;
}

}  // namespace kvasir::server
