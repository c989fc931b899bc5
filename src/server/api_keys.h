// ApiKeys: who may ask, and how much. Read from a file, one key a line:
//
//   KEY [name=NAME] [admin] [parallel=N] [tokens_per_minute=N]      # comment
//
// An admin sees, saves, erases and restores the slots of all keys.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"

namespace kvasir::server {

class ApiKeys {
 public:
  using Clock = std::chrono::steady_clock;

  ApiKeys() = default;  // none: everybody may
  static Result<std::unique_ptr<ApiKeys>> Read(const std::string& path);
  static Result<std::unique_ptr<ApiKeys>> Parse(std::string_view text, const std::string& place);

  bool open() const { return keys_.empty(); }
  // Who sends "Bearer KEY" (or a bare KEY); tenant "" where there are no keys; an error 401.
  ApiResult<Caller> Admit(std::string_view authorization) const;
  // A request of the tenant begins: an error 429 where its quota is used up. End gives it back, and
  // charges the tokens.
  ApiResult<void> Begin(const std::string& tenant, Clock::time_point now = Clock::now());
  void End(const std::string& tenant, int64_t n_tokens);

 private:
  struct Key {
    std::string key, name;
    bool admin = false;
    int64_t parallel = 0, tokens_per_minute = 0;  // 0: no limit
    int64_t n_running = 0;
    double tokens_left = 0;
    Clock::time_point filled_at = {};
  };
  Key* Find(const std::string& tenant);

  std::vector<Key> keys_;
  std::mutex mutex_;  // guards what changes in keys_
};

}  // namespace kvasir::server
