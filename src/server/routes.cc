#include "server/routes.h"

#include <algorithm>
#include <array>

#include "server/messages.h"
#include "server/page.h"

namespace kvasir::server {
namespace {

constexpr std::array kRoutes = {
    Route{"POST", "/chat/completions", &ChatCompletions, Access::kQuota},
    Route{"POST", "/completions", &Completions, Access::kQuota},
    Route{"POST", "/messages", &Messages, Access::kQuota, &MessagesErrorJson},
    Route{"POST", "/messages/count_tokens", &CountTokens, Access::kKey, &MessagesErrorJson},
    Route{"POST", "/responses", &Responses, Access::kQuota},
    Route{"POST", "/responses/input_tokens", &ResponseInputTokens},
    Route{"POST", "/embeddings", &Embeddings, Access::kQuota, &ErrorJson, /*takes_long=*/true},
    Route{"POST", "/chat/completions/input_tokens", &InputTokens},
    Route{"GET", "/models", &Models, Access::kPublic},
    Route{"GET", "/models/**", &Models, Access::kPublic},
    Route{"POST", "/tokenize", &Tokenize},
    Route{"POST", "/detokenize", &Detokenize},
    Route{"GET", "/tokenizer_info", &TokenizerInfo},
    Route{"POST", "/apply-template", &ApplyTemplate},
    Route{"GET", "/slots", &Slots},
    Route{"POST", "/slots/*", &SlotAction, Access::kKey, &ErrorJson, /*takes_long=*/true},
    Route{"GET", "/props", &Props},
    Route{"GET", "/kv/methods", &KvMethods, Access::kPublic},
};

bool Matches(std::string_view pattern, std::string_view path) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == path;
  return path.size() > star && path.starts_with(pattern.substr(0, star)) &&
         (pattern.ends_with("/**") || path.find('/', star) == std::string_view::npos);
}

}  // namespace

const Route* FindRoute(std::string_view method, std::string_view path) {
  const auto found = std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Route& route) {
    return (route.method == method || (route.method == "GET" && method == "HEAD")) &&
           Matches(route.path, path);
  });
  return found == kRoutes.end() ? nullptr : &*found;
}

bool IsBuiltIn(std::string_view path) {
  return path == "/health" || path == "/metrics" || FindPageFile(path) != nullptr;
}

std::string AllowedMethods(std::string_view path) {
  bool gets = IsBuiltIn(path), posts = false;
  for (const Route& route : kRoutes) {
    if (!Matches(route.path, path)) continue;
    (route.method == "GET" ? gets : posts) = true;
  }
  if (!gets && !posts) return "";
  return fmt::format("{}{}OPTIONS", gets ? "GET, HEAD, " : "", posts ? "POST, " : "");
}

}  // namespace kvasir::server
