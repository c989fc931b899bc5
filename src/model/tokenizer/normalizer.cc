#include "model/tokenizer/normalizer.h"

#include <utility>

#include "jinja/unicode.h"
#include "model/tokenizer/nfc.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

using Op = NormalizerStep::Op;

constexpr size_t kMaxSteps = 32;
constexpr size_t kMaxContent = 4096;  // bytes that one place of the text may become

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0;;) {
    const size_t found = text.find(pattern, at);
    out.append(text.substr(at, found - at));
    if (found == std::string_view::npos) return out;
    out.append(content);
    at = found + pattern.size();
  }
}

std::string ReplaceMatches(const std::string& text, const Regex& regex, std::string_view content) {
  if (!IsValidUtf8(text)) return text;  // patterns speak of characters
  std::string out;
  size_t at = 0;
  RegexMatcher matcher(regex, text.size());
  (void)matcher.ForEach(text, [&](size_t begin, size_t end) {
    out.append(text, at, begin - at).append(content);
    at = end;
  });
  return out.append(text, at);
}

size_t LeadingWhiteSpace(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Char c = DecodeUtf8(text.substr(at));
    if (c.length <= 0 || !IsWhiteSpace(c.code)) break;
    at += static_cast<size_t>(c.length);
  }
  return at;
}

size_t WithoutTrailingSpace(std::string_view text) {
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(text.substr(at));
    at += c.length <= 0 ? 1 : static_cast<size_t>(c.length);
    if (c.length <= 0 || !IsWhiteSpace(c.code)) end = at;
  }
  return end;
}

// A sigma at a word's end becomes a small one as any other: no character looks at its neighbours.
std::string Lowercase(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(text.substr(at));
    const size_t length = c.length <= 0 ? 1 : static_cast<size_t>(c.length);
    const std::string_view bytes = text.substr(at, length);
    out += c.length <= 0 ? std::string(bytes) : jinja::Lower(bytes);
    at += length;
  }
  return out;
}

std::string CollapseSpaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out.push_back(c);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

Result<Normalizer> Normalizer::Make(const std::vector<NormalizerStep>& steps) {
  if (steps.size() > kMaxSteps) {
    return Fail("normalizer: {} steps, expected at most {}", steps.size(), kMaxSteps);
  }
  Normalizer made;
  for (const NormalizerStep& step : steps) {
    if (step.op == Op::kReplace && step.pattern.empty()) {
      return Fail("normalizer: an empty pattern to replace");
    }
    if (step.op != Op::kCharsMap && step.content.size() > kMaxContent) {
      return Fail("normalizer: a content of {} bytes, expected at most {}", step.content.size(),
                  kMaxContent);
    }
    Step next{step, {}, {}};
    if (step.op == Op::kReplaceRegex) {
      KV_ASSIGN_OR_RETURN(next.regex, Regex::Compile(step.pattern));
    }
    if (step.op == Op::kCharsMap) {
      KV_ASSIGN_OR_RETURN(next.map, CharsMap::Parse(step.content));
      next.step.content.clear();
    }
    made.steps_.push_back(std::move(next));
  }
  return made;
}

void Normalizer::Do(const Step& s, bool first, std::string& text) {
  switch (s.step.op) {
    case Op::kReplace:
      text = ReplaceAll(text, s.step.pattern, s.step.content);
      break;
    case Op::kReplaceRegex:
      text = ReplaceMatches(text, s.regex, s.step.content);
      break;
    case Op::kPrepend:
    case Op::kPrependFirst:
      if (!text.empty() && (first || s.step.op == Op::kPrepend)) text.insert(0, s.step.content);
      break;
    case Op::kStripLeft:
      text.erase(0, LeadingWhiteSpace(text));
      break;
    case Op::kStripRight:
      text.resize(WithoutTrailingSpace(text));
      break;
    case Op::kCollapseSpaces:
      text = CollapseSpaces(text);
      break;
    case Op::kCharsMap:
      text = s.map.Apply(text);
      break;
    case Op::kNfc:
      text = Normalized(text, NormalForm::kNfc);
      break;
    case Op::kNfd:
      text = Normalized(text, NormalForm::kNfd);
      break;
    case Op::kNfkc:
      text = Normalized(text, NormalForm::kNfkc);
      break;
    case Op::kNfkd:
      text = Normalized(text, NormalForm::kNfkd);
      break;
    case Op::kLowercase:
      text = Lowercase(text);
      break;
  }
}

std::string Normalizer::Apply(std::string_view fragment, bool first) const {
  std::string text(fragment);
  for (const Step& step : steps_) Do(step, first, text);
  return text;
}

bool Normalizer::TakesStart(std::string_view fragment) const {
  const int length = DecodeUtf8(fragment).length;
  std::string text(fragment.substr(0, length <= 0 ? 1 : static_cast<size_t>(length)));
  for (const Step& s : steps_) {
    // At the end of the text there may be other characters, and what is put first is not of it.
    const bool is_other =
        s.step.op == Op::kStripRight || s.step.op == Op::kPrepend || s.step.op == Op::kPrependFirst;
    if (!is_other) Do(s, /*first=*/false, text);
  }
  return text.empty();
}

}  // namespace kvasir
