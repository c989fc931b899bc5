#include "server/http_text.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>

namespace kvasir::server {
namespace {

namespace http = boost::beast::http;

std::string_view StatusText(int status) {
  const auto text = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

}  // namespace

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

}  // namespace kvasir::server
