#include "server/metrics.h"

#include <fmt/core.h>

namespace kvasir::server {
namespace {

std::string Escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

class Writer {
 public:
  explicit Writer(const std::string& model)
      : label_(fmt::format("model_name=\"{}\"", Escape(model))) {}

  void Head(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void Sample(std::string_view name, double value, const std::string& more = "") {
    text_ += fmt::format("{}{{{}{}{}}} {}\n", name, label_, more.empty() ? "" : ",", more, value);
  }
  void Gauge(std::string_view name, double value, std::string_view help) {
    Head(name, "gauge", help);
    Sample(name, value);
  }
  void Counter(std::string_view name, double value, std::string_view help) {
    Head(name, "counter", help);
    Sample(name, value);
  }
  void Write(std::string_view name, const Histogram& histogram, std::string_view help) {
    Head(name, "histogram", help);
    int64_t sum = 0;
    const std::string bucket = fmt::format("{}_bucket", name);
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
      sum += histogram.counts[i];
      const bool last = i == Histogram::kBounds.size();
      Sample(bucket, static_cast<double>(sum),
             last ? "le=\"+Inf\"" : fmt::format("le=\"{}\"", Histogram::kBounds[i]));
    }
    Sample(fmt::format("{}_sum", name), histogram.sum);
    Sample(fmt::format("{}_count", name), static_cast<double>(histogram.n));
  }
  std::string Take() { return std::move(text_); }

