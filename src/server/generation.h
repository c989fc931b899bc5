// From requests to the engine, and from its events to a reply.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/dialect.h"
#include "server/http_server.h"

namespace kvasir::server {

// What a reply came to, for the log, metrics and quotas.
struct GenerationFacts {
  int status = 200;
  int64_t n_prompt = 0, n_cached = 0, n_generated = 0;
  double first_token_ms = 0;
  std::string spec = {}, finish = {};
};

// Submits the requests and answers on the exchange: whole, or as a stream. If the client goes, they
// are canceled. on_end is called once, when the reply is made or the client has gone (status 499).
void Generate(BatchEngine& engine, std::shared_ptr<Exchange> exchange,
              std::vector<BatchRequest> requests, std::unique_ptr<Dialect> dialect, bool stream,
              std::function<void(const GenerationFacts&)> on_end);

// An error as a whole reply.
void SendError(Exchange& exchange, const ApiError& error, const Json& body);

}  // namespace kvasir::server
