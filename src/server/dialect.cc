#include "server/dialect.h"

#include <chrono>
#include <cmath>
#include <random>

namespace kvasir::server {

Json UsageJson(std::span<const Choice> choices, int64_t n_reasoning) {
  int64_t n_prompt = 0, n_generated = 0, n_cached = 0;
  for (const Choice& choice : choices) {
    n_generated += choice.outcome.n_generated;
    n_prompt += choice.outcome.first_of_prompt ? choice.outcome.n_prompt : 0;
    n_cached += choice.outcome.first_of_prompt ? choice.outcome.n_cached : 0;
  }
  return {{"prompt_tokens", n_prompt},
          {"completion_tokens", n_generated},
          {"total_tokens", n_prompt + n_generated},
          {"prompt_tokens_details", {{"cached_tokens", n_cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", n_reasoning}}}};
}

Json TimingsJson(const BatchOutcome& outcome) {
  const auto per = [](double a, double b) { return b > 0 ? a / b : 0.0; };
  const auto n_read = static_cast<double>(outcome.n_prompt - outcome.n_cached);
  const auto n_made = static_cast<double>(outcome.n_generated);
  const BatchTimes& times = outcome.times;
  return {{"cache_n", outcome.n_cached},
          {"prompt_n", outcome.n_prompt - outcome.n_cached},
          {"prompt_ms", times.prompt_ms},
          {"prompt_per_token_ms", per(times.prompt_ms, n_read)},
          {"prompt_per_second", per(1000 * n_read, times.prompt_ms)},
          {"predicted_n", outcome.n_generated},
          {"predicted_ms", times.decode_ms},
          {"predicted_per_token_ms", per(times.decode_ms, n_made)},
          {"predicted_per_second", per(1000 * n_made, times.decode_ms)},
          {"queue_ms", times.queue_ms},
          {"first_token_ms", times.first_token_ms}};
}

Json ProgressJson(const BatchEvent& event) {
  return {{"total", event.outcome.n_prompt},
          {"cache", event.outcome.n_cached},
          {"processed", event.n_read},
          {"time_ms", event.outcome.times.prompt_ms}};
}

void AddExtras(Json& chunk, const ReplyOptions& options, const BatchEvent& event) {
  if (!event.ids.empty()) chunk["choices"][0]["tokens"] = event.ids;
  if (options.timings_per_token) chunk["timings"] = TimingsJson(event.outcome);
}

Json KvJson(const BatchOutcome& outcome) {
  const KvReport& kv = outcome.kv;
  Json json = {{"spec", kv.spec},
               {"reads_as", kv.reads_as},
               {"entries", kv.entries},
               {"entries_full", kv.entries_full},
               {"entries_evicted", std::max<int64_t>(0, kv.entries_full - kv.entries)},
               {"bytes", kv.bytes},
               {"bytes_full", kv.bytes_full},
               {"by_codec", kv.by_codec},
               {"by_tier", kv.by_tier},
               {"read_entries_per_step", kv.read_entries_per_step},
               {"reused_tokens", Json::object()},
               {"slot", outcome.slot},
               {"preempted", outcome.n_preempted},
               {"warnings", outcome.warnings}};
  for (const char* kind : kReuseNames) json["reused_tokens"][kind] = 0;
  json["reused_tokens"][kReuseNames[static_cast<size_t>(outcome.reuse)]] = outcome.n_cached;
  if (!outcome.kept_map.empty()) {
    Json& map = json["kept_map"] = Json::array();
    for (const float share : outcome.kept_map) map.push_back(std::round(share * 1000.0) / 1000);
  }
  return json;
}

Json BytesJson(const std::string& bytes) {
  Json values = Json::array();
  for (const char c : bytes) values.push_back(static_cast<uint8_t>(c));
  return values;
}

int64_t TokenCount(const LoadedModel& model, const std::string& text) {
  return text.empty() ? 0 : static_cast<int64_t>(model.Tokenize(text, false).size());
}

std::string RandomId(std::string_view prefix) {
  std::random_device device;
  return fmt::format("{}{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

int64_t UnixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace kvasir::server
