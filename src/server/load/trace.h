// Traces of requests whose prompts have beginnings in common, as published (Mooncake's and those of
// coding agents). A line of JSON each:
//   {"timestamp": ms, "input_length": tokens, "output_length": tokens, "hash_ids": [block, …]}
// Equal ids are equal blocks of a prompt. Ours may name a "session", whose requests wait for each
// other's answers, and the "gap" in ms from an answer to the next of them: a tool at work.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/load/load.h"

namespace kvasir::server {

struct TraceRequest {
  double at_s = 0;  // since the first of all; of a session's later ones: not before
  double gap_s = 0;
  int64_t n_prompt = 0, n_answer = 0;
  std::vector<uint64_t> blocks;  // each of block_tokens, the last one perhaps of fewer
};

struct TraceSession {
  std::vector<size_t> requests;  // in turn
};

struct Trace {
  int64_t block_tokens = 512;
  std::vector<TraceRequest> requests;  // in the order of the file
  std::vector<TraceSession> sessions;  // by their beginnings; a request without one is its own

  // Tokens [n_prompt] below n_vocab: each a hash of its block and its place there.
  // REQUIRES: n_vocab > kFirstToken.
  std::vector<int32_t> PromptOf(size_t request, int32_t n_vocab) const;
  // Prompt tokens in blocks that lead a prompt and that an earlier line had: what need not be read
  // again by who forgets nothing.
  int64_t KnownTokens() const;
  int64_t PromptTokens() const;
};
inline constexpr int32_t kFirstToken = 256;  // below are bytes and marks in most vocabularies

// most_tokens: of a prompt, its end is cut off; 0: any. An error names the line and the field.
Result<Trace> ReadTrace(const std::string& path, int64_t block_tokens, int64_t most_tokens);

struct TraceOptions {
  double speed = 1;       // 2: times and gaps are halved
  int64_t n_at_once = 0;  // sessions; the next begins when one has ended. 0: by their times
};

struct TraceRun {
  std::vector<LoadedRequest> requests;  // those that were sent, in the order of the file
  std::vector<double> sessions_s;       // of those that came to their end, from first to last
  int64_t n_broken = 0;  // sessions that a request failed in: what followed was not sent
};

// `ask` is called by several threads.
TraceRun RunTrace(const Trace& trace, const TraceOptions& options, const AskFn& ask,
                  const std::function<bool()>& stop,
                  const std::function<void(int64_t n_done)>& progress);

// What a run shows of reuse and of sessions: beside the figures of its requests (load_figures.h).
nlohmann::ordered_json TraceJson(const Trace& trace, const TraceRun& run);
std::string TraceText(const Trace& trace, const TraceRun& run);

}  // namespace kvasir::server
