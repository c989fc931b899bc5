#include "model/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

#include "model/tokenizer/regex_syntax.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

constexpr size_t kMaxPattern = 64 << 10;         // bytes; the longest in use has about 1000
constexpr uint32_t kHeapLimitKiB = 64 << 10;     // of the interpreter
constexpr uint32_t kMinMatchLimit = 10'000'000;  // PCRE2's own default
constexpr size_t kJitStackStart = 32 << 10;      // bytes
constexpr size_t kJitStack = 1 << 20;            // bytes
constexpr uint32_t kMaxNesting = 100;            // parentheses

// As in Oniguruma, ^ and $ match at every line.
constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;

}  // namespace

void Regex::Free::operator()(void* code) const { pcre2_code_free(static_cast<pcre2_code*>(code)); }

Result<Regex> Regex::Compile(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxPattern || !IsValidUtf8(pattern)) {
    return Fail("regex: {} bytes: expected valid UTF-8 of 1 to {} bytes", pattern.size(),
                kMaxPattern);
  }
  KV_ASSIGN_OR_RETURN(const std::string text, OnigurumaToPcre(pattern));
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_parens_nest_limit(context, kMaxNesting);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), kOptions,
                                   &error, &offset, context);
  pcre2_compile_context_free(context);
  if (code == nullptr) {
    std::array<char, 160> why{};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(why.data()), why.size());
    return Fail("regex '{}': byte {}: {}", text.substr(0, 200), offset, why.data());
  }
  // Without machine code the interpreter does the same, slower.
  (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  Regex regex;
  regex.code_.reset(code);
  return regex;
}

struct RegexMatcher::State {
  struct Free {
    void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
    void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
    void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
  };
  explicit State(const pcre2_code* regex)
      : code(regex),
        data(pcre2_match_data_create_from_pattern(regex, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(kJitStackStart, kJitStack, nullptr)) {}

  const pcre2_code* code;
  std::unique_ptr<pcre2_match_data, Free> data;
  std::unique_ptr<pcre2_match_context, Free> context;
  std::unique_ptr<pcre2_jit_stack, Free> stack;
};

RegexMatcher::~RegexMatcher() = default;

RegexMatcher::RegexMatcher(const Regex& regex, size_t max_size)
    : state_(std::make_unique<State>(static_cast<const pcre2_code*>(regex.code_.get()))) {
  // One match may cross the whole text and walk back over it once per alternative.
  const uint64_t limit = std::max<uint64_t>(kMinMatchLimit, uint64_t{16} * max_size);
  const uint64_t cap = UINT32_MAX;
  pcre2_set_match_limit(state_->context.get(), static_cast<uint32_t>(std::min(limit, cap)));
  pcre2_set_heap_limit(state_->context.get(), kHeapLimitKiB);
  pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
}

RegexMatcher::Match RegexMatcher::Next(std::string_view text, size_t from) {
  const auto match = [&](uint32_t options) {
    return pcre2_match(state_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, state_->data.get(), state_->context.get());
  };
  int n = match(0);
  if (n == PCRE2_ERROR_JIT_STACKLIMIT) n = match(PCRE2_NO_JIT);
  if (n == PCRE2_ERROR_NOMATCH) return {Outcome::kNone, 0, 0, 0};
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer(state_->data.get());
  // \K in a lookahead can put the start behind the end: no split, and no way on.
  if (n < 0 || span[0] > span[1] || span[0] < from) return {Outcome::kGaveUp, 0, 0, 0};
  size_t next = span[1];
  if (span[0] == span[1]) {  // an empty match: on by a character
    const int length = next < text.size() ? DecodeUtf8(text.substr(next)).length : 1;
    next += static_cast<size_t>(std::max(1, length));
  }
  return {Outcome::kFound, span[0], span[1], next};
}

}  // namespace kvasir
