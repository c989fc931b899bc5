#include "grammar/tool_calls.h"

#include <algorithm>
#include <optional>
#include <random>

namespace kvasir::grammar {
namespace {

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>",
                           kPython = "<|python_tag|>";

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// What a JSON string says, given what is between its quotes; nullopt: that is no JSON.
std::optional<std::string> Unescaped(const std::string& written) {
  const Json value = Json::parse("\"" + written + "\"", nullptr, /*allow_exceptions=*/false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// How many bytes at the end begin a character that is not complete.
size_t UnfinishedBytes(std::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const auto byte = static_cast<uint8_t>(text[text.size() - n]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > n ? n : 0;
  }
  return 0;
}

std::string RandomId() {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

}  // namespace

ToolCallParser::ToolCallParser(Options options) : options_(std::move(options)) {
  if (!options_.make_id) options_.make_id = RandomId;
}

std::vector<ToolEvent> ToolCallParser::Push(std::string_view text) {
  for (const char c : text) Feed(c);
  CutCharacters();
  return std::exchange(events_, {});
}

std::vector<ToolEvent> ToolCallParser::Finish() {
  const bool tagged = form_ == Form::kHermes || form_ == Form::kPython;
  const bool in_call = state_ == State::kTagged || state_ == State::kObject;
  if (state_ == State::kObject && named_) {
    // The call was cut off: its arguments are what there is of them.
    cut_off_ = !has_arguments_ || part_ != Part::kCommaOrEnd;
    if (part_ == Part::kInString && role_ == Role::kArguments)
      Argument(Unescaped(value_).value_or(value_));
  } else if (state_ == State::kClosing && kClose.starts_with(Trimmed(held_))) {
    // Nothing was lost but the closing tag.
  } else if ((in_call && tagged) || (n_calls_ > 0 && (in_call || state_ == State::kMarker))) {
    // A call that was cut off before its name: its marks are nothing to read.
  } else if (state_ != State::kBetween) {
    Emit(ToolEvent::kContent, held_);
  }
  held_.clear();
  if (!tail_.empty()) Emit(tail_of_.kind, "");
  state_ = State::kStart;
  return std::exchange(events_, {});
}

void ToolCallParser::Emit(ToolEvent::Kind kind, std::string_view text) {
  const int index = kind == ToolEvent::kContent ? 0 : n_calls_ - 1;
  if (!tail_.empty()) {  // goes to where it came from
    ToolEvent event = std::exchange(tail_of_, {});
    event.text = std::exchange(tail_, {});
    events_.push_back(std::move(event));
  }
  if (text.empty()) return;
  if (events_.empty() || events_.back().kind != kind || events_.back().index != index)
    events_.push_back({.kind = kind, .index = index});
  events_.back().text += text;
}

void ToolCallParser::CutCharacters() {
  if (events_.empty() || events_.back().kind == ToolEvent::kCall) return;
  ToolEvent& last = events_.back();
  const size_t n = UnfinishedBytes(last.text);
  if (n == 0) return;
  tail_of_ = {.kind = last.kind, .index = last.index};
  tail_ = last.text.substr(last.text.size() - n);
  last.text.erase(last.text.size() - n);
  if (last.text.empty()) events_.pop_back();
}

void ToolCallParser::Feed(char c) {
  switch (state_) {
    case State::kStart:
      held_ += c;
      if (IsSpace(c)) return;
      if ((c == '{' || c == '[') && !options_.tagged_only) {
        form_ = c == '{' ? Form::kPlain : Form::kArray;
        if (c == '{') return BeginObject();
        state_ = State::kTagged;
        return;
      }
      held_.pop_back();
      if (c == '<') {
        state_ = State::kMarker;
        held_ += c;
        return;
      }
      Emit(ToolEvent::kContent, std::exchange(held_, {}));
      state_ = State::kContent;
      return Feed(c);
    case State::kContent:
      if (c == '<') {
        state_ = State::kMarker;
        held_ = c;
        return;
      }
      return Emit(ToolEvent::kContent, std::string_view(&c, 1));
    case State::kMarker:
      return FeedMarker(c);
    case State::kTagged:
      if (IsSpace(c)) {
        held_ += c;
      } else if (c == '{') {
        held_ += c;
        BeginObject();
      } else {
        Fail(c);
      }
      return;
    case State::kObject:
      return FeedObject(c);
    case State::kClosing:
      return FeedClosing(c);
    case State::kBetween:
      return FeedBetween(c);
    case State::kOver:
      return;
  }
}

// held_: white space (at the start, or after a call), then what may become a marker.
void ToolCallParser::FeedMarker(char c) {
  const size_t start = held_.find('<');
  const std::string marker = held_.substr(start) + c;
  for (const auto& [text, form] :
       {std::pair(kOpen, Form::kHermes), std::pair(kPython, Form::kPython)}) {
    if (!text.starts_with(marker)) continue;
    held_ += c;
    if (marker.size() == text.size()) {
      form_ = form;
      state_ = State::kTagged;
    }
    return;
  }
  Fail(c);
}

void ToolCallParser::Fail(char c) {
  Emit(ToolEvent::kContent, std::exchange(held_, {}));
  state_ = State::kContent;
  Feed(c);
}

void ToolCallParser::BeginObject() {
  state_ = State::kObject;
  part_ = Part::kKeyOrEnd;
  named_ = has_arguments_ = false;
  arguments_.clear();
}

void ToolCallParser::FeedObject(char c) {
  if (!named_) held_ += c;
  switch (part_) {
    case Part::kKeyOrEnd:
    case Part::kKey:
      return FeedKeyStart(c);
    case Part::kInKey:
      if (c == '"' && !escaped_) {
        part_ = Part::kColon;
        return;
      }
      escaped_ = c == '\\' && !escaped_;
      key_ += c;
      return;
    case Part::kColon:
      return FeedColon(c);
    case Part::kValue:
      if (IsSpace(c)) return;
      if (c == ',' || c == '}' || c == ']' || c == ':') return LeaveObject(c);
      return FeedValueStart(c);
    case Part::kInString:
      if (c == '"' && !escaped_) return EndString();
      escaped_ = c == '\\' && !escaped_;
      value_ += c;
      return;
    case Part::kInNested:
      return FeedNested(c);
    case Part::kInScalar:
      return FeedScalar(c);
    case Part::kCommaOrEnd:
      return FeedCommaOrEnd(c);
  }
}

// At a character that no such object has: it is read again as what comes after.
void ToolCallParser::LeaveObject(char c) {
  if (!named_) {
    held_.pop_back();
    return Fail(c);
  }
  // The call has been announced; it ends with what was good of it.
  EndCall();
  Feed(c);
}

void ToolCallParser::FeedKeyStart(char c) {
  if (IsSpace(c)) return;
  if (c == '"') {
    key_.clear();
    escaped_ = false;
    part_ = Part::kInKey;
    return;
  }
  if (c == '}' && part_ == Part::kKeyOrEnd) return EndObject();
  LeaveObject(c);
}

void ToolCallParser::FeedColon(char c) {
  if (IsSpace(c)) return;
  if (c != ':') return LeaveObject(c);
  part_ = Part::kValue;
  role_ = Role::kSkipped;
  if (key_ == "name" && !named_) role_ = Role::kName;
  if ((key_ == "arguments" || key_ == "parameters") && !has_arguments_) role_ = Role::kArguments;
}

// Inside an object or an array: its end is where its brackets and strings say.
void ToolCallParser::FeedNested(char c) {
  if (role_ == Role::kArguments) Argument(std::string_view(&c, 1));
  if (in_string_) {
    if (c == '"' && !escaped_) in_string_ = false;
    escaped_ = c == '\\' && !escaped_;
    return;
  }
  if (c == '"') in_string_ = true;
  depth_ += (c == '{' || c == '[') - (c == '}' || c == ']');
  if (depth_ == 0) EndValue();
}

// A number, true, false or null: it ends where something else begins.
void ToolCallParser::FeedScalar(char c) {
  if (!IsSpace(c) && c != ',' && c != '}') {
    value_ += c;
    return;
  }
  if (role_ == Role::kName) return LeaveObject(c);
  if (role_ == Role::kArguments) Argument(value_ == "null" ? "{}" : value_);
  EndValue();
  FeedCommaOrEnd(c);
}

void ToolCallParser::FeedCommaOrEnd(char c) {
  if (IsSpace(c)) return;
  if (c == '}') return EndObject();
  if (c != ',') return LeaveObject(c);
  part_ = Part::kKey;
}

void ToolCallParser::FeedValueStart(char c) {
  value_.clear();
  escaped_ = in_string_ = false;
  if (role_ == Role::kArguments) has_arguments_ = true;
  if (c == '"') {
    part_ = Part::kInString;
  } else if (c == '{' || c == '[') {
    part_ = Part::kInNested;
    depth_ = 1;
    if (role_ == Role::kArguments) Argument(std::string_view(&c, 1));
  } else {
    part_ = Part::kInScalar;
    value_ = c;
  }
}

void ToolCallParser::EndString() {
  if (role_ == Role::kName) {
    TakeName(Unescaped(value_).value_or(""));
    if (state_ != State::kObject) return;
  } else if (role_ == Role::kArguments) {
    // Some models write the arguments as a string of JSON.
    Argument(Unescaped(value_).value_or(value_));
  }
  EndValue();
}

void ToolCallParser::EndValue() { part_ = Part::kCommaOrEnd; }

void ToolCallParser::TakeName(const std::string& name) {
  const bool tagged = form_ == Form::kHermes || form_ == Form::kPython;
  const bool known = std::ranges::find(options_.tools, name) != options_.tools.end();
  if (name.empty() || (!tagged && !known)) {
    Emit(ToolEvent::kContent, std::exchange(held_, {}));
    state_ = State::kContent;
    return;
  }
  named_ = true;
  held_.clear();
  Emit(ToolEvent::kContent, "");  // what is cut off belongs before the call
  events_.push_back(
      {.kind = ToolEvent::kCall, .index = n_calls_++, .id = options_.make_id(), .name = name});
  Emit(ToolEvent::kArguments, std::exchange(arguments_, {}));
}

void ToolCallParser::Argument(std::string_view text) {
  if (named_) {
    Emit(ToolEvent::kArguments, text);
  } else {
    arguments_ += text;
  }
}

void ToolCallParser::EndObject() {
  if (!named_) {
    Emit(ToolEvent::kContent, std::exchange(held_, {}));
    state_ = State::kContent;
    return;
  }
  if (!has_arguments_) Emit(ToolEvent::kArguments, "{}");
  EndCall();
}

void ToolCallParser::EndCall() {
  held_.clear();
  state_ = n_calls_ >= options_.max_calls ? State::kOver
           : form_ == Form::kHermes       ? State::kClosing
                                          : State::kBetween;
}

// held_: what came since the object's end. A brace too many, say, is dropped with the tag after it.
void ToolCallParser::FeedClosing(char c) {
  held_ += c;
  if (held_.ends_with(kClose)) {
    held_.clear();
    state_ = State::kBetween;
  } else if (held_.ends_with(kOpen)) {  // the next call, without an end of this one
    held_ = kOpen;
    state_ = State::kTagged;
  }
}

// held_: white space and separators since the last call.
void ToolCallParser::FeedBetween(char c) {
  const bool separator = form_ == Form::kArray ? c == ',' || c == ']' : c == ';';
  if (IsSpace(c) || (separator && form_ != Form::kHermes)) {
    held_ += c;
  } else if (c == '<') {
    held_ += c;
    state_ = State::kMarker;
  } else if (c == '{' && form_ != Form::kHermes) {
    held_ += c;
    BeginObject();
  } else {
    Fail(c);
  }
}

}  // namespace kvasir::grammar
