// kvasir score: teacher-forced log-probabilities, and the difference between two specs.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "context.h"
#include "engine/session.h"
#include "eval/distributions.h"
#include "report.h"

namespace kvasir::cli {
namespace {

struct Scores {
  std::vector<int32_t> ids;
  std::vector<double> logprobs;              // of ids[i + 1], in order
  std::vector<std::vector<TokenScore>> top;  // of ids[top_from], ids[top_from + 1], …
  int64_t top_from = 0;
  KvReport kv, kv_against;
  std::vector<double> divergences;  // KL(against || kv) in nats, after the prefix
  int64_t n_top_equal = 0;
};

// One text, one or two sessions that read it side by side, so that no distribution is kept.
class Scorer {
 public:
  Scorer(Context& context, SessionImpl& session, SessionImpl* against)
      : context_(context), session_(session), against_(against), n_top_(context.args.Int("top")) {}

  Result<Scores> Run(std::vector<int32_t> ids, int64_t n_prefix) {
    scores_.ids = std::move(ids);
    const auto n = static_cast<int64_t>(scores_.ids.size());
    // Without a prefix every position but the first, which nothing predicts, is listed.
    const bool listed_in_prefix = n_prefix == n;
    scores_.top_from = listed_in_prefix ? 1 : n_prefix;
    const std::span<const int32_t> prefix = std::span(scores_.ids).first(n_prefix);
    KV_RETURN_IF_ERROR(session_.FeedScored(prefix, [&](int64_t row, std::span<const float> logits) {
      if (row + 1 < n_prefix) Add(row + 1, logits, listed_in_prefix);
    }));
    if (against_ != nullptr) KV_RETURN_IF_ERROR(against_->Feed(prefix, {}));
    Interrupt::EndAtOnce(false);
    ProgressBar bar(context_.console, "scoring");
    for (int64_t i = n_prefix; i < n && !Interrupt::Pending(); ++i) {
      Add(i, session_.logits(), true);
      if (against_ != nullptr) Compare();
      KV_RETURN_IF_ERROR(session_.Step(scores_.ids[i]));
      if (against_ != nullptr) KV_RETURN_IF_ERROR(against_->Step(scores_.ids[i]));
      bar.Show(i - n_prefix + 1, n - n_prefix);
    }
    scores_.kv = session_.kv();
    if (against_ != nullptr) scores_.kv_against = against_->kv();
    return std::move(scores_);
  }

 private:
  // `logits` predict ids[i].
  void Add(int64_t i, std::span<const float> logits, bool listed) {
    const double log_sum = LogSumExp(logits);
    scores_.logprobs.push_back(logits[scores_.ids[i]] - log_sum);
    if (listed && n_top_ > 0) scores_.top.push_back(TopTokens(logits, log_sum, n_top_));
  }
  void Compare() {
    scores_.divergences.push_back(KlDivergence(against_->logits(), session_.logits()));
    scores_.n_top_equal += ArgMax(against_->logits()) == ArgMax(session_.logits());
  }

