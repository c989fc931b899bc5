// One connection: requests one after another, the reply's bytes, deadlines, and the watch for a
// client that goes while its answer is being made. Internal to http_server.cc.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <optional>

#include "server/http_server.h"

namespace kvasir::server {

// What connections share.
struct HttpShared {
  HttpLimits limits;
  HttpHandler handler;
  HttpRefusal refusal;
  boost::asio::io_context context{1};
  std::atomic<int> n_connections{0};
  std::atomic<int64_t> n_refused{0};
  std::unique_ptr<boost::asio::thread_pool> handlers;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpShared& shared, boost::asio::ip::tcp::socket socket);
  ~HttpConnection();
  void Start() { ReadHeader(shared_->limits.header_time); }
  // Sends a refusal and closes.
  void Refuse(int status, std::string_view message);

 private:
  friend class ConnectionExchange;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Error = boost::beast::error_code;

  void ReadHeader(std::chrono::milliseconds time);
  void SkipEmptyLines();
  void OnHeader(Error error);
  void ReadBody();
  void OnBody(Error error);
  void OnReadError(Error error);
  void Handle();
  bool IsAnswering(uint64_t request) const { return !closed_ && answering_ && request_ == request; }
  void WatchForGone();
  void TakeEarly();
  void AskWhetherGone();
  void Gone();
  void Queue(std::string bytes, bool last);
  std::string InChunk(const std::string& data) const {
    return chunked_ ? fmt::format("{:x}\r\n{}\r\n", data.size(), data) : data;
  }
  void WriteNext();
  void OnWritten(Error error);
  void Ping(std::chrono::milliseconds time);
  void NextRequest();
  void Linger();
  void Drop();
  void Close();

  HttpShared* shared_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string peer_;
  std::deque<std::string> unsent_;
  size_t n_unsent_ = 0;
  uint64_t request_ = 0;  // number of the request at hand, on this connection
  bool answering_ = false, writing_ = false, keep_alive_ = true;
  bool begun_ = false, last_queued_ = false;  // the reply at hand
  bool closed_ = false, chunked_ = true;
  std::function<void()> on_gone_;
  boost::asio::steady_timer ping_;
  std::chrono::steady_clock::time_point queued_at_ = {};
};

}  // namespace kvasir::server
