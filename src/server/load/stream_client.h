// A client that asks any server of OpenAI's interface for a stream, and notes when each piece came.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir::server {

struct ServerUrl {
  std::string host, port, base;  // "/v1", without a slash at its end; "" where there is none
};
Result<ServerUrl> ParseUrl(std::string_view url);

// What became of a request. Seconds are since its due time: waiting for our own turn counts as the
// server's time.
struct StreamedAnswer {
  int status = 0;              // of HTTP; 0: no reply
  std::string error = {};      // what the server said, or what happened; "": nothing
  std::vector<double> pieces;  // at which text came
  double end = 0;
  int64_t n_prompt = 0, n_cached = 0, n_generated = 0;  // tokens, as far as the server tells

  bool ok() const { return status == 200 && error.empty() && !pieces.empty(); }
};

class StreamClient {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::string api_key = {};
    std::chrono::milliseconds timeout{600'000};         // of a request
    std::function<bool()> stop = [] { return false; };  // asked now and then: give up
  };
  StreamClient(ServerUrl url, Options options)
      : url_(std::move(url)), options_(std::move(options)) {}

  // POSTs a JSON body to `path` below the URL's, on a connection of its own. Any thread may call.
  StreamedAnswer Ask(std::string_view path, const std::string& body, Clock::time_point due) const;

 private:
  const ServerUrl url_;
  const Options options_;
};

}  // namespace kvasir::server
