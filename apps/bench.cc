// kvasir bench: prefill and decode of several specs, alternating, beside the machine's floors.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/memory.h"
#include "bench_floor.h"
#include "bench_rows.h"
#include "bench_server.h"
#include "commands.h"
#include "context.h"
#include "engine/session_batch.h"
#include "methods/spec.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double Ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What the flags list, in ascending order.
std::set<int64_t> Numbers(const Args& args, std::initializer_list<std::string_view> flags) {
  std::set<int64_t> numbers;
  for (const std::string_view flag : flags) {
    for (const int64_t n : args.Ints(flag)) numbers.insert(n);
  }
  return numbers;
}

// All figures of one model at one number of threads.
class Bench {
 public:
  Bench(Context& context, std::shared_ptr<LoadedModel> model, std::vector<std::string> specs)
      : context_(context),
        model_(std::move(model)),
        specs_(std::move(specs)),
        floors_(model_->config(), model_->facts()),
        n_gen_(context.args.Int("gen")) {}

  // Adds rows; stops early at Ctrl-C, with what was measured.
  Status Run(ProgressBar& bar, int64_t& done, int64_t total, std::vector<BenchRow>& rows) {
    const std::set<int64_t> prompts = Numbers(context_.args, {"prompt"});
    const std::set<int64_t> lengths = Numbers(context_.args, {"prompt", "depth"});
    const std::set<int64_t> batches = Numbers(context_.args, {"batch"});
    KV_RETURN_IF_ERROR(MakeTokens(*lengths.rbegin() + TextOf(*batches.rbegin() - 1)));
    KV_RETURN_IF_ERROR(WarmUp());
    for (const int64_t length : lengths) {
      for (const int64_t batch : batches) {
        if (Interrupt::Pending()) break;
        std::vector<BenchRow> prefill(specs_.size()), decode(specs_.size());
        KV_RETURN_IF_ERROR(
            MeasureAll(length, batch, prefill, decode, [&] { bar.Show(++done, total); }));
        for (size_t s = 0; s < specs_.size(); ++s) {
          const bool with_prefill = prompts.contains(length) && !prefill[s].tok_s.empty();
          if (with_prefill) rows.push_back(std::move(prefill[s]));
          if (!decode[s].tok_s.empty()) rows.push_back(std::move(decode[s]));
        }
      }
    }
    floors_.Measure();  // the better of before and after counts
    for (BenchRow& row : rows) {
      if (row.threads != model_->facts().threads) continue;
      row.floor_tok_s =
          row.decode ? floors_.DecodeTokS(StepOf(row)) : floors_.PrefillTokS(row.prompt);
    }
    return {};
  }

 private:
  using Sessions = std::vector<std::unique_ptr<SessionImpl>>;

  // Where the text of a sequence begins: those of a batch are different texts.
  static int64_t TextOf(int64_t sequence) { return sequence * 64; }

  static Floors::DecodeStep StepOf(const BenchRow& row) {
    return {.batch = row.batch,
            .read_bytes = row.read_bytes_per_token * static_cast<double>(row.batch),
            .entries = row.read_entries_per_step};
  }