 private:
  const std::string label_;
  std::string text_;
};

double Number(int64_t n) { return static_cast<double>(n); }

double UsedShare(const BatchFigures& b) {
  return b.kv_limit_bytes > 0 ? Number(b.kv_used_bytes) / Number(b.kv_limit_bytes) : 0;
}

void WriteEngine(Writer& out, const BatchFigures& b) {
  out.Gauge("kvasir_requests_running", Number(b.n_running), "Answers being made.");
  out.Gauge("kvasir_requests_waiting", Number(b.n_waiting), "Requests that wait for a slot.");
  out.Gauge("kvasir_kv_limit_bytes", Number(b.kv_limit_bytes), "--kv-memory; 0: no limit.");
  out.Head("kvasir_kv_usage_ratio", "gauge", "Share of --kv-memory in use.");
  out.Sample("kvasir_kv_usage_ratio", UsedShare(b), "tier=\"host\"");
  out.Counter("kvasir_prompt_tokens_total", Number(b.prompt_tokens), "Tokens of prompts.");
  out.Counter("kvasir_generation_tokens_total", Number(b.generated_tokens), "Tokens generated.");
  out.Counter("kvasir_prefix_query_tokens_total", Number(b.prompt_tokens),
              "Prompt tokens looked up in slots' caches.");
  out.Head("kvasir_prefix_hit_tokens_total", "counter",
           "Prompt tokens found there; restored: in a slot that came from a file.");
  for (size_t i = 0; i < kReuseNames.size(); ++i) {
    out.Sample("kvasir_prefix_hit_tokens_total", Number(b.cached_tokens[i]),
               fmt::format("kind=\"{}\"", kReuseNames[i]));
  }
  out.Head("kvasir_reprefill_tokens_total", "counter", "Tokens read a second time.");
  out.Sample("kvasir_reprefill_tokens_total", Number(b.reread_tokens), "cause=\"preemption\"");
  out.Counter("kvasir_preemptions_total", Number(b.preemptions),
              "Answers that made room for others.");
  out.Counter("kvasir_slots_evicted_total", Number(b.evicted_slots),
              "Idle slots that gave up their cache for room.");
  out.Counter("kvasir_steps_total", Number(b.steps), "Passes through the model.");
  out.Counter("kvasir_step_rows_total", Number(b.step_rows), "Rows of all passes.");
  out.Counter("kvasir_requests_canceled_total", Number(b.canceled), "Clients that went early.");
  out.Head("kvasir_request_success_total", "counter", "Answers that ended.");
  const char* const reasons[] = {"stop", "length", "error"};
  for (size_t i = 0; i < b.finished.size(); ++i) {
    out.Sample("kvasir_request_success_total", Number(b.finished[i]),
               fmt::format("finished_reason=\"{}\"", reasons[i]));
  }
  out.Write("kvasir_time_to_first_token_seconds", b.first_token_s, "From the request's arrival.");
  out.Write("kvasir_inter_token_latency_seconds", b.inter_token_s, "Between two tokens.");
  out.Write("kvasir_e2e_request_latency_seconds", b.total_s, "From arrival to the end.");
  out.Write("kvasir_request_queue_time_seconds", b.queue_s, "Until a slot was free.");
  out.Write("kvasir_request_prefill_time_seconds", b.prompt_s, "Reading the prompt.");
  out.Write("kvasir_request_decode_time_seconds", b.decode_s, "From the first token to the last.");
}

// What the caches hold, and what methods dropped of them.
void WriteKv(Writer& out, const BatchFigures& b, const KvFigures& kv) {
  out.Head("kvasir_kv_bytes", "gauge",
           "Bytes of KV pages in use, by tier and codec; changing: of caches in which answers are "
           "made, whose codecs are told when these end.");
  for (const auto& [codec, bytes] : kv.bytes_by_codec) {
    out.Sample("kvasir_kv_bytes", Number(bytes), fmt::format("tier=\"host\",codec=\"{}\"", codec));
  }
  out.Sample("kvasir_kv_bytes", Number(b.kv_suspended_bytes),
             fmt::format("tier=\"suspended\",codec=\"{}\"", KvCounts::kChanging));
  out.Head("kvasir_kv_tokens", "gauge", "Tokens of the texts that slots hold a cache of.");
  for (const auto& [state, n] : kv.tokens) {
    out.Sample("kvasir_kv_tokens", Number(n), fmt::format("state=\"{}\"", state));
  }
  // Heads may keep different numbers of entries: a token is an entry in every one of them.
  out.Head(
      "kvasir_kv_evicted_tokens_total", "counter",
      "Tokens that caches dropped, on average over their heads, as answers told at their end.");
  for (const auto& [key, n] : kv.evicted_entries) {
    out.Sample("kvasir_kv_evicted_tokens_total", Number(n) / Number(kv.n_heads),
               fmt::format("policy=\"{}\",reason=\"{}\"", Escape(key.first), key.second));
  }
  out.Counter("kvasir_kv_compactions_total", Number(kv.compactions),
              "Answers in whose caches something was dropped.");
}

void WriteVllm(Writer& out, const BatchFigures& b) {
  out.Gauge("vllm:num_requests_running", Number(b.n_running), "As vLLM.");
  out.Gauge("vllm:num_requests_waiting", Number(b.n_waiting), "As vLLM.");
  out.Gauge("vllm:kv_cache_usage_perc", UsedShare(b), "As vLLM; 1 is full.");
  out.Counter("vllm:prefix_cache_queries", Number(b.prompt_tokens), "As vLLM.");
  int64_t cached = 0;
  for (const int64_t n : b.cached_tokens) cached += n;
  out.Counter("vllm:prefix_cache_hits", Number(cached), "As vLLM.");
  out.Counter("vllm:num_preemptions_total", Number(b.preemptions), "As vLLM.");
  out.Counter("vllm:prompt_tokens_total", Number(b.prompt_tokens), "As vLLM.");
  out.Counter("vllm:generation_tokens_total", Number(b.generated_tokens), "As vLLM.");
  out.Head("vllm:request_success_total", "counter", "As vLLM.");
  out.Sample("vllm:request_success_total", Number(b.finished[0]), "finished_reason=\"stop\"");
  out.Sample("vllm:request_success_total", Number(b.finished[1]), "finished_reason=\"length\"");
  out.Write("vllm:time_to_first_token_seconds", b.first_token_s, "As vLLM.");
  out.Write("vllm:inter_token_latency_seconds", b.inter_token_s, "As vLLM.");
  out.Write("vllm:e2e_request_latency_seconds", b.total_s, "As vLLM.");
  out.Write("vllm:request_queue_time_seconds", b.queue_s, "As vLLM.");
  out.Write("vllm:request_prefill_time_seconds", b.prompt_s, "As vLLM.");
  out.Write("vllm:request_decode_time_seconds", b.decode_s, "As vLLM.");
}

void WriteLlamaCpp(Writer& out, const BatchFigures& b) {
  const auto rate = [](int64_t n, const Histogram& h) { return h.sum > 0 ? Number(n) / h.sum : 0; };
  out.Gauge("llamacpp:requests_processing", Number(b.n_running), "As llama-server.");
  out.Gauge("llamacpp:requests_deferred", Number(b.n_waiting), "As llama-server.");
  out.Counter("llamacpp:prompt_tokens_total", Number(b.prompt_tokens), "As llama-server.");
  out.Counter("llamacpp:tokens_predicted_total", Number(b.generated_tokens), "As llama-server.");
  out.Gauge("llamacpp:prompt_tokens_seconds", rate(b.prompt_tokens, b.prompt_s),
            "As llama-server.");
  out.Gauge("llamacpp:predicted_tokens_seconds", rate(b.generated_tokens, b.decode_s),
            "As llama-server.");
}

}  // namespace

void HttpCounts::Add(const std::string& route, int status) {
  const std::lock_guard lock(mutex_);
  ++counts_[{route, status}];
}

std::map<std::pair<std::string, int>, int64_t> HttpCounts::Get() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::string MetricsText(const MetricInputs& inputs) {
  Writer out(inputs.model);
  WriteEngine(out, inputs.batch);
  WriteKv(out, inputs.batch, inputs.kv);
  out.Head("kvasir_http_requests_total", "counter", "Replies by route and status.");
  for (const auto& [key, n] : inputs.http) {
    out.Sample("kvasir_http_requests_total", Number(n),
               fmt::format("route=\"{}\",code=\"{}\"", Escape(key.first), key.second));
  }
  out.Gauge("kvasir_http_connections", inputs.n_connections, "Open connections.");
  out.Counter("kvasir_http_connections_refused_total", Number(inputs.n_refused),
              "Connections over the limit.");
  out.Gauge("kvasir_start_time_seconds", inputs.started_at, "Since 1970.");
  if (inputs.aliases.vllm) WriteVllm(out, inputs.batch);
  if (inputs.aliases.llamacpp) WriteLlamaCpp(out, inputs.batch);
  return out.Take();
}

}  // namespace kvasir::server
