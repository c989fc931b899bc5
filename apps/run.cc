// kvasir run: reads a prompt, continues it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Figures {
  int64_t n_prompt = 0;
  double prefill_ms = 0;
  Generation answer;
  KvReport kv;

  bool has_first_token() const {
    return !answer.ids.empty() || answer.stop_reason != "interrupted";
  }
  double ttft_ms() const { return prefill_ms + answer.first_token_ms; }
  double prefill_tok_s() const {
    return prefill_ms > 0 ? 1000 * static_cast<double>(n_prompt) / prefill_ms : 0;
  }
};

nlohmann::ordered_json RunJson(const Figures& run) {
  using Json = nlohmann::ordered_json;
  Json json = {{"text", run.answer.text},
               {"ids", run.answer.ids},
               {"prompt_tokens", run.n_prompt},
               {"generated_tokens", run.answer.ids.size()},
               {"stop_reason", run.answer.stop_reason},
               {"ttft_ms", run.has_first_token() ? Json(run.ttft_ms()) : Json()},
               {"prefill_tok_s", run.prefill_tok_s()},
               {"decode_tok_s", run.answer.decode_tok_s},
               {"kv", KvJson(run.kv)},
               {"rss_peak_bytes", PeakRssBytes()}};
  if (!run.answer.error.empty()) json["error"] = run.answer.error;
  return json;
}

std::string StatisticsBlock(const Figures& run) {
  return fmt::format(
      "\nprompt     {} tokens, {:.1f} tokens/s{}\n"
      "generated  {} tokens, {:.1f} tokens/s, stopped by {}\n"
      "KV cache   {}  [{}]\n"
      "memory     {} peak RSS\n",
      run.n_prompt, run.prefill_tok_s(),
      run.has_first_token() ? fmt::format(", first token after {:.0f} ms", run.ttft_ms()) : "",
      run.answer.ids.size(), run.answer.decode_tok_s, run.answer.stop_reason, KvLine(run.kv),
      SpecText(run.kv), BytesText(PeakRssBytes()));
}

// What --json-schema or --grammar asks of the answer; null: nothing.
Result<std::unique_ptr<Constraint>> ConstraintOf(const Args& args, const Model& model) {
  for (const auto& [flag, make] : {std::pair("json-schema", &Constraint::FromJsonSchema),
                                   std::pair("grammar", &Constraint::FromGrammar)}) {
    if (!args.Given(flag)) continue;
    KV_ASSIGN_OR_RETURN(const std::string text, ReadText(args.Text(flag)));
    auto constraint = make(model, text);
    if (!constraint) {
      return Fail("--{} {}: {}", flag, args.Text(flag), constraint.error().message);
    }
    return constraint;
  }
  return std::unique_ptr<Constraint>();
}

// Prefill and generation. An interruption is no error: it leaves what was made so far, and so does
// an error while generating.
Result<Figures> Work(Context& context, Session& session, std::span<const int32_t> prompt,
                     Constraint* constraint) {
  Figures run;
  const Clock::time_point start = Clock::now();
  const Status fed = FeedPrompt(context, session, prompt);
  run.prefill_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  run.n_prompt = std::ssize(session.tokens());  // none where it was interrupted
  run.kv = session.kv();
  if (Interrupt::Pending()) {
    run.answer.stop_reason = "interrupted";
    return run;
  }
  KV_RETURN_IF_ERROR(fed);
  GenerateOptions options = GenerateOptionsOf(context.args);
  options.constraint = constraint;
  options.on_text = [&](std::string_view text) {
    if (!context.console.json()) context.console.Write(text);
    return !Interrupt::Pending();
  };
  KV_ASSIGN_OR_RETURN(run.answer, Generate(session, options));
  run.kv = session.kv();
  return run;
}

}  // namespace

Result<int> RunCommand(Context& context) {
  const std::string problem = PromptProblem(context.args);
  if (!problem.empty()) return WrongUsage(context, "{}", problem);
  if (context.args.Given("json-schema") && context.args.Given("grammar")) {
    return WrongUsage(context, "--json-schema and --grammar: one of them");
  }
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<Constraint> constraint,
                      ConstraintOf(context.args, *model));
  WarnAboutContext(context, model->facts());
  KV_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, PromptTokens(context.args, *model));
  const int64_t length =
      std::ssize(prompt) + std::min<int64_t>(context.args.Int("max-tokens"), INT32_MAX);
  KV_ASSIGN_OR_RETURN(
      const std::unique_ptr<Session> session,
      Session::Open(model, SessionOptionsOf(context.args, context.args.Text("kv"), length)));

  auto run = Work(context, *session, prompt, constraint.get());
  if (!context.console.json() && context.console.wrote()) context.console.Write("\n");
  KV_RETURN_IF_ERROR(run);
  if (context.console.json()) {
    context.console.WriteJson(RunJson(*run));
  } else {
    context.console.Statistics(StatisticsBlock(*run));
  }
  if (constraint != nullptr && run->answer.stop_reason != "eos") {
    context.console.Warn("the answer was cut off before its form was complete");
  }
  if (run->answer.context_full) {
    context.console.Warn(
        fmt::format("the context of {} tokens is full; --ctx N gives more room, --kv "
                    "\"streaming:budget=1024\" goes on in less memory",
                    session->ctx()));
  }
  if (!run->answer.error.empty()) return Fail("{}", run->answer.error);
  return Interrupt::Pending() ? kExitInterrupted : kExitDone;
}

}  // namespace kvasir::cli
