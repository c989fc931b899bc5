#include "server/api_keys.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace kvasir::server {
namespace {

constexpr size_t kShortestKey = 8;

// Takes the same time wherever two texts of one length differ.
bool SameText(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

Result<int64_t> Count(std::string_view text, const std::string& place) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number > 0) return number;
  return Fail("{}: '{}' is no whole number above 0", place, text);
}

}  // namespace

Result<std::unique_ptr<ApiKeys>> ApiKeys::Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Fail("--api-key-file {}: cannot be read", path);
  return Parse(text.str(), path);
}

Result<std::unique_ptr<ApiKeys>> ApiKeys::Parse(std::string_view text, const std::string& place) {
  auto keys = std::make_unique<ApiKeys>();
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string at = fmt::format("{} line {}", place, number);
    std::istringstream words(line.substr(0, line.find('#')));
    Key key;
    if (!(words >> key.key)) continue;
    if (key.key.size() < kShortestKey) {
      return Fail("{}: a key has {} characters at least", at, kShortestKey);
    }
    key.name = fmt::format("key{}", keys->keys_.size() + 1);
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
      if (name == "name" && !value.empty()) {
        key.name = value;
      } else if (word == "admin") {
        key.admin = true;
      } else if (name == "parallel") {
        KV_ASSIGN_OR_RETURN(key.parallel, Count(value, at));
      } else if (name == "tokens_per_minute") {
        KV_ASSIGN_OR_RETURN(key.tokens_per_minute, Count(value, at));
      } else {
        return Fail("{}: '{}': write name=…, admin, parallel=N or tokens_per_minute=N", at, word);
      }
    }
    key.tokens_left = static_cast<double>(key.tokens_per_minute);
    for (const Key& other : keys->keys_) {
      if (other.key == key.key || other.name == key.name) {
        return Fail("{}: the key or the name '{}' is there twice", at, key.name);
      }
    }
    keys->keys_.push_back(std::move(key));
  }
  if (keys->keys_.empty()) return Fail("{}: no key in it", place);
  return keys;
}

ApiResult<Caller> ApiKeys::Admit(std::string_view authorization) const {
  if (keys_.empty()) return Caller{};
  constexpr std::string_view kScheme = "bearer ";  // in any case: RFC 9110, section 11.1
  const auto same = [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); };
  if (authorization.size() > kScheme.size() &&
      std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), same)) {
    authorization.remove_prefix(kScheme.size());
  }
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (SameText(key.key, authorization)) found = &key;
  }
  if (found != nullptr) {
    return Caller{.tenant = found->name, .admin = found->admin, .parallel = found->parallel};
  }
  return Refuse({.status = 401,
                 .message = authorization.empty()
                                ? "an API key is needed: send 'Authorization: Bearer KEY'"
                                : "this API key is not known",
                 .code = "invalid_api_key"});
}

ApiKeys::Key* ApiKeys::Find(const std::string& tenant) {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.name == tenant; });
  return found == keys_.end() ? nullptr : &*found;
}

ApiResult<void> ApiKeys::Begin(const std::string& tenant, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Key* key = Find(tenant);
  if (key == nullptr) return {};
  const auto refuse = [](std::string message, int seconds) {
    return Refuse({.status = 429,
                   .message = std::move(message),
                   .code = "quota_exceeded",
                   .retry_after_s = seconds});
  };
  if (key->parallel > 0 && key->n_running >= key->parallel) {
    return refuse(fmt::format("this key may have {} requests at a time", key->parallel), 2);
  }
  if (key->tokens_per_minute > 0) {
    const auto rate = static_cast<double>(key->tokens_per_minute);
    if (key->filled_at != Clock::time_point{}) {
      const double minutes = std::chrono::duration<double>(now - key->filled_at).count() / 60;
      key->tokens_left = std::min(rate, key->tokens_left + minutes * rate);
    }
    key->filled_at = now;
    if (key->tokens_left <= 0) {
      const double seconds = 60 * (1 - key->tokens_left) / rate;
      return refuse(fmt::format("this key may use {} tokens a minute", key->tokens_per_minute),
                    static_cast<int>(std::min(3600.0, seconds)) + 1);
    }
  }
  ++key->n_running;
  return {};
}

void ApiKeys::End(const std::string& tenant, int64_t n_tokens) {
  const std::lock_guard lock(mutex_);
  Key* key = Find(tenant);
  if (key == nullptr) return;
  --key->n_running;
  key->tokens_left -= static_cast<double>(n_tokens);
}

}  // namespace kvasir::server
