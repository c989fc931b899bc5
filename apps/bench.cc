// kvasir bench: prefill and decode of several specs, alternating, beside the machine's floors.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "bench_floor.h"
#include "commands.h"
#include "context.h"
#include "engine/loaded_model.h"
#include "eval/distributions.h"
#include "methods/spec.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

struct Row {
  std::string spec;
  bool decode = false;
  int64_t prompt = 0;
  int threads = 0;
  std::vector<double> tok_s, ttft_ms;
  int64_t kv_bytes = 0, rss_peak_bytes = 0;
  double read_bytes_per_token = 0, floor_tok_s = 0;
};

double Ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Json RowJson(const Row& row) {
  return {{"spec", row.spec},
          {"phase", row.decode ? "decode" : "prefill"},
          {"prompt", row.prompt},
          {"depth", row.decode ? row.prompt : 0},
          {"batch", 1},
          {"threads", row.threads},
          {"tok_s_median", Median(row.tok_s)},
          {"tok_s_min", *std::min_element(row.tok_s.begin(), row.tok_s.end())},
          {"tok_s_max", *std::max_element(row.tok_s.begin(), row.tok_s.end())},
          {"ttft_ms", Median(row.ttft_ms)},
          {"kv_bytes", row.kv_bytes},
          {"rss_peak_bytes", row.rss_peak_bytes},
          {"read_bytes_per_token", row.read_bytes_per_token},
          {"floor_tok_s", row.floor_tok_s}};
}

std::string RowsText(const std::vector<Row>& rows) {
  size_t width = 4;
  for (const Row& row : rows) width = std::max(width, row.spec.size());
  std::string text = fmt::format(
      "{:<{}}  {:<8} {:>7} {:>3} {:>9} {:>19} {:>9} {:>8} {:>10} {:>10}\n", "spec", width, "phase",
      "tokens", "thr", "tokens/s", "min .. max", "floor", "of floor", "KV", "peak RSS");
  for (const Row& row : rows) {
    const Json json = RowJson(row);
    const double median = json["tok_s_median"];
    text += fmt::format(
        "{:<{}}  {:<8} {:>7} {:>3} {:>9.1f} {:>8.1f} .. {:>7.1f} {:>9.1f} {:>6.0f} % {:>10} "
        "{:>10}\n",
        row.spec, width, row.decode ? "decode" : "prefill", row.prompt, row.threads, median,
        json["tok_s_min"].get<double>(), json["tok_s_max"].get<double>(), row.floor_tok_s,
        row.floor_tok_s > 0 ? 100 * median / row.floor_tok_s : 0, BytesText(row.kv_bytes),
        BytesText(row.rss_peak_bytes));
  }
  return text;
}

// All figures of one model at one number of threads.
class Bench {
 public:
  Bench(Context& context, std::shared_ptr<Model> model, std::vector<std::string> specs)
      : context_(context),
        model_(std::move(model)),
        specs_(std::move(specs)),
        floors_(static_cast<const LoadedModel&>(*model_).config(), model_->facts()),
        n_gen_(context.args.Int("gen")) {}

  // Adds rows; stops early at Ctrl-C, with what was measured.
  Status Run(ProgressBar& bar, int64_t& done, int64_t total, std::vector<Row>& rows) {
    const std::vector<int64_t> prompts = context_.args.Ints("prompt");
    std::set<int64_t> lengths(prompts.begin(), prompts.end());
    for (const int64_t depth : context_.args.Ints("depth")) lengths.insert(depth);
    KV_RETURN_IF_ERROR(MakeTokens(*lengths.rbegin()));
    KV_RETURN_IF_ERROR(WarmUp());
    for (const int64_t length : lengths) {
      const bool with_prefill = std::find(prompts.begin(), prompts.end(), length) != prompts.end();
      std::vector<Row> prefill(specs_.size()), decode(specs_.size());
      for (int64_t repeat = 0; repeat < context_.args.Int("repeat"); ++repeat) {
        for (size_t s = 0; s < specs_.size(); ++s) {
          KV_RETURN_IF_ERROR(Measure(specs_[s], length, prefill[s], decode[s]));
          if (Interrupt::Pending()) break;
          bar.Show(++done, total);
        }
        if (Interrupt::Pending()) break;
      }
      for (size_t s = 0; s < specs_.size(); ++s) {
        if (with_prefill && !prefill[s].tok_s.empty()) rows.push_back(std::move(prefill[s]));
        if (!decode[s].tok_s.empty()) rows.push_back(std::move(decode[s]));
      }
      if (Interrupt::Pending()) break;
    }
    floors_.Measure();  // the better of before and after counts
    for (Row& row : rows) {
      if (row.threads != model_->facts().threads) continue;
      row.floor_tok_s = row.decode ? floors_.DecodeTokS(row.read_bytes_per_token)
                                   : floors_.PrefillTokS(row.prompt);
    }
    return {};
  }

 private:
  SessionOptions Options(std::string_view spec, int64_t length) const {
    SessionOptions options = SessionOptionsOf(context_.args, spec);
    // Speed does not depend on what a model was trained for.
    if (options.ctx == 0) options.ctx = std::max(model_->facts().n_ctx_train, length + n_gen_);
    return options;
  }

