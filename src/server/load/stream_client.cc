#include "server/load/stream_client.h"

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

namespace kvasir::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Error = boost::system::error_code;
using Json = nlohmann::ordered_json;

constexpr size_t kMostError = 500;       // bytes of a reply that is no stream
constexpr size_t kMostEvent = 16 << 20;  // of a stream's event
constexpr auto kAskEvery = std::chrono::milliseconds(100);

// "{"error": {"message": …}}", or what else came, in one line.
std::string ErrorText(std::string text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error")) {
    const Json& error = json["error"];
    text = error.is_object() && error.contains("message") && error["message"].is_string()
               ? error["message"].get<std::string>()
               : error.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  text.resize(std::min(text.size(), kMostError));
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool HasText(const Json& choice) {
  const auto text = [](const Json& from, const char* name) {
    return from.contains(name) && from[name].is_string() &&
           !from[name].get_ref<const std::string&>().empty();
  };
  if (!choice.is_object()) return false;
  return text(choice, "text") || (choice.contains("delta") && choice["delta"].is_object() &&
                                  text(choice["delta"], "content"));
}

// Events of a stream, out of blocks that end anywhere.
class Events {
 public:
  explicit Events(StreamedAnswer& answer) : answer_(answer) {}

  void Add(std::string_view block, double now) {
    for (const char c : block) {
      if (c != '\r') pending_ += c;
    }
    for (size_t end; (end = pending_.find("\n\n")) != std::string::npos;) {
      Take(pending_.substr(0, end), now);
      pending_.erase(0, end + 2);
    }
    if (pending_.size() > kMostEvent) answer_.error = "an event of the stream has no end";
  }

 private:
  void Take(std::string_view event, double now) {
    std::string data;
    while (!event.empty()) {
      const std::string_view line = event.substr(0, event.find('\n'));
      event.remove_prefix(std::min(line.size() + 1, event.size()));
      if (line.starts_with("data:")) data += line.substr(5);
    }
    if (data.empty() || data == " [DONE]" || data == "[DONE]") return;
    const Json json = Json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      answer_.error = "the stream holds what is no JSON";
    } else if (json.contains("error")) {
      answer_.error = ErrorText(data);
    } else {
      Note(json, now);
    }
  }

  void Note(const Json& json, double now) {
    if (const auto usage = json.find("usage"); usage != json.end() && usage->is_object()) {
      answer_.n_prompt = Count(*usage, "prompt_tokens");
      answer_.n_generated = Count(*usage, "completion_tokens");
      const auto details = usage->find("prompt_tokens_details");
      if (details != usage->end() && details->is_object()) {
        answer_.n_cached = Count(*details, "cached_tokens");
      }
    }
    const auto choices = json.find("choices");
    if (choices == json.end() || !choices->is_array()) return;
    if (std::any_of(choices->begin(), choices->end(), HasText)) answer_.pieces.push_back(now);
  }

  static int64_t Count(const Json& usage, const char* name) {
    const auto found = usage.find(name);
    return found != usage.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  }

  StreamedAnswer& answer_;
  std::string pending_;
};

// One request on a connection of its own, driven by the thread that asks.
class Request {
 public:
  Request(const ServerUrl& url, const StreamClient::Options& options,
          StreamClient::Clock::time_point due, StreamedAnswer& answer)
      : url_(url), options_(options), due_(due), answer_(answer) {}

  void Run(std::string_view path, const std::string& body) {
    Error error = Connect();
    if (!error) error = Send(path, body);
    if (!error) error = Receive();
    if (stopped_) {
      answer_.error = "interrupted";
    } else if (error == beast::error::timeout) {
      answer_.error = fmt::format("no end within {} s",
                                  std::chrono::duration<double>(options_.timeout).count());
    } else if (error) {
      answer_.error = error.message();
    }
    if (answer_.error.empty() && answer_.pieces.empty()) answer_.error = "it holds no text";
  }

 private:
  // Until the operation that `start` begins is done.
  template <class F>
  Error Await(F start) {
    Error result = asio::error::would_block;
    start([&](Error error, const auto&...) { result = error; });
    io_.restart();
    while (result == asio::error::would_block) {
      io_.run_for(kAskEvery);
      if (stopped_ || !options_.stop()) continue;
      stopped_ = true;
      stream_.cancel();
    }
    return result;
  }

