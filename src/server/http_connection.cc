#include "server/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

namespace kvasir::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

// Bytes that a client may send before it has its reply: the next requests.
constexpr size_t kMostEarly = 64 << 10;
constexpr size_t kReadAtOnce = 4 << 10;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view StatusText(int status) {
  const auto text = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

std::string HeaderBlock(int status, std::string_view type, const HttpHeaders& headers,
                        bool keep_alive, std::optional<size_t> length, bool chunked) {
  std::string block =
      fmt::format("HTTP/1.1 {} {}\r\nServer: kvasir\r\n", status, StatusText(status));
  if (!type.empty()) block += fmt::format("Content-Type: {}\r\n", type);
  // RFC 9110, 8.6: a reply without content has no length.
  if (length && status != 204) block += fmt::format("Content-Length: {}\r\n", *length);
  if (!length && chunked) block += "Transfer-Encoding: chunked\r\n";
  for (const auto& [name, value] : headers) block += fmt::format("{}: {}\r\n", name, value);
  block += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return block;
}

std::map<std::string, std::string> ParseQuery(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view part = text.substr(0, end);
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view value = part.substr(std::min(equals + 1, part.size()));
    query[DecodeQuery(part.substr(0, equals))] = DecodeQuery(value);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return query;
}

// "http://host/path" as "/path": a client may write a whole URL (RFC 9112, section 3.2.2).
std::string OriginForm(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (!target.starts_with(kScheme)) return std::string(target);
  const size_t path = target.find_first_of("/?", kScheme.size());
  if (path == std::string_view::npos) return "/";
  return (target[path] == '?' ? "/" : "") + std::string(target.substr(path));
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace

// The reply to one request; speaks to the connection on its thread.
class ConnectionExchange final : public Exchange {
 public:
  ConnectionExchange(std::shared_ptr<HttpConnection> connection, uint64_t request, bool head_only)
      : connection_(std::move(connection)), request_(request), head_only_(head_only) {}
  // A handler that lets go of its exchange without a reply has failed.
  ~ConnectionExchange() override {
    if (!begun_) Send(500, "application/json", "{}", {});
  }

  void Send(int status, std::string_view type, std::string body,
            const HttpHeaders& headers) override {
    if (begun_.exchange(true)) return;
    const size_t length = body.size();
    if (head_only_) body.clear();
    Post([status, type = std::string(type), headers, length,
          body = std::move(body)](HttpConnection& c) {
      c.Queue(HeaderBlock(status, type, headers, c.keep_alive_, length, false) + body, true);
    });
  }

  void Begin(int status, std::string_view type, const HttpHeaders& headers) override {
    if (begun_.exchange(true)) return;
    Post([status, type = std::string(type), headers](HttpConnection& c) {
      c.Queue(HeaderBlock(status, type, headers, c.keep_alive_, std::nullopt, c.chunked_), false);
      if (type.starts_with("text/event-stream")) c.Ping(c.shared_->limits.ping_time);
    });
  }

  void Write(std::string data) override {
    if (data.empty()) return;
    Post([data = std::move(data)](HttpConnection& c) { c.Queue(c.InChunk(data), false); });
  }

  void End() override {
    Post([](HttpConnection& c) { c.Queue(c.chunked_ ? "0\r\n\r\n" : "", true); });
  }

  void OnGone(std::function<void()> f) override {
    asio::post(connection_->stream_.get_executor(),
               [c = connection_, request = request_, f = std::move(f)]() mutable {
                 if (c->closed_) {
                   f();
                 } else if (c->request_ == request && c->answering_) {
                   c->on_gone_ = std::move(f);
                 }
               });
  }

 private:
  template <class F>
  void Post(F f) {
    asio::post(connection_->stream_.get_executor(),
               [c = connection_, request = request_, f = std::move(f)] {
                 if (!c->closed_ && c->request_ == request && c->answering_) f(*c);
               });
  }

  const std::shared_ptr<HttpConnection> connection_;
  const uint64_t request_;
  const bool head_only_;
  std::atomic<bool> begun_{false};
};

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
