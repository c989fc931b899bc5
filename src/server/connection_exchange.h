// A connection's side of an exchange. Internal to http_connection.cc.
#pragma once

#include <atomic>
#include <boost/asio/post.hpp>

#include "server/http_connection.h"
#include "server/http_text.h"

namespace kvasir::server {

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
    boost::asio::post(connection_->stream_.get_executor(),
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
    boost::asio::post(connection_->stream_.get_executor(),
                      [c = connection_, request = request_, f = std::move(f)] {
                        if (!c->closed_ && c->request_ == request && c->answering_) f(*c);
                      });
  }

  const std::shared_ptr<HttpConnection> connection_;
  const uint64_t request_;
  const bool head_only_;
  std::atomic<bool> begun_{false};
};

}  // namespace kvasir::server
