#include "server/http_server.h"

#include <boost/asio/post.hpp>
#include <thread>

#include "server/http_connection.h"

namespace kvasir::server {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class AsioServer final : public HttpServer {
 public:
  AsioServer(const HttpLimits& limits, HttpHandler handler, HttpRefusal refusal) {
    shared_.limits = limits;
    shared_.handler = std::move(handler);
    shared_.refusal = std::move(refusal);
    shared_.handlers = std::make_unique<asio::thread_pool>(limits.handler_threads);
    work_ = std::make_unique<asio::thread_pool>(limits.long_threads);
    reading_ = std::make_unique<asio::thread_pool>(limits.reading_threads);
  }

  ~AsioServer() override {
    StopAccepting();
    shared_.context.stop();
    if (thread_.joinable()) thread_.join();
    StopHandlers();
  }

  Status Listen(const std::string& host, int port) {
    boost::system::error_code error;
    const asio::ip::address address =
        asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    if (error) return Fail("--host {}: not an IP address; write 127.0.0.1 or 0.0.0.0", host);
    const tcp::endpoint endpoint(address, static_cast<uint16_t>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Fail("cannot listen on {}:{}: {}", host, port, error.message());
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { shared_.context.run(); });
    return {};
  }

  int port() const override { return port_; }
  void Do(Later kind, std::function<void()> work) override {
    asio::post(kind == Later::kWork ? *work_ : *reading_, std::move(work));
  }
  void StopHandlers() override {
    for (asio::thread_pool* pool : {shared_.handlers.get(), work_.get(), reading_.get()}) {
      pool->stop();
      pool->join();
    }
  }
  int n_connections() const override { return shared_.n_connections; }
  int64_t n_refused() const override { return shared_.n_refused; }
  void StopAccepting() override {
    asio::post(shared_.context, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
    });
  }

 private:
  void Accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (error) {  // no descriptors left, most likely: not at full speed again
        retry_.expires_after(std::chrono::milliseconds(50));
        retry_.async_wait([this](boost::system::error_code canceled) {
          if (!canceled) Accept();
        });
        return;
      }
      const bool full = shared_.n_connections >= shared_.limits.connections;
      const auto connection = std::make_shared<HttpConnection>(shared_, std::move(socket));
      if (full) {
        ++shared_.n_refused;
        connection->Refuse(503, "too many connections; try again later");
      } else {
        connection->Start();
      }
      Accept();
    });
  }

  HttpShared shared_;
  std::unique_ptr<asio::thread_pool> work_, reading_;
  tcp::acceptor acceptor_{shared_.context};
  asio::steady_timer retry_{shared_.context};
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& host, int port,
                                                      const HttpLimits& limits, HttpHandler handler,
                                                      HttpRefusal refusal) {
  auto server = std::make_unique<AsioServer>(limits, std::move(handler), std::move(refusal));
  KV_RETURN_IF_ERROR(server->Listen(host, port));
  return std::unique_ptr<HttpServer>(std::move(server));
}

std::string DecodeQuery(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
               HexDigit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace kvasir::server
