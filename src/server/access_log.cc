#include "server/access_log.h"

#include <ctime>

namespace kvasir::server {
namespace {

std::string Timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

// Paths are the client's: nothing in them may forge a line.
std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) out += c > ' ' && c < 0x7f ? c : '?';
  return out;
}

}  // namespace

std::string LogLine(LogFormat format, const LogEntry& entry) {
  if (format == LogFormat::kNone) return "";
  if (format == LogFormat::kJson) {
    Json line = {{"time", Timestamp()},
                 {"request_id", entry.request_id},
                 {"peer", entry.peer},
                 {"method", Printable(entry.method)},
                 {"path", Printable(entry.path)},
                 {"status", entry.status},
                 {"ms", entry.ms}};
    if (!entry.tenant.empty()) line["key"] = entry.tenant;
    if (entry.generated) {
      line["prompt_tokens"] = entry.facts.n_prompt;
      line["cached_tokens"] = entry.facts.n_cached;
      line["generated_tokens"] = entry.facts.n_generated;
      line["first_token_ms"] = entry.facts.first_token_ms;
      line["finish"] = entry.facts.finish;
      line["kv"] = entry.facts.spec;
    }
    return Dump(line) + "\n";
  }
  std::string line =
      fmt::format("{} {} {} {} {} {} {:.1f} ms", Timestamp(), entry.request_id, entry.peer,
                  Printable(entry.method), Printable(entry.path), entry.status, entry.ms);
  if (!entry.tenant.empty()) line += fmt::format(" key={}", entry.tenant);
  if (entry.generated) {
    line += fmt::format(" prompt={} cached={} generated={} first={:.1f} ms finish={} kv=\"{}\"",
                        entry.facts.n_prompt, entry.facts.n_cached, entry.facts.n_generated,
                        entry.facts.first_token_ms, entry.facts.finish, entry.facts.spec);
  }
  return line + "\n";
}

ObservedExchange::ObservedExchange(std::shared_ptr<Exchange> inner, HttpHeaders headers,
                                   std::function<void(int status)> on_reply)
    : inner_(std::move(inner)), headers_(std::move(headers)), on_reply_(std::move(on_reply)) {}

ObservedExchange::~ObservedExchange() {
  if (on_reply_) std::exchange(on_reply_, nullptr)(499);
}

HttpHeaders ObservedExchange::With(const HttpHeaders& headers) const {
  HttpHeaders all = headers_;
  all.insert(all.end(), headers.begin(), headers.end());
  return all;
}

void ObservedExchange::Send(int status, std::string_view type, std::string body,
                            const HttpHeaders& headers) {
  inner_->Send(status, type, std::move(body), With(headers));
  if (on_reply_) std::exchange(on_reply_, nullptr)(status);
}

void ObservedExchange::Begin(int status, std::string_view type, const HttpHeaders& headers) {
  status_ = status;
  inner_->Begin(status, type, With(headers));
}

void ObservedExchange::End() {
  inner_->End();
  if (on_reply_) std::exchange(on_reply_, nullptr)(status_);
}

}  // namespace kvasir::server