  Status MakeTokens(int64_t n) {
    if (context_.args.Given("file")) {
      KV_ASSIGN_OR_RETURN(const std::string text, ReadText(context_.args.Text("file")));
      const std::vector<int32_t> ids = model_->Tokenize(text);
      if (ids.empty()) return Fail("{}: no tokens", context_.args.Text("file"));
      for (int64_t i = 0; i < n; ++i) tokens_.push_back(ids[static_cast<size_t>(i) % ids.size()]);
      return {};
    }
    std::mt19937 random(42);  // the same tokens for every spec and every run
    const auto n_vocab = static_cast<uint32_t>(model_->facts().n_vocab);
    for (int64_t i = 0; i < n; ++i) tokens_.push_back(static_cast<int32_t>(random() % n_vocab));
    return {};
  }

  Status WarmUp() {
    const auto n = std::min<int64_t>(static_cast<int64_t>(tokens_.size()), 64);
    KV_ASSIGN_OR_RETURN(const auto session, Session::Open(model_, Options("full", n)));
    KV_RETURN_IF_ERROR(session->Feed(std::span(tokens_).first(n)));
    return session->Step(tokens_[0]);
  }

  Status Measure(const std::string& spec, int64_t length, Row& prefill, Row& decode) {
    ResetPeakRss();
    KV_ASSIGN_OR_RETURN(const auto session, Session::Open(model_, Options(spec, length)));
    Clock::time_point start = Clock::now();
    Sampler sampler({});
    int32_t token = tokens_[0];
    double ttft_ms = 0;
    if (length > 0) {  // else it decodes from an empty cache
      const Status fed = session->Feed(std::span(tokens_).first(length),
                                       [](int64_t, int64_t) { return !Interrupt::Pending(); });
      if (Interrupt::Pending()) return {};
      KV_RETURN_IF_ERROR(fed);
      const double prefill_ms = Ms(start);
      token = sampler.Sample(session->logits(), {});
      ttft_ms = Ms(start);
      Note(spec, length, 1000 * static_cast<double>(length) / prefill_ms, ttft_ms, *session,
           prefill);
    }

    start = Clock::now();
    for (int64_t i = 0; i < n_gen_; ++i) {
      KV_RETURN_IF_ERROR(session->Step(token));
      token = sampler.Sample(session->logits(), {});
      if (Interrupt::Pending()) return {};
    }
    decode.decode = true;
    Note(spec, length, 1000 * static_cast<double>(n_gen_) / Ms(start), ttft_ms, *session, decode);
    return {};
  }

  void Note(const std::string& spec, int64_t length, double tok_s, double ttft_ms,
            const Session& session, Row& row) const {
    const KvReport kv = session.kv();
    row.spec = spec;
    row.prompt = length;
    row.threads = model_->facts().threads;
    row.tok_s.push_back(tok_s);
    row.ttft_ms.push_back(ttft_ms);
    row.kv_bytes = kv.bytes;
    row.rss_peak_bytes = std::max(row.rss_peak_bytes, PeakRssBytes());
    const double weights = static_cast<double>(model_->facts().weight_bytes);
    if (row.decode) {
      const double entry_bytes =
          kv.entries > 0 ? static_cast<double>(kv.bytes) / static_cast<double>(kv.entries) : 0;
      row.read_bytes_per_token = weights + kv.read_entries_per_step * entry_bytes;
    } else {  // the weights once for each chunk
      const auto chunk = static_cast<double>(context_.args.Int("chunk"));
      row.read_bytes_per_token =
          weights * std::ceil(static_cast<double>(length) / chunk) / static_cast<double>(length);
    }
  }

  Context& context_;
  std::shared_ptr<Model> model_;
  const std::vector<std::string> specs_;
  Floors floors_;
  const int64_t n_gen_;
  std::vector<int32_t> tokens_;
};

}  // namespace

Result<int> BenchCommand(Context& context) {
  const Args& args = context.args;
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> specs, SplitSpecs(args.Text("kv")));
  std::vector<int64_t> thread_counts = args.Ints("threads");
  if (thread_counts.empty()) thread_counts = {0};
  std::set<int64_t> lengths;
  for (const int64_t n : args.Ints("prompt")) lengths.insert(n);
  for (const int64_t n : args.Ints("depth")) lengths.insert(n);
  const auto total = static_cast<int64_t>(thread_counts.size() * lengths.size() * specs.size()) *
                     args.Int("repeat");
  int64_t done = 0;
  std::vector<Row> rows;
  ProgressBar bar(context.console, "measuring");
  for (const int64_t threads : thread_counts) {
    if (Interrupt::Pending()) break;
    KV_ASSIGN_OR_RETURN(std::shared_ptr<Model> model,
                        LoadModel(context, static_cast<int>(threads)));
    KV_RETURN_IF_ERROR(Bench(context, std::move(model), specs).Run(bar, done, total, rows));
  }
  bar.Clear();
  if (context.console.json()) {
    Json json = {{"rows", Json::array()}};
    for (const Row& row : rows) json["rows"].push_back(RowJson(row));
    context.console.WriteJson(json);
  } else {
    context.console.Write(RowsText(rows));
  }
  return Interrupt::Pending() ? kExitInterrupted : kExitDone;
}

}  // namespace kvasir::cli
