// What a client asks of the batching engine, and what it is told.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvasir/kvasir.h"

namespace kvasir {

// A constraint that each answer of a request has for itself. Not thread-safe.
class TokenConstraint : public Constraint {
 public:
  virtual std::unique_ptr<TokenConstraint> Copy() const = 0;
};

// Who asks.
struct Caller {
  std::string tenant = {};  // the name of an API key; "": there are none
  bool admin = false;       // every tenant's slots are open to it
  int64_t parallel = 0;     // answers that are made for the tenant at a time; 0: no limit
  bool MayUse(const std::string& slot_tenant) const { return admin || tenant == slot_tenant; }
};

struct BatchRequest {
  std::vector<int32_t> prompt = {};
  std::string kv = {};       // a spec; empty: the engine's own
  std::string kv_type = {};  // likewise
  int64_t n_tokens = 256;    // most tokens of an answer
  int n_answers = 1;         // each with a seed of its own; the prompt is read once
  std::vector<std::string> stop = {};
  bool ignore_eos = false;
  SamplingOptions sampling = {};
  int top_logprobs = -1;  // -1: no log-probabilities; else those of so many most likely tokens
  bool prompt_logprobs = false;
  bool cache_prompt = true;  // a slot's cache may be gone on from
  int slot = -1;             // -1: the engine chooses
  int priority = 0;          // higher goes first
  std::string tenant = {};   // requests of one are served in turn with those of others
  int64_t most_at_once = 0;  // answers of the tenant; 0: no limit
  std::string salt = {};     // caches of different salts are never shared
  std::string session = {};  // names a conversation; empty: told by its text
  double ttl_s = -1;         // how long the slot's cache is kept for a next turn; < 0: no limit
  std::vector<std::pair<int32_t, int32_t>> pins = {};  // [first, end) of the prompt: never evicted
  int64_t kept_bins = 0;  // parts of the text of which the outcome tells what is kept
  // Requests of a tenant that name the same one are alike: of slots that would serve equally well
  // it gets one that served the last of them.
  std::string affinity = {};
  bool token_ids = false;                                  // events carry the ids of their tokens
  bool figures = false;                                    // and counts and times so far
  bool progress = false;                                   // how far the prompt is read is told
  std::vector<std::string> warnings = {};                  // for each outcome to tell
  std::shared_ptr<const TokenConstraint> constraint = {};  // copied for each answer
};

// A token with its log-probability, of the model's distribution before any sampling option.
struct TokenRecord {
  int32_t id = 0;
  std::string bytes = {};
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top = {};  // the most likely tokens, the best first
};

struct BatchTimes {
  double queue_ms = 0, prompt_ms = 0, first_token_ms = 0, decode_ms = 0, total_ms = 0;
};

// What an answer went on from: what its slot had read, or what was restored from a file.
enum class Reuse : uint8_t { kPrefix, kRestored };
inline constexpr std::array kReuseNames = {"prefix", "restored"};

// How an answer ended.
struct BatchOutcome {
  std::string finish;           // "stop", "length"; "": it was canceled, or it failed
  std::string stop_text;        // the stop text that ended it
  bool eos = false;             // the model ended it
  int64_t n_prompt = 0;         // tokens
  bool first_of_prompt = true;  // the answers to one prompt count it once
  int64_t n_cached = 0;         // of the prompt, that were in a slot's cache
  Reuse reuse = Reuse::kPrefix;
  int64_t n_generated = 0;
  int n_preempted = 0;  // times it had to make room for others
  int slot = -1;        // that keeps its cache
  BatchTimes times;
  KvReport kv;
  int64_t n_evicted = 0;        // entries that were dropped while it was made, of all heads
  std::vector<float> kept_map;  // as asked by kept_bins
  std::vector<std::string> warnings;
};

enum class Refusal : uint8_t {
  kBadRequest,      // the request cannot be served as it is
  kContextTooLong,  // the prompt does not fit into the context
  kNoKvMemory,      // the prompt does not fit into the cache's memory
  kQueueFull,       // now; later it may be
  kNoRoomNow,       // likewise: the cache's memory ran out under it
  kShuttingDown,
  kBusy,    // the slot makes an answer now
  kFailed,  // a fault of ours, or of the machine
};

struct BatchError {
  Refusal refusal = Refusal::kFailed;
  std::string message;
};

struct BatchEvent {
  enum class Kind : uint8_t { kProgress, kPromptRead, kText, kDone, kError } kind = Kind::kText;
  int answer = 0;                        // 0 … n_answers - 1
  std::string text = {};                 // kText: whole characters
  int64_t n_generated = 0;               // tokens so far
  int64_t n_read = 0;                    // kProgress: tokens of the prompt that are read
  std::vector<int32_t> ids = {};         // as asked by token_ids: tokens since the last event
  std::vector<TokenRecord> tokens = {};  // where log-probabilities are wanted: those of the text,
                                         // or of the prompt
  BatchOutcome outcome = {};             // kDone; before, as asked by figures: what is known yet
  BatchError error = {};                 // kError: no event follows, for any answer
};

// Called on the engine's thread, in order; must not block.
using BatchEventFn = std::function<void(BatchEvent)>;

}  // namespace kvasir
