#include "server/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include "server/connection_exchange.h"

namespace kvasir::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

// Bytes that a client may send before it has its reply: the next requests.
constexpr size_t kMostEarly = 64 << 10;
constexpr size_t kReadAtOnce = 4 << 10;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

HttpConnection::HttpConnection(HttpShared& shared, asio::ip::tcp::socket socket)
    : shared_(&shared), stream_(std::move(socket)), ping_(stream_.get_executor()) {
  ++shared_->n_connections;
  Error error;
  const auto endpoint = stream_.socket().remote_endpoint(error);
  if (!error) peer_ = endpoint.address().to_string();
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
}

HttpConnection::~HttpConnection() { --shared_->n_connections; }

void HttpConnection::ReadHeader(std::chrono::milliseconds time) {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(shared_->limits.header_bytes));
  parser_->body_limit(shared_->limits.body_bytes);
  stream_.expires_after(time);
  SkipEmptyLines();
}

// Some clients end a body with a line end that belongs to nothing (RFC 9112, 2.2).
void HttpConnection::SkipEmptyLines() {
  const auto begins_with = [&](char c) {
    return buffer_.size() > 0 && *static_cast<const char*>(buffer_.data().data()) == c;
  };
  while (begins_with('\r') || begins_with('\n')) buffer_.consume(1);
  if (buffer_.size() > 0) {
    return http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](Error error, size_t) { self->OnHeader(error); });
  }
  stream_.async_read_some(buffer_.prepare(kReadAtOnce),
                          [self = shared_from_this()](Error error, size_t n) {
                            if (error) return self->OnReadError(error);
                            self->buffer_.commit(n);
                            self->SkipEmptyLines();
                          });
}

void HttpConnection::OnHeader(Error error) {
  if (error) return OnReadError(error);
  if (parser_->get().version() >= 11 && parser_->get().count(http::field::host) != 1) {
    return Refuse(400, "a request of HTTP/1.1 has one header 'Host'");
  }
  keep_alive_ = parser_->get().keep_alive();
  chunked_ = parser_->get().version() >= 11;
  if (!chunked_) keep_alive_ = false;  // a stream to an HTTP/1.0 client ends with the connection
  if (Lower(std::string(parser_->get()[http::field::expect])) == "100-continue") {
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = shared_from_this()](Error failed, size_t) {
                        failed ? self->Close() : self->ReadBody();
                      });
    return;
  }
  ReadBody();
}

void HttpConnection::ReadBody() {
  stream_.expires_after(shared_->limits.body_time);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](Error error, size_t) { self->OnBody(error); });
}

void HttpConnection::OnBody(Error error) {
  if (error) return OnReadError(error);
  stream_.expires_never();
  answering_ = true;
  begun_ = last_queued_ = false;
  ++request_;
  Handle();
  WatchForGone();
}

void HttpConnection::OnReadError(Error error) {
  if (error == http::error::body_limit) {
    return Refuse(413, fmt::format("the body is larger than {} bytes", shared_->limits.body_bytes));
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Refuse(431,
                  fmt::format("the header is larger than {} bytes", shared_->limits.header_bytes));
  }
  const bool began = parser_ && (parser_->got_some() || parser_->is_header_done());
  if (error == boost::beast::error::timeout) {
    // tcp_stream has closed the socket: there is nobody to tell.
    return Close();
  }
  const bool is_parse_error =
      error.category() == make_error_code(http::error::bad_method).category();
  if (is_parse_error && error != http::error::end_of_stream &&
      error != http::error::partial_message && began) {
    return Refuse(400, fmt::format("not HTTP that this server reads: {}", error.message()));
  }
  Close();
}

void HttpConnection::Refuse(int status, std::string_view message) {
  keep_alive_ = false;
  answering_ = true;
  ++request_;
  const std::string body = shared_->refusal(status, message);
  Queue(HeaderBlock(status, "application/json", {}, false, body.size(), false) + body, true);
}

void HttpConnection::Handle() {
  const auto& message = parser_->get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string target = OriginForm({message.target().data(), message.target().size()});
  const size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query =
      ParseQuery(std::string_view(target).substr(std::min(question + 1, target.size())));
  for (const auto& field : message) {
    request.headers[Lower(std::string(field.name_string()))] = std::string(field.value());
  }
  request.body = std::move(parser_->get().body());
  request.peer = peer_;
  auto exchange =
      std::make_shared<ConnectionExchange>(shared_from_this(), request_, request.method == "HEAD");
  asio::post(*shared_->handlers, [shared = shared_, request = std::move(request),
                                  exchange = std::move(exchange)]() mutable {
    std::shared_ptr<Exchange> reply = exchange;
    try {
      shared->handler(std::move(request), reply);
    } catch (const std::exception& error) {  // of libraries: our own code throws nothing
      exchange->Send(500, "application/json", shared->refusal(500, error.what()), {});
    }
  });
}

