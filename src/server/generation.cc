#include "server/generation.h"

#include <mutex>

namespace kvasir::server {
namespace {

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(BatchEngine& engine, std::shared_ptr<Exchange> exchange,
             std::unique_ptr<Dialect> dialect, bool stream,
             std::function<void(const GenerationFacts&)> on_end)
      : engine_(engine),
        exchange_(std::move(exchange)),
        dialect_(std::move(dialect)),
        stream_(stream),
        on_end_(std::move(on_end)) {}

  void Start(std::vector<BatchRequest> requests) {
    for (BatchRequest& request : requests) {
      for (int i = 0; i < request.n_answers; ++i) {
        choices_.push_back({.index = static_cast<int>(choices_.size())});
      }
      // What is read is charged, also where nobody asked to be told.
      tells_progress_ = request.progress;
      request.progress = true;
    }
    n_open_ = choices_.size();
    const std::shared_ptr<Exchange> exchange = exchange_;  // events may end it while this runs
    const auto id = engine_.Submit(
        std::move(requests),
        [self = shared_from_this()](BatchEvent event) { self->OnEvent(std::move(event)); });
    {
      const std::lock_guard lock(mutex_);
      if (!id) return FailLocked(FromBatch(id.error()));
      id_ = *id;
      if (ended_) CancelLocked();  // it failed while this was on its way
    }
    exchange->OnGone([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Gone();
    });
    const std::lock_guard lock(mutex_);
    if (stream_ && !ended_) BeginLocked();
  }

 private:
  void BeginLocked() {
    if (begun_) return;
    begun_ = true;
    exchange_->Begin(200, "text/event-stream; charset=utf-8",
                     {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}});
    dialect_->Start(events_, choices_.size());
    exchange_->Write(events_.Take());
  }

  // What the dialect makes of an event goes out.
  template <class F>
  void StreamLocked(F&& tell) {
    BeginLocked();
    tell();
    exchange_->Write(events_.Take());
  }

  void OnEvent(BatchEvent event) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    Choice& choice = choices_[event.answer];
    choice.n_generated = event.n_generated;
    switch (event.kind) {
      case BatchEvent::Kind::kError:
        FailLocked(FromBatch(event.error));
        return;
      case BatchEvent::Kind::kProgress:
        NoteRead(choice, event);
        if (tells_progress_) StreamLocked([&] { dialect_->Progress(events_, event); });
        break;
      case BatchEvent::Kind::kPromptRead:
      case BatchEvent::Kind::kText:
        Grow(choice, event);
        break;
      case BatchEvent::Kind::kDone:
        choice.done = true;
        choice.outcome = std::move(event.outcome);
        choice.ids.insert(choice.ids.end(), event.ids.begin(), event.ids.end());
        if (stream_) StreamLocked([&] { dialect_->Last(events_, choice); });
        if (--n_open_ == 0) EndLocked();
    }
  }

  // What the step at hand reads is counted too: a client may go before its end.
  void NoteRead(Choice& choice, const BatchEvent& event) const {
    choice.n_read = std::min(event.n_read + engine_.options().step_rows, event.outcome.n_prompt) -
                    event.outcome.n_cached;
  }

  void Grow(Choice& choice, BatchEvent& event) {
    choice.text += event.text;
    if (stream_) {  // what was told need not be kept
      return StreamLocked([&] { dialect_->Piece(events_, choice, event); });
    }
    choice.ids.insert(choice.ids.end(), event.ids.begin(), event.ids.end());
    auto& tokens = event.kind == BatchEvent::Kind::kPromptRead ? choice.prompt : choice.tokens;
    for (TokenRecord& token : event.tokens) tokens.push_back(std::move(token));
  }

  void EndLocked() {
    TellEndLocked(200);
    if (stream_) {
      dialect_->Finish(events_, choices_);
      exchange_->Write(events_.Take());
      exchange_->End();
    } else {
      exchange_->Send(200, "application/json", Dump(dialect_->Whole(choices_)));
    }
    exchange_.reset();  // the connection goes on
  }

  void FailLocked(const ApiError& error) {
    CancelLocked();
    TellEndLocked(error.status);
    if (begun_) {
      dialect_->Error(events_, error);
      exchange_->Write(events_.Take());
      exchange_->End();
    } else {
      SendError(*exchange_, error, dialect_->ErrorBody(error));
    }
    exchange_.reset();
  }

  void CancelLocked() {
    if (id_ != 0) engine_.Cancel(std::exchange(id_, 0));
  }

  void Gone() {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    CancelLocked();
    TellEndLocked(499);  // as nginx calls it
    exchange_.reset();
  }

  // Before the reply's last byte, so that what follows it finds the figures told.
  void TellEndLocked(int status) {
    ended_ = true;
    GenerationFacts facts{.status = status};
    for (const Choice& choice : choices_) {
      const BatchOutcome& outcome = choice.outcome;
      if (outcome.first_of_prompt) facts.n_prompt += outcome.n_prompt;
      if (outcome.first_of_prompt) facts.n_cached += outcome.n_cached;
      facts.n_generated += choice.done ? outcome.n_generated : choice.n_generated;
      if (!choice.done) {
        facts.n_prompt += choice.n_read;
        continue;
      }
      facts.first_token_ms = std::max(facts.first_token_ms, outcome.times.first_token_ms);
      facts.spec = outcome.kv.spec;
      facts.finish = outcome.finish;
    }
    std::exchange(on_end_, nullptr)(facts);
  }

  BatchEngine& engine_;
  std::shared_ptr<Exchange> exchange_;
  std::mutex mutex_;  // events come on the engine's thread, departures on the connections'
  const std::unique_ptr<Dialect> dialect_;
  const bool stream_;
  std::function<void(const GenerationFacts&)> on_end_;
  std::vector<Choice> choices_;
  uint64_t id_ = 0;  // of the requests; 0: they are not taken yet, or canceled
  EventStream events_;
  size_t n_open_ = 0;
  bool tells_progress_ = false, begun_ = false, ended_ = false;
};

}  // namespace

void SendError(Exchange& exchange, const ApiError& error, const Json& body) {
  HttpHeaders headers;
  if (error.retry_after_s > 0) {
    headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  }
  if (!error.allow.empty()) headers.emplace_back("Allow", error.allow);
  if (error.status == 401) headers.emplace_back("WWW-Authenticate", "Bearer");
  exchange.Send(error.status, "application/json", Dump(body), headers);
}

void Generate(BatchEngine& engine, std::shared_ptr<Exchange> exchange,
              std::vector<BatchRequest> requests, std::unique_ptr<Dialect> dialect, bool stream,
              std::function<void(const GenerationFacts&)> on_end) {
  std::make_shared<Generation>(engine, std::move(exchange), std::move(dialect), stream,
                               std::move(on_end))
      ->Start(std::move(requests));
}

}  // namespace kvasir::server