  Status MakeTokens(int64_t n) {
    if (context_.args.Given("file")) {
      KV_ASSIGN_OR_RETURN(const std::string text, ReadText(context_.args.Text("file")));
      const std::vector<int32_t> ids = model_->Tokenize(text, /*add_bos=*/true);
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
    KV_ASSIGN_OR_RETURN(const Sessions sessions, OpenSessions("full", n, 1));
    KV_RETURN_IF_ERROR(sessions[0]->Feed(std::span(tokens_).first(n), {}));
    return sessions[0]->Step(tokens_[0]);
  }

  // Every spec in turn, so that drift hits all alike.
  Status MeasureAll(int64_t length, int64_t batch, std::span<BenchRow> prefill,
                    std::span<BenchRow> decode, const std::function<void()>& on_done) {
    for (int64_t repeat = 0; repeat < context_.args.Int("repeat"); ++repeat) {
      for (size_t s = 0; s < specs_.size(); ++s) {
        const Status status = Measure(specs_[s], length, batch, prefill[s], decode[s]);
        if (Interrupt::Pending()) return {};
        if (!status && batch > 1) return Fail("--batch {}: {}", batch, status.error().message);
        KV_RETURN_IF_ERROR(status);
        on_done();
      }
    }
    return {};
  }

  // Each sequence reads a prompt of its own, one after the other; then all generate side by side.
  Status Measure(const std::string& spec, int64_t length, int64_t batch, BenchRow& prefill,
                 BenchRow& decode) {
    ResetPeakRss();
    for (BenchRow* row : {&prefill, &decode}) {
      row->spec = spec;
      row->decode = row == &decode;
      row->prompt = length;
      row->batch = batch;
      row->threads = model_->facts().threads;
    }
    KV_ASSIGN_OR_RETURN(const Sessions sessions, OpenSessions(spec, length, batch));
    const auto n = static_cast<double>(batch);
    std::vector<int32_t> tokens(sessions.size(), tokens_[0]);
    double ttft_ms = 0;
    Clock::time_point start = Clock::now();
    if (length > 0) {  // else they decode from an empty cache
      KV_RETURN_IF_ERROR(ReadPrompts(sessions, length));
      const double prefill_ms = Ms(start);
      Draw(sessions, tokens);
      ttft_ms = Ms(start);
      Note(1000 * n * static_cast<double>(length) / prefill_ms, ttft_ms, sessions, prefill);
    }
    start = Clock::now();
    KV_RETURN_IF_ERROR(Generate(sessions, tokens));
    if (Interrupt::Pending()) return {};
    Note(1000 * n * static_cast<double>(n_gen_) / Ms(start), ttft_ms, sessions, decode);
    return {};
  }

  // The limit of memory is one for all.
  Result<Sessions> OpenSessions(const std::string& spec, int64_t length, int64_t n) const {
    SessionOptions options = SessionOptionsOf(context_.args, spec);
    // Speed does not depend on what a model was trained for.
    if (options.ctx == 0) options.ctx = std::max(model_->facts().n_ctx_train, length + n_gen_);
    const auto pool =
        std::make_shared<PagePool>(options.kv_memory > 0 ? options.kv_memory : kNoLimit);
    Sessions sessions;
    for (int64_t i = 0; i < n; ++i) {
      KV_ASSIGN_OR_RETURN(sessions.emplace_back(), SessionImpl::Open(model_, options, pool));
    }
    return sessions;
  }

  Status ReadPrompts(const Sessions& sessions, int64_t length) const {
    for (size_t i = 0; i < sessions.size(); ++i) {
      const auto prompt = std::span(tokens_).subspan(TextOf(static_cast<int64_t>(i)), length);
      KV_RETURN_IF_ERROR(
          sessions[i]->Feed(prompt, [](int64_t, int64_t) { return !Interrupt::Pending(); }));
      if (i == 0) KV_RETURN_IF_ERROR(CheckRoom(sessions, length));
    }
    return {};
  }

  // Whether all find room is known once the first has read its prompt.
  Status CheckRoom(const Sessions& sessions, int64_t length) const {
    const int64_t each = sessions[0]->pool().used_bytes();
    const int64_t limit = context_.args.Bytes("kv-memory");
    const int64_t room = limit > 0 ? limit : AvailableMemoryBytes();
    const auto n = static_cast<int64_t>(sessions.size());
    if (n == 1 || each == 0 || room == 0 || n <= room / each) return {};
    return Fail(
        "a sequence of {} tokens takes {} under '{}', and {} has room for {}; ask for "
        "fewer, or keep less with --kv",
        length, BytesText(each), sessions[0]->program().spec(),
        limit > 0 ? fmt::format("--kv-memory {}", BytesText(limit))
                  : fmt::format("free memory of {}", BytesText(room)),
        room / each);
  }

  // The most likely token of each.
  void Draw(const Sessions& sessions, std::span<int32_t> tokens) const {
    model_->forward().pool().For(static_cast<int64_t>(sessions.size()), [&](int64_t i, int) {
      tokens[i] = Sampler({}).Sample(sessions[i]->logits(), {});
    });
  }

  Status Generate(const Sessions& sessions, std::span<int32_t> tokens) const {
    std::vector<SessionReads> reads;
    for (size_t i = 0; i < sessions.size(); ++i) {
      reads.push_back({.session = sessions[i].get(), .tokens = tokens.subspan(i, 1)});
    }
    for (int64_t i = 0; i < n_gen_ && !Interrupt::Pending(); ++i) {
      ExtendTogether(reads);
      for (const SessionReads& each : reads) KV_RETURN_IF_ERROR(each.status);
      Draw(sessions, tokens);
    }
    return {};
  }

  void Note(double tok_s, double ttft_ms, const Sessions& sessions, BenchRow& row) const {
    row.tok_s.push_back(tok_s);
    row.ttft_ms.push_back(ttft_ms);
    row.rss_peak_bytes = std::max(row.rss_peak_bytes, PeakRssBytes());
    row.kv_bytes = 0;
    row.read_entries_per_step = 0;
    double kv_read = 0;  // bytes a step
    for (const auto& session : sessions) {
      const KvReport kv = session->kv();
      row.kv_bytes += kv.bytes;
      row.read_entries_per_step += kv.read_entries_per_step;
      if (kv.entries == 0) continue;
      kv_read += kv.read_entries_per_step * static_cast<double>(kv.bytes) /
                 static_cast<double>(kv.entries);
    }
    const auto weights = static_cast<double>(model_->facts().weight_bytes);
    if (row.decode) {
      row.read_bytes_per_token = (weights + kv_read) / static_cast<double>(row.batch);
    } else {  // the weights once for each chunk
      const auto chunk = static_cast<double>(context_.args.Int("chunk"));
      const auto length = static_cast<double>(row.prompt);
      row.read_bytes_per_token = weights * std::ceil(length / chunk) / length;
    }
  }

  Context& context_;
  const std::shared_ptr<LoadedModel> model_;
  const std::vector<std::string> specs_;
  Floors floors_;
  const int64_t n_gen_;
  std::vector<int32_t> tokens_;
};

}  // namespace