// Readable while the reply is not finished: the end of the stream, or the next request already.
void HttpConnection::WatchForGone() {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                              [self = shared_from_this(), request = request_](Error error) {
                                if (!error && self->IsAnswering(request)) self->TakeEarly();
                              });
}

// What comes early is taken, or it would hide the end behind it.
void HttpConnection::TakeEarly() {
  if (buffer_.size() >= kMostEarly) return Gone();
  const auto space = buffer_.prepare(kReadAtOnce);
  const ssize_t n =
      recv(stream_.socket().native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  if (n > 0) buffer_.commit(static_cast<size_t>(n));
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) {
    return WatchForGone();
  }
  n == 0 && chunked_ ? AskWhetherGone() : Gone();
}

// A client that sends no more may still listen. To one that is gone anything may be said: its
// system resets the connection. What is said is what every client skips (RFC 9110, 15.2.1).
void HttpConnection::AskWhetherGone() {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_error,
                              [self = shared_from_this(), request = request_](Error error) {
                                if (!error && self->IsAnswering(request)) self->Gone();
                              });
  if (begun_) return Queue(InChunk(": ping\n\n"), false);
  Queue(std::string(kContinue), false);
  begun_ = false;  // that was no part of it
}

void HttpConnection::Gone() { Close(); }

void HttpConnection::Queue(std::string bytes, bool last) {
  if (closed_ || last_queued_) return;
  begun_ = true;
  last_queued_ = last;
  queued_at_ = std::chrono::steady_clock::now();
  n_unsent_ += bytes.size();
  unsent_.push_back(std::move(bytes));
  if (n_unsent_ > shared_->limits.unsent_bytes + unsent_.back().size()) return Gone();
  if (!writing_) WriteNext();
}

// A comment, which clients skip and proxies count as a sign of life, whenever the stream has been
// silent for the time of a ping; next looked at in `time`.
void HttpConnection::Ping(std::chrono::milliseconds time) {
  ping_.expires_after(time);
  ping_.async_wait([weak = weak_from_this(), request = request_](Error error) {
    const auto self = weak.lock();
    if (error || !self || self->closed_ || self->last_queued_ || self->request_ != request) return;
    const auto wanted = self->shared_->limits.ping_time;
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - self->queued_at_);
    if (silent >= wanted && self->unsent_.empty()) self->Queue(self->InChunk(": ping\n\n"), false);
    self->Ping(silent >= wanted ? wanted : wanted - silent);
  });
}

void HttpConnection::WriteNext() {
  if (unsent_.empty()) {
    if (last_queued_) NextRequest();
    return;
  }
  writing_ = true;
  stream_.expires_after(shared_->limits.write_time);
  asio::async_write(stream_, asio::buffer(unsent_.front()),
                    [self = shared_from_this()](Error error, size_t) { self->OnWritten(error); });
}

void HttpConnection::OnWritten(Error error) {
  writing_ = false;
  if (closed_) return;
  if (error) return Gone();
  stream_.expires_never();
  n_unsent_ -= unsent_.front().size();
  unsent_.pop_front();
  WriteNext();
}

void HttpConnection::NextRequest() {
  answering_ = false;
  on_gone_ = nullptr;
  if (!keep_alive_) return Linger();
  Error ignored;
  stream_.socket().cancel(ignored);  // the watch
  ReadHeader(shared_->limits.idle_time);
}

// Closing with bytes unread would reset the connection, and the reply could be lost with it: what
// the client still sends is read and dropped, for a second at most.
void HttpConnection::Linger() {
  Error ignored;
  stream_.socket().cancel(ignored);
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.expires_after(std::chrono::seconds(1));
  Drop();
}

void HttpConnection::Drop() {
  buffer_.clear();
  stream_.async_read_some(
      buffer_.prepare(16 << 10),
      [self = shared_from_this()](Error error, size_t) { error ? self->Close() : self->Drop(); });
}

void HttpConnection::Close() {
  if (closed_) return;
  closed_ = true;
  Error ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  unsent_.clear();
  if (answering_ && on_gone_) std::exchange(on_gone_, nullptr)();
}

}  // namespace kvasir::server
