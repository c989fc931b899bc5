// Result<T>: a value or an Error, for everything the outside world can make go wrong (files, specs,
// requests, memory limits). Broken invariants are KV_CHECKs. Our own code throws nothing.
#pragma once

#include <fmt/core.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace kvasir {

// What was wrong, where, and what would be right; one line.
struct Error {
  std::string message;
};

template <class T>
struct [[nodiscard]] Result : tl::expected<T, Error> {
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

// return Fail("{}: truncated at byte {}", path, n);
template <class... Args>
tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...)});
}

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace kvasir

#define KV_CONCAT_INNER(a, b) a##b
#define KV_CONCAT(a, b) KV_CONCAT_INNER(a, b)

// Leaves the enclosing function with the error of `expr`, if it has one.
#define KV_RETURN_IF_ERROR(expr)                                               \
  do {                                                                         \
    auto kv_status = (expr);                                                   \
    if (!kv_status) return tl::unexpected<::kvasir::Error>(kv_status.error()); \
  } while (false)

// KV_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
#define KV_ASSIGN_OR_RETURN(lhs, expr) KV_ASSIGN_IMPL(KV_CONCAT(kv_result_, __LINE__), lhs, expr)
#define KV_ASSIGN_IMPL(result, lhs, expr)                                         \
  auto result = (expr);                                                           \
  if (!result) return tl::unexpected<::kvasir::Error>(std::move(result).error()); \
  lhs = std::move(*result)

// An invariant of our own code: aborts with a message, in release too. Never reachable by input.
#define KV_CHECK(condition) \
  ((condition) ? (void)0 : ::kvasir::CheckFailed(#condition, __FILE__, __LINE__))
