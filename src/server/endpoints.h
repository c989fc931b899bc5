// The endpoints: each reads a request and replies on its exchange. server.cc routes to them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "server/api_error.h"
#include "server/generation.h"
#include "server/http_server.h"

namespace kvasir::server {

// What endpoints may look at.
struct Services {
  BatchEngine& engine;
  const std::atomic<bool>& stopping;  // the server goes: what takes long is to end
  std::string model_name, fingerprint;
  int64_t created = 0;
  std::string slot_folder = {};  // for saved slots; empty: none are saved
};

struct Call {
  HttpRequest http;
  std::shared_ptr<Exchange> exchange;
  std::string request_id;
  Caller caller;
  Json body;                                           // an object, for POST
  std::string operand;                                 // the end of a path such as /v1/models/{id}
  std::function<void(const GenerationFacts&)> on_end;  // by endpoints that generate
  Json (*error_body)(const ApiError&) = &ErrorJson;    // as the endpoint's clients read errors

  void Reply(const Json& json, int status = 200) const {
    exchange->Send(status, "application/json", Dump(json));
  }
  void Fail(const ApiError& error) const { SendError(*exchange, error, error_body(error)); }
};

using Endpoint = void (*)(const Services&, Call&);

void ChatCompletions(const Services&, Call&);
void Completions(const Services&, Call&);
void Messages(const Services&, Call&);
void CountTokens(const Services&, Call&);
void Responses(const Services&, Call&);
void Embeddings(const Services&, Call&);
void Models(const Services&, Call&);
void Tokenize(const Services&, Call&);
void Detokenize(const Services&, Call&);
void TokenizerInfo(const Services&, Call&);
void ApplyTemplate(const Services&, Call&);
void InputTokens(const Services&, Call&);
void ResponseInputTokens(const Services&, Call&);
void Slots(const Services&, Call&);
void SlotAction(const Services&, Call&);
void Props(const Services&, Call&);
void KvMethods(const Services&, Call&);

// Starts a generation for a call.
void StartGeneration(const Services& services, Call& call, std::vector<BatchRequest> requests,
                     std::unique_ptr<Dialect> dialect, bool stream);
ReplyFacts FactsFor(const Services& services, const Call& call, std::string_view prefix,
                    const ReplyOptions& reply);

}  // namespace kvasir::server
