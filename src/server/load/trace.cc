#include "server/load/trace.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace kvasir::server {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostTokens = 1 << 24;  // of a prompt or an answer

// SplitMix64: every bit of x counts in every bit of the result.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0;
  for (const char c : text) hash = Mix(hash + static_cast<unsigned char>(c));
  return hash;
}

class LineReader {
 public:
  explicit LineReader(const Json& line) : line_(line) {}

  // Absent: `otherwise`; negative: it must be there.
  Result<double> Number(const char* field, double otherwise, double most) const {
    const auto found = line_.find(field);
    if (found == line_.end()) {
      if (otherwise < 0) return Fail("'{}' is missing", field);
      return otherwise;
    }
    if (!found->is_number() || !(found->get<double>() >= 0) || found->get<double>() > most) {
      return Fail("'{}' is {}, not a number from 0 to {:.0f}", field, found->dump(), most);
    }
    return found->get<double>();
  }

  Result<int64_t> Tokens(const char* field) const {
    KV_ASSIGN_OR_RETURN(const double n, Number(field, -1, kMostTokens));
    if (n < 1 || n != std::floor(n)) return Fail("'{}' is {}, not a count of tokens", field, n);
    return static_cast<int64_t>(n);
  }

  Result<std::vector<uint64_t>> Blocks() const {
    const auto found = line_.find("hash_ids");
    if (found == line_.end() || !found->is_array()) return Fail("'hash_ids' is missing or no list");
    std::vector<uint64_t> blocks;
    for (const Json& id : *found) {
      if (id.is_number_integer()) {
        blocks.push_back(id.get<uint64_t>());
      } else if (id.is_string()) {  // some write them in hexadecimal
        blocks.push_back(HashOf(id.get_ref<const std::string&>()));
      } else {
        return Fail("'hash_ids' holds {}, which is no id", id.dump());
      }
    }
    return blocks;
  }

  Result<std::string> Session() const {
    const auto found = line_.find("session");
    if (found == line_.end() || found->is_null()) return "";
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number_integer()) return found->dump();
    return Fail("'session' is {}, not a name", found->dump());
  }

 private:
  const Json& line_;
};

Result<TraceRequest> RequestOf(const LineReader& line, int64_t block_tokens, int64_t most_tokens) {
  constexpr double kMostMs = 1e12;
  TraceRequest request;
  KV_ASSIGN_OR_RETURN(request.at_s, line.Number("timestamp", 0, kMostMs));
  KV_ASSIGN_OR_RETURN(request.gap_s, line.Number("gap", 0, kMostMs));
  request.at_s /= 1000, request.gap_s /= 1000;
  KV_ASSIGN_OR_RETURN(request.n_prompt, line.Tokens("input_length"));
  KV_ASSIGN_OR_RETURN(request.n_answer, line.Tokens("output_length"));
  KV_ASSIGN_OR_RETURN(request.blocks, line.Blocks());
  const int64_t n_blocks = (request.n_prompt + block_tokens - 1) / block_tokens;
  if (std::ssize(request.blocks) != n_blocks) {
    return Fail("'hash_ids' names {} blocks, but {} tokens are {} of {}; --block says how large",
                request.blocks.size(), request.n_prompt, n_blocks, block_tokens);
  }
  if (most_tokens > 0 && request.n_prompt > most_tokens) {
    request.n_prompt = most_tokens;
    request.blocks.resize((most_tokens + block_tokens - 1) / block_tokens);
  }
  return request;
}

}  // namespace

std::vector<int32_t> Trace::PromptOf(size_t request, int32_t n_vocab) const {
  KV_CHECK(n_vocab > kFirstToken);
  const auto& [at, gap, n_prompt, n_answer, blocks] = requests[request];
  std::vector<int32_t> tokens(n_prompt);
  const auto n_free = static_cast<uint64_t>(n_vocab - kFirstToken);
  for (int64_t i = 0; i < n_prompt; ++i) {
    const uint64_t place = Mix(blocks[i / block_tokens]) + static_cast<uint64_t>(i % block_tokens);
    tokens[i] = kFirstToken + static_cast<int32_t>(Mix(place) % n_free);
  }
  return tokens;
}

int64_t Trace::KnownTokens() const {
  std::unordered_set<uint64_t> seen;
  int64_t known = 0;
  for (const TraceRequest& request : requests) {
    const auto is_new = [&](uint64_t block) { return !seen.contains(block); };
    const auto first = std::find_if(request.blocks.begin(), request.blocks.end(), is_new);
    known += std::min(request.n_prompt, (first - request.blocks.begin()) * block_tokens);
    seen.insert(request.blocks.begin(), request.blocks.end());
  }
  return known;
}

int64_t Trace::PromptTokens() const {
  int64_t n = 0;
  for (const TraceRequest& request : requests) n += request.n_prompt;
  return n;
}

Result<Trace> ReadTrace(const std::string& path, int64_t block_tokens, int64_t most_tokens) {
  std::ifstream file(path);
  if (!file) return Fail("cannot read the trace '{}'", path);
  Trace trace;
  trace.block_tokens = block_tokens;
  std::map<std::string, size_t> sessions;
  double begin = INFINITY;
  std::string text;
  for (int64_t number = 1; std::getline(file, text); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto fail = [&](std::string_view what) {
      return Fail("{}: line {}: {}", path, number, what);
    };
    const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail("it is no JSON object");
    const LineReader line(json);
    Result<TraceRequest> request = RequestOf(line, block_tokens, most_tokens);
    if (!request) return fail(request.error().message);
    const Result<std::string> name = line.Session();
    if (!name) return fail(name.error().message);
    const auto [session, is_new] = name->empty()
                                       ? std::pair(sessions.end(), true)
                                       : sessions.try_emplace(*name, trace.sessions.size());
    if (is_new) trace.sessions.emplace_back();
    const size_t of = session == sessions.end() ? trace.sessions.size() - 1 : session->second;
    trace.sessions[of].requests.push_back(trace.requests.size());
    begin = std::min(begin, request->at_s);
    trace.requests.push_back(std::move(*request));
  }
  if (trace.requests.empty()) return Fail("the trace '{}' holds no requests", path);
  for (TraceRequest& request : trace.requests) request.at_s -= begin;
  std::stable_sort(trace.sessions.begin(), trace.sessions.end(),
                   [&](const TraceSession& a, const TraceSession& b) {
                     return trace.requests[a.requests[0]].at_s < trace.requests[b.requests[0]].at_s;
                   });
  return trace;
}

}  // namespace kvasir::server
