// The text of HTTP messages: what is written, and parts of what is read.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_server.h"

namespace kvasir::server {

// Everything before a reply's content. Without a length it is chunked, or ends with the connection.
std::string HeaderBlock(int status, std::string_view type, const HttpHeaders& headers,
                        bool keep_alive, std::optional<size_t> length, bool chunked);
std::map<std::string, std::string> ParseQuery(std::string_view text);
// "http://host/path" as "/path": a client may write a whole URL (RFC 9112, section 3.2.2).
std::string OriginForm(std::string_view target);
std::string Lower(std::string_view text);

}  // namespace kvasir::server