  Error Connect() {
    Error error;
    asio::ip::tcp::resolver resolver(io_);
    const auto ends = resolver.resolve(url_.host, url_.port, error);
    if (error) return error;
    stream_.expires_after(options_.timeout);
    error = Await([&](auto done) { stream_.async_connect(ends, done); });
    if (!error) stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
    return error;
  }

  Error Send(std::string_view path, const std::string& body) {
    const std::string target = fmt::format("{}{}", url_.base, path);
    http::request<http::string_body> request{http::verb::post, target, 11, body};
    request.set(http::field::host, url_.host);
    request.set(http::field::content_type, "application/json");
    if (!options_.api_key.empty()) {
      request.set(http::field::authorization, fmt::format("Bearer {}", options_.api_key));
    }
    request.keep_alive(false);
    request.prepare_payload();
    return Await([&](auto done) { http::async_write(stream_, request, done); });
  }

  Error Receive() {
    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(UINT64_MAX);  // answers are as long as they are
    Error error = Await([&](auto done) { http::async_read_header(stream_, buffer, parser, done); });
    if (error) return error;
    answer_.status = static_cast<int>(parser.get().result_int());
    std::array<char, 1 << 14> block;
    std::string other;  // a reply that is no stream
    Events events(answer_);
    while (!parser.is_done() && answer_.error.empty()) {
      parser.get().body().data = block.data();
      parser.get().body().size = block.size();
      error = Await([&](auto done) { http::async_read_some(stream_, buffer, parser, done); });
      if (error == http::error::need_buffer) error = {};
      if (error) return error;
      const std::string_view came(block.data(), block.size() - parser.get().body().size);
      if (answer_.status == 200) {
        events.Add(came, Now());
      } else if (other.size() < (1 << 16)) {
        other += came;
      }
    }
    if (answer_.status != 200) answer_.error = ErrorText(std::move(other));
    return {};
  }

  double Now() const {
    return std::chrono::duration<double>(StreamClient::Clock::now() - due_).count();
  }

  const ServerUrl& url_;
  const StreamClient::Options& options_;
  const StreamClient::Clock::time_point due_;
  StreamedAnswer& answer_;
  asio::io_context io_{1};
  beast::tcp_stream stream_{io_};
  bool stopped_ = false;
};

}  // namespace

Result<ServerUrl> ParseUrl(std::string_view url) {
  const auto fail = [&] {
    return Fail("'{}' is no URL of a server: write http://host:port or http://host:port/v1", url);
  };
  if (url.starts_with("https://")) {
    return Fail("{}: TLS is not spoken here; write the http:// address behind the proxy", url);
  }
  std::string_view rest = url;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  ServerUrl parsed;
  const size_t path = std::min(rest.find('/'), rest.size());
  parsed.base = rest.substr(path);
  while (parsed.base.ends_with('/')) parsed.base.pop_back();
  rest = rest.substr(0, path);
  if (rest.starts_with('[')) {  // an IPv6 address
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return fail();
    parsed.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const size_t colon = std::min(rest.find(':'), rest.size());
    parsed.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  parsed.port = rest.empty() ? "80" : rest.substr(1);
  const bool good_port = !parsed.port.empty() && parsed.port.size() <= 5 &&
                         std::all_of(parsed.port.begin(), parsed.port.end(),
                                     [](char c) { return c >= '0' && c <= '9'; }) &&
                         std::stoi(parsed.port) <= 65535;
  const bool odd = (!rest.empty() && rest[0] != ':') ||
                   url.find_first_of(" \t\r\n?#@") != std::string_view::npos;
  if (parsed.host.empty() || !good_port || odd) return fail();
  return parsed;
}

StreamedAnswer StreamClient::Ask(std::string_view path, const std::string& body,
                                 Clock::time_point due) const {
  StreamedAnswer answer;
  Request(url_, options_, due, answer).Run(path, body);
  answer.end = std::chrono::duration<double>(Clock::now() - due).count();
  if (answer.n_generated == 0) answer.n_generated = std::ssize(answer.pieces);
  return answer;
}

}  // namespace kvasir::server
