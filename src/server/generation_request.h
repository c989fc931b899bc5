// What all endpoints that generate have in common: sampling, limits, streaming, and the `kv`
// object.
#pragma once

#include <optional>
#include <string>

#include "engine/batch_engine.h"
#include "server/api_error.h"

namespace kvasir::server {

// What requests are measured against.
struct ServedLimits {
  int64_t ctx = 0, n_vocab = 0;
  int n_slots = 1;
  std::string kv = "full";  // where a request names no spec
};
inline ServedLimits LimitsOf(const BatchEngine& engine) {
  return {.ctx = engine.ctx(),
          .n_vocab = engine.model().config().n_vocab,
          .n_slots = engine.options().n_slots,
          .kv = engine.options().kv};
}

// How a reply is wanted.
struct ReplyOptions {
  bool stream = false, include_usage = false;
  bool timings_per_token = false, return_tokens = false;  // as llama-server has them
  std::string model;                                      // as the client called it
};

// Reads the fields that chat and plain completions share into `request` and `reply`; errors stay in
// `fields`. `n_default`: most tokens where the client says nothing.
void ReadGeneration(Fields& fields, const ServedLimits& limits, int64_t n_default,
                    BatchRequest& request, ReplyOptions& reply);

// The seed that the client gave; none, or -1, which is how clients of llama.cpp ask for a random
// one: nothing.
std::optional<uint64_t> ReadSeed(Fields& fields);
uint64_t RandomSeed();
// `kv`: {"spec", "type", "budget", "session", "pin": [[first, end], …], "ttl_s", "salt", "map"}.
void ReadKv(Fields& fields, const ServedLimits& limits, BatchRequest& request);

// A spec in which every method that has a budget has this one.
Result<std::string> WithBudget(const std::string& spec, const std::string& budget);

}  // namespace kvasir::server
