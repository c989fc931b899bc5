// HttpServer: HTTP/1.1 over TCP, one thread for all connections, handlers on a few others. Knows
// nothing of models. Boost.Asio and Beast's request parser are behind this header: that of Debian's
// cpp-httplib 0.11 offers no query for a closed connection, and an answer whose client has gone is
// to stop.
//
// Limits: bytes of header and body, a deadline for each of header, body and every write, so that
// slow clients hold nothing for long, and the number of connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir::server {

struct HttpLimits {
  size_t header_bytes = 16 << 10;
  size_t body_bytes = 8 << 20;
  size_t unsent_bytes = 16 << 20;  // of one reply whose client reads slowly: then it counts as gone
  int connections = 2048;
  std::chrono::milliseconds header_time{10'000}, body_time{30'000}, write_time{30'000};
  std::chrono::milliseconds idle_time{75'000};  // between two requests
  std::chrono::milliseconds ping_time{30'000};  // a silent event stream gets a comment
  int handler_threads = 2;
  int long_threads = 2;     // for work that takes long
  int reading_threads = 2;  // for requests that are long themselves
};

struct HttpRequest {
  std::string method, path;                    // the path without the query, not decoded
  std::map<std::string, std::string> query;    // decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body, peer;
  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// One request's reply. Any thread; after the client has gone everything is a no-op.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // A whole reply.
  virtual void Send(int status, std::string_view type, std::string body,
                    const HttpHeaders& headers = {}) = 0;
  // A reply in pieces: Begin, Write …, End.
  virtual void Begin(int status, std::string_view type, const HttpHeaders& headers = {}) = 0;
  virtual void Write(std::string data) = 0;
  virtual void End() = 0;
  // `f` is called once, on the connections' thread, if the client goes before the reply's end; at
  // once if it has gone.
  virtual void OnGone(std::function<void()> f) = 0;
};

using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<Exchange>)>;
// Makes the body of a refusal that the server itself has to send (400, 408, 413, 431, 503).
using HttpRefusal = std::function<std::string(int status, std::string_view message)>;

class HttpServer {
 public:
  // port 0: any free one.
  static Result<std::unique_ptr<HttpServer>> Start(const std::string& host, int port,
                                                   const HttpLimits& limits, HttpHandler handler,
                                                   HttpRefusal refusal);
  virtual ~HttpServer() = default;  // closes all connections
  virtual int port() const = 0;
  virtual int n_connections() const = 0;
  virtual int64_t n_refused() const = 0;  // connections over the limit
  virtual void StopAccepting() = 0;       // those that are open go on
  // On other threads than the handlers, which have to be free for the next request soon. Who has
  // only a long request to read does not wait for who works for minutes.
  enum class Later : uint8_t { kWork, kReading };
  virtual void Do(Later kind, std::function<void()> work) = 0;
  virtual void StopHandlers() = 0;  // waits for those that run; no other one begins
};

// "%20" and "+" of a query; what is no escape stays.
std::string DecodeQuery(std::string_view text);

}  // namespace kvasir::server
