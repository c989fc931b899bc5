// Console: what the commands print. Standard output carries the result only; everything else goes
// to standard error, and only as far as --quiet and --log-level allow.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir::cli {

class Args;

enum class LogLevel : uint8_t { kError, kWarn, kInfo, kDebug };

class Console {
 public:
  Console(LogLevel level, bool json);
  static Console For(const Args& args);

  bool json() const { return json_; }
  bool wrote() const { return wrote_; }  // something of the result
  // The result. A write that fails is remembered for Close.
  void Write(std::string_view text);
  void WriteJson(const nlohmann::ordered_json& document);
  // An error where some of the result could not be written (a full disk).
  Status Close();

  // One line each: "kvasir: warning: …", "kvasir: …".
  void Warn(std::string_view message);
  void Info(std::string_view message);
  void Debug(std::string_view message);
  // Lines that end a command's work.
  void Statistics(std::string_view block);

  bool shows_progress() const { return level_ >= LogLevel::kInfo && error_is_terminal_; }
  // "\x1b[2m" and its like on standard error; empty where colours are not wanted.
  std::string_view Colour(std::string_view code) const;

 private:
  LogLevel level_;
  bool json_, error_is_terminal_, colours_, wrote_ = false;
  int write_error_ = 0;  // errno
};

// A bar on standard error, drawn only where that is a terminal; gone when the object is.
class ProgressBar {
 public:
  ProgressBar(const Console& console, std::string label) : console_(console), label_(label) {}
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void Show(int64_t done, int64_t total);
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;
  const Console& console_;
  const std::string label_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_at_;
  bool drawn_ = false;
};

// "kvasir: message" on standard error.
void PrintError(std::string_view message);

}  // namespace kvasir::cli
