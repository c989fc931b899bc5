// AccessLog: one line a request on standard error, as text or JSON, and the exchange that notes
// what became of a reply.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "server/generation.h"
#include "server/server.h"

namespace kvasir::server {

struct LogEntry {
  std::string request_id = {}, peer = {}, method = {}, path = {}, tenant = {};
  int status = 0;
  double ms = 0;
  bool generated = false;  // then facts hold
  GenerationFacts facts = {};
};
std::string LogLine(LogFormat format, const LogEntry& entry);

// Passes everything on, and tells the status once, when the reply is on its way: when it was sent
// whole, or when its stream ended; 499: the client went first.
class ObservedExchange final : public Exchange {
 public:
  ObservedExchange(std::shared_ptr<Exchange> inner, HttpHeaders headers,
                   std::function<void(int status)> on_reply);
  ~ObservedExchange() override;

  void Send(int status, std::string_view type, std::string body,
            const HttpHeaders& headers) override;
  void Begin(int status, std::string_view type, const HttpHeaders& headers) override;
  void Write(std::string data) override { inner_->Write(std::move(data)); }
  void End() override;
  void OnGone(std::function<void()> f) override { inner_->OnGone(std::move(f)); }

 private:
  HttpHeaders With(const HttpHeaders& headers) const;

  const std::shared_ptr<Exchange> inner_;
  const HttpHeaders headers_;  // of every reply
  std::function<void(int status)> on_reply_;
  int status_ = 0;
};

}  // namespace kvasir::server