Result<int> BenchCommand(Context& context) {
  const Args& args = context.args;
  if (args.Given("serve") || args.Given("agents")) return BenchServer(context);
  for (const std::string_view flag : {"clients", "rate", "requests", "seed", "api-key", "timeout",
                                      "slo-ttft", "slo-tpot", "slo-e2e"}) {
    if (args.OnCommandLine(flag)) return WrongUsage(context, "--{} needs --serve URL", flag);
  }
  for (const std::string_view flag : {"block", "speed", "cut", "vocab"}) {
    if (args.OnCommandLine(flag)) return WrongUsage(context, "--{} needs --agents TRACE", flag);
  }
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> specs, SplitSpecs(args.Text("kv")));
  std::vector<int64_t> thread_counts = args.Ints("threads");
  if (thread_counts.empty()) thread_counts = {0};
  const size_t n_cases = thread_counts.size() * Numbers(args, {"prompt", "depth"}).size() *
                         Numbers(args, {"batch"}).size() * specs.size();
  const int64_t total = static_cast<int64_t>(n_cases) * args.Int("repeat");
  int64_t done = 0;
  std::vector<BenchRow> rows;
  ProgressBar bar(context.console, "measuring");
  for (const int64_t threads : thread_counts) {
    if (Interrupt::Pending()) break;
    KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model,
                        LoadModel(context, static_cast<int>(threads)));
    Bench bench(context, std::static_pointer_cast<LoadedModel>(model), specs);
    KV_RETURN_IF_ERROR(bench.Run(bar, done, total, rows));
  }
  bar.Clear();
  if (context.console.json()) {
    Json json = {{"rows", Json::array()}};
    for (const BenchRow& row : rows) json["rows"].push_back(BenchJson(row));
    context.console.WriteJson(json);
  } else {
    context.console.Write(BenchTable(rows));
  }
  return Interrupt::Pending() ? kExitInterrupted : kExitDone;
}

}  // namespace kvasir::cli