  Context& context_;
  SessionImpl& session_;
  SessionImpl* const against_;
  const int64_t n_top_;
  Scores scores_;
};

double MeanNll(const Scores& scores) {
  double sum = 0;
  for (const double logprob : scores.logprobs) sum -= logprob;
  return scores.logprobs.empty() ? 0 : sum / static_cast<double>(scores.logprobs.size());
}

nlohmann::ordered_json AgainstJson(const Scores& scores, const std::string& spec) {
  const auto n = static_cast<double>(scores.divergences.size());
  double sum = 0;
  for (const double kl : scores.divergences) sum += kl;
  return {{"spec", spec},
          {"positions", scores.divergences.size()},
          {"kl_mean", n > 0 ? sum / n : 0},
          {"kl_p99", Percentile(scores.divergences, 0.99)},
          {"top1_agreement", n > 0 ? static_cast<double>(scores.n_top_equal) / n : 0},
          {"kv", KvJson(scores.kv_against)}};
}

nlohmann::ordered_json ScoreJson(const Args& args, const Scores& scores) {
  const double nll = MeanNll(scores);
  nlohmann::ordered_json logprobs = nlohmann::json::array({nullptr});
  for (const double logprob : scores.logprobs) logprobs.push_back(logprob);
  nlohmann::ordered_json json = {{"ids", scores.ids},
                                 {"logprobs", std::move(logprobs)},
                                 {"nll", nll},
                                 {"perplexity", std::exp(nll)},
                                 {"kv", KvJson(scores.kv)}};
  if (args.Int("top") > 0) {
    json["top_from"] = scores.top_from;
    json["top"] = nlohmann::json::array();
    for (const std::vector<TokenScore>& position : scores.top) {
      nlohmann::ordered_json row = nlohmann::json::array();
      for (const TokenScore& token : position) {
        row.push_back({{"id", token.id}, {"logprob", token.logprob}});
      }
      json["top"].push_back(std::move(row));
    }
  }
  if (args.Given("against")) json["against"] = AgainstJson(scores, args.Text("against"));
  return json;
}

std::string ScoreText(const Args& args, const Scores& scores) {
  const double nll = MeanNll(scores);
  std::string text = fmt::format(
      "tokens      {}\nnll         {:.6f} nats a token\nperplexity  {:.4f}\nKV cache    {}  [{}]\n",
      scores.ids.size(), nll, std::exp(nll), KvLine(scores.kv), SpecText(scores.kv));
  if (args.Given("against")) {
    const nlohmann::ordered_json against = AgainstJson(scores, args.Text("against"));
    text += fmt::format(
        "against     {}: KL mean {:.6f}, 99th percentile {:.6f} nats; top-1 agreement {:.2f} %\n",
        args.Text("against"), against["kl_mean"].get<double>(), against["kl_p99"].get<double>(),
        100 * against["top1_agreement"].get<double>());
  }
  return text;
}

std::string Problem(const Args& args) {
  const int n_inputs = args.Given("ids") + args.Given("prompt") + args.Given("file");
  if (n_inputs == 0)
    return "nothing to score: give -f FILE (- is standard input), -p TEXT or --ids";
  if (n_inputs > 1) return "one text: -f, -p or --ids";
  if (args.Given("against") && !args.Given("prefix")) {
    return "--against compares what comes after the prompt: give --prefix N";
  }
  return "";
}

Result<std::vector<int32_t>> ScoredTokens(const Args& args, const Model& model) {
  if (args.Given("ids")) return args.Tokens("ids");
  std::string text = args.Text("prompt");
  if (args.Given("file")) {
    KV_ASSIGN_OR_RETURN(text, ReadText(args.Text("file")));
  }
  return model.Tokenize(text);
}

}  // namespace

Result<int> ScoreCommand(Context& context) {
  const Args& args = context.args;
  const std::string problem = Problem(args);
  if (!problem.empty()) return WrongUsage(context, "{}", problem);
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());
  KV_ASSIGN_OR_RETURN(std::vector<int32_t> ids, ScoredTokens(args, *model));
  const auto n = static_cast<int64_t>(ids.size());
  const int64_t n_prefix = args.Int("prefix", n);
  if (n == 0) return Fail("nothing to score: the text has no tokens");
  if (n_prefix > n) return Fail("--prefix {}: the text has only {} tokens", n_prefix, n);

  // Without --prefix no method acts: what they would do at the end of the text changes nothing.
  const bool whole = !args.Given("prefix");
  if (whole && args.Given("kv")) {
    context.console.Warn("--kv acts after a prompt: without --prefix N it changes nothing here");
  }
  const auto loaded = std::static_pointer_cast<LoadedModel>(model);
  KV_ASSIGN_OR_RETURN(
      const std::unique_ptr<SessionImpl> session,
      SessionImpl::Open(loaded, SessionOptionsOf(args, whole ? "full" : args.Text("kv"), n)));
  std::unique_ptr<SessionImpl> against;
  if (args.Given("against")) {
    KV_ASSIGN_OR_RETURN(against,
                        SessionImpl::Open(loaded, SessionOptionsOf(args, args.Text("against"), n)));
  }
  Interrupt::EndAtOnce(true);  // nothing is known before the prompt has been read
  KV_ASSIGN_OR_RETURN(const Scores scores,
                      Scorer(context, *session, against.get()).Run(std::move(ids), n_prefix));
  if (context.console.json()) {
    context.console.WriteJson(ScoreJson(args, scores));
  } else {
    context.console.Write(ScoreText(args, scores));
  }
  return Interrupt::Pending() ? kExitInterrupted : kExitDone;
}

}  // namespace kvasir::cli
