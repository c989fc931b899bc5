#include "eval/prompt.h"

#include <algorithm>

namespace kvasir::eval {
namespace {

// What a template cannot change: letters only, and no word of any text.
constexpr std::string_view kSeparator = "KvasirSplitsHereKvasirSplitsHere";

// The tokens of a text that starts a prompt. BOS is not doubled where the template wrote it.
std::vector<int32_t> TokenizeStart(const Model& model, const std::string& text) {
  std::vector<int32_t> plain = model.Tokenize(text, false);
  std::vector<int32_t> with_bos = model.Tokenize(text, true);
  const bool doubled = with_bos.size() > plain.size() && !plain.empty() && plain[0] == with_bos[0];
  return doubled ? plain : with_bos;
}

// What the template writes around the words of messages, all of which say kSeparator.
Result<std::vector<std::string>> Around(const Model& model, const std::vector<Message>& messages) {
  KV_ASSIGN_OR_RETURN(const std::string text, model.RenderChat(messages));
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at = text.find(kSeparator); at != std::string::npos;
       at = text.find(kSeparator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + kSeparator.size();
  }
  parts.push_back(text.substr(begin));
  if (parts.size() != messages.size() + 1) {
    return Fail("the chat template does not write each message once; --raw goes without it");
  }
  return parts;
}

void Append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

Result<Frame> FrameOf(const Model& model, Wrap wrap) {
  if (wrap == Wrap::kNone) return Frame{.head = "", .suffix = "", .between = "\n\n"};
  if (wrap == Wrap::kLine) return Frame{.head = "", .suffix = "\n", .between = "\n\n"};
  const std::string said(kSeparator);
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> once, Around(model, {{"user", said}}));
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> twice,
                      Around(model, {{"user", said}, {"assistant", said}, {"user", said}}));
  return Frame{.head = once[0], .suffix = once[1], .between = twice[2]};
}

Result<PromptParts> PromptOf(const Model& model, const Sample& sample, size_t turn, Scope scope) {
  KV_CHECK(turn < sample.turns.size());
  const Turn& asked = sample.turns[turn];
  KV_ASSIGN_OR_RETURN(const Frame frame, FrameOf(model, sample.wrap));
  const std::string left = frame.head + sample.context;
  PromptParts parts;
  parts.read = TokenizeStart(model, left);
  std::vector<Span> bytes = asked.evidence;
  for (Span& span : bytes) {
    span.begin += frame.head.size();
    span.end += frame.head.size();
  }
  parts.evidence = TokensOfBytes(model, left, parts.read, bytes);
  if (IsConversation(sample, scope)) {
    Append(parts.read, model.Tokenize(sample.turns[0].question, false));
    std::string rest = frame.suffix + asked.answer_prefix;
    if (turn > 0) rest = frame.between + asked.question + rest;
    parts.rest = model.Tokenize(rest, false);
    return parts;
  }
  const std::vector<int32_t> question = model.Tokenize(asked.question, false);
  const std::vector<int32_t> suffix = model.Tokenize(frame.suffix + asked.answer_prefix, false);
  Append(scope == Scope::kContext ? parts.rest : parts.read, question);
  Append(scope == Scope::kAll ? parts.read : parts.rest, suffix);
  return parts;
}

std::vector<TokenSpan> TokensOfBytes(const Model& model, std::string_view text,
                                     std::span<const int32_t> ids, std::span<const Span> bytes) {
  if (bytes.empty()) return {};
  // Byte where each token ends. A token is decoded behind the first one: the first word of a text
  // may lose a space that the others keep.
  std::vector<size_t> ends;
  std::vector<int32_t> pair = {ids.empty() ? 0 : ids[0], 0};
  const size_t first = model.Detokenize(std::span(pair).first(1)).size();
  size_t at = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    pair[1] = ids[i];
    at += i == 0 ? first : model.Detokenize(pair).size() - first;
    ends.push_back(at);
  }
  // A BOS that the text does not have stands before it.
  const size_t extra = at > text.size() ? at - text.size() : 0;
  if (at != text.size() && (ids.empty() || extra != first)) return {};
  std::vector<TokenSpan> spans;
  for (const Span& span : bytes) {
    const auto begin = std::upper_bound(ends.begin(), ends.end(), span.begin + extra);
    const auto end = std::lower_bound(begin, ends.end(), span.end + extra);
    spans.push_back(
        {begin - ends.begin(), std::min(end - ends.begin() + 1, ends.end() - ends.begin())});
  }
  return spans;
}

}  // namespace kvasir::eval
