#include "console.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "args.h"

namespace kvasir::cli {
namespace {

bool WantsColours() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org: set and not empty
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  return term != nullptr && std::strcmp(term, "dumb") != 0;
}

// What a file, a model or a user wrote may hold control characters: they are not for the terminal.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return line;
}

}  // namespace

void PrintError(std::string_view message) {
  std::fprintf(stderr, "kvasir: %s\n", OneLine(message).c_str());
}

Console::Console(LogLevel level, bool json)
    : level_(level),
      json_(json),
      error_is_terminal_(isatty(STDERR_FILENO) != 0),
      colours_(error_is_terminal_ && WantsColours()) {}

Console Console::For(const Args& args) {
  constexpr std::string_view kNames[] = {"error", "warn", "info", "debug"};
  const std::string name = args.Text("log-level");
  const auto level = static_cast<LogLevel>(std::find(kNames, std::end(kNames), name) - kNames);
  return Console(args.On("quiet") ? LogLevel::kError : level, args.On("json"));
}

void Console::Write(std::string_view text) {
  if (write_error_ != 0 || text.empty()) return;
  wrote_ = true;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    write_error_ = errno;
  }
}

void Console::WriteJson(const nlohmann::ordered_json& document) {
  // Text of a model need not be UTF-8, JSON must be.
  Write(document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Status Console::Close() {
  if (write_error_ == 0) return {};
  return Fail("cannot write to standard output: {}", std::strerror(write_error_));
}

void Console::Warn(std::string_view message) {
  if (level_ < LogLevel::kWarn) return;
  std::fprintf(stderr, "kvasir: warning: %s\n", OneLine(message).c_str());
}

void Console::Info(std::string_view message) {
  if (level_ < LogLevel::kInfo) return;
  std::fprintf(stderr, "kvasir: %s\n", OneLine(message).c_str());
}

void Console::Debug(std::string_view message) {
  if (level_ < LogLevel::kDebug) return;
  std::fprintf(stderr, "kvasir: %s\n", OneLine(message).c_str());
}

void Console::Statistics(std::string_view block) {
  if (level_ < LogLevel::kInfo) return;
  const std::string text(block);
  std::fprintf(stderr, "%s%s%s", Colour("\x1b[2m").data(), text.c_str(), Colour("\x1b[0m").data());
}

std::string_view Console::Colour(std::string_view code) const { return colours_ ? code : ""; }

void ProgressBar::Show(int64_t done, int64_t total) {
  if (!console_.shows_progress() || total <= 0) return;
  const Clock::time_point now = Clock::now();
  constexpr auto kInterval = std::chrono::milliseconds(100);
  if (drawn_ ? now - drawn_at_ < kInterval : now - start_ < kInterval) return;
  drawn_ = true;
  drawn_at_ = now;
  constexpr int64_t kCells = 24;
  const int64_t full = kCells * done / total;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double left = done > 0 ? seconds * static_cast<double>(total - done) / done : 0;
  std::fprintf(stderr, "\r\x1b[K%s [%s%s] %lld/%lld  %.0f s left", label_.c_str(),
               std::string(full, '#').c_str(), std::string(kCells - full, '.').c_str(),
               static_cast<long long>(done), static_cast<long long>(total), left);
  std::fflush(stderr);
}

void ProgressBar::Clear() {
  if (drawn_) std::fprintf(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace kvasir::cli
