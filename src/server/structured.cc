#include "server/structured.h"

namespace kvasir::server {
namespace {

class CallsEnd final : public TokenConstraint {
 public:
  CallsEnd(const LoadedModel& model, const AnswerOptions& options)
      : model_(model), parser_(options) {}

  Status Mask(std::span<float>) override { return {}; }
  Status Accept(int32_t token) override {
    parser_.Push(model_.tokenizer().Decode(std::span(&token, 1), {.text_start = false}));
    return {};
  }
  bool finished() const override { return parser_.over(); }
  std::unique_ptr<TokenConstraint> Copy() const override {
    return std::make_unique<CallsEnd>(*this);
  }

 private:
  const LoadedModel& model_;
  AnswerParser parser_;
};

}  // namespace

std::unique_ptr<TokenConstraint> EndWithCalls(const LoadedModel& model,
                                              const AnswerOptions& options) {
  return std::make_unique<CallsEnd>(model, options);
}

AnswerParser::AnswerParser(const AnswerOptions& options) : reasoning_(options.in_reasoning) {
  if (!options.tools.empty()) {
    calls_.emplace(
        grammar::ToolCallParser::Options{.tools = options.tools,
                                         .tagged_only = options.formed,
                                         .max_calls = options.parallel_calls ? INT_MAX : 1});
  }
}

std::vector<AnswerEvent> AnswerParser::Push(std::string_view text) {
  Add(reasoning_.Push(text));
  return std::exchange(events_, {});
}

std::vector<AnswerEvent> AnswerParser::Finish() {
  Add(reasoning_.Finish());
  if (calls_) Add(calls_->Finish());
  // An answer without calls is as the model wrote it.
  if (n_calls() == 0 && !blank_.empty()) {
    events_.push_back({.kind = AnswerEvent::kContent, .text = std::exchange(blank_, {})});
  }
  return std::exchange(events_, {});
}

void AnswerParser::Add(const ReasoningSplitter::Piece& piece) {
  if (!piece.reasoning.empty()) {
    events_.push_back({.kind = AnswerEvent::kReasoning, .text = piece.reasoning});
  }
  if (calls_) {
    Add(calls_->Push(piece.content));
  } else if (!piece.content.empty()) {
    events_.push_back({.kind = AnswerEvent::kContent, .text = piece.content});
  }
}

void AnswerParser::Add(std::vector<grammar::ToolEvent> events) {
  for (grammar::ToolEvent& event : events) {
    if (event.kind != grammar::ToolEvent::kContent) {
      blank_.clear();
      const bool call = event.kind == grammar::ToolEvent::kCall;
      events_.push_back({.kind = call ? AnswerEvent::kCall : AnswerEvent::kArguments,
                         .text = std::move(event.text),
                         .index = event.index,
                         .id = std::move(event.id),
                         .name = std::move(event.name)});
      continue;
    }
    const size_t n = event.text.find_last_not_of(" \t\r\n") + 1;  // npos + 1 is 0
    if (n > 0) {
      events_.push_back({.kind = AnswerEvent::kContent,
                         .text = std::exchange(blank_, {}) + event.text.substr(0, n)});
    }
    blank_ += event.text.substr(n);
  }
}

ParsedAnswer ParseAnswer(const std::string& text, const AnswerOptions& options) {
  ParsedAnswer answer;
  AnswerParser parser(options);
  const auto take = [&](const std::vector<AnswerEvent>& events) {
    for (const AnswerEvent& event : events) {
      if (event.kind == AnswerEvent::kReasoning) {
        answer.reasoning += event.text;
      } else if (event.kind == AnswerEvent::kContent) {
        answer.content += event.text;
      } else if (event.kind == AnswerEvent::kCall) {
        answer.calls.push_back({event.id, event.name, ""});
      } else {
        answer.calls[event.index].arguments += event.text;
      }
    }
  };
  take(parser.Push(text));
  take(parser.Finish());
  answer.calls_whole = parser.calls_whole();
  return answer;
}

}  // namespace kvasir::server
