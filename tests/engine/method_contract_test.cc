// What every registered method keeps to: its example, with numbers that bite on a short prompt. A
// new method joins by being registered. All comparisons are of all bits.
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "engine/scheduler.h"
#include "methods/registry.h"
#include "tests/engine/contract_specs.h"
#include "tests/engine/engine_test_util.h"
#include "tests/engine/made_gates.h"

namespace kvasir::testing_ {
namespace {

// A method as it is tested: with its example, or with an option that its example leaves out.
struct Tried {
  const MethodInfo* method;
  std::string example, name;
};

std::vector<Tried> AllTried() {
  std::vector<Tried> all;
  for (const MethodInfo* method : AllMethods()) {
    all.push_back({method, std::string(method->example), std::string(method->name)});
  }
  all.push_back({FindMethod("think"), "think:ratio=40%,values=40%,recent=32", "think_values"});
  all.push_back(
      {FindMethod("keyformer"), "keyformer:budget=20%,noise=element", "keyformer_element"});
  return all;
}

// A method's example with the side file that it needs.
std::string ExampleOf(const Tried& tried, LoadedModel& model) {
  const std::string& spec = tried.example;
  if (tried.method->name != "razor") return spec;
  return std::regex_replace(spec, std::regex("razor:"), "razor:heads=" + RazorFile(model) + ",");
}

std::string With(std::string spec, const std::string& budget, const std::string& recent) {
  // `auto` takes shares alone, of a prompt of 230 tokens here.
  if (spec.starts_with("auto")) return budget == "4k" ? "auto:budget=100%" : "auto:budget=26%";
  spec = std::regex_replace(spec, std::regex("budget=[^, +]+"), "budget=" + budget);
  spec = std::regex_replace(spec, std::regex("every=[^, +]+"), "every=8");
  spec = std::regex_replace(spec, std::regex("threshold=[^, +]+"), "threshold=1%");
  spec = std::regex_replace(spec, std::regex("middle=[^, +]+"), "middle=32");
  return std::regex_replace(spec, std::regex("recent=[^, +]+"), "recent=" + recent);
}

// A budget too small for a window is refused as a count, and taken as a share of the prompt.
std::string OrShare(const std::string& spec) {
  return Program::Build(spec) ? spec : With(spec, "1%", "3");
}

// The method's `window` and `sinks`, where it has them, made 500.
std::string WithLong(const std::string& spec, const MethodInfo& method) {
  std::string text;
  auto items = ParseSpec(spec);
  for (SpecItem& item : *items) {
    if (item.name == method.name) {
      for (const ParamInfo& param : method.params) {
        if (param.name != "window" && param.name != "sinks") continue;
        std::erase_if(item.params, [&](const auto& given) { return given.first == param.name; });
        item.params.emplace_back(param.name, "500");
      }
    }
    text += (text.empty() ? "" : " + ") + ItemText(item);
  }
  return text;
}

// The example, with a budget (of a codec: a window at full precision) no smaller than any text.
std::string Covering(const MethodInfo& method, const std::string& example) {
  const std::string spec = With(example, "4k", "4k");
  if (!method.stores() || method.role == Role::kPruner) return spec;
  const std::string item = spec.substr(spec.find_last_of('+') + 1);
  const bool has_window = item.find("window=") != std::string::npos;
  if (has_window) return std::regex_replace(spec, std::regex("window=[^, +]+$"), "window=4k");
  return spec + (item.find(':') == std::string::npos ? ":" : ",") + "window=4k";
}

class MethodContract : public testing::TestWithParam<Tried> {
 protected:
  using Logits = std::vector<std::vector<float>>;

  Logits Run(const std::string& spec, SessionOptions options = {}, int threads = 1) {
    options.kv = spec;
    auto session =
        OpenSession(threads == 1 ? model_ : LoadModel(GoldenModel("llama.gguf"), threads), options);
    const Logits logits = Feed(*session, prompt_, forced_);
    orders_ = Orders(*session);
    return logits;
  }
  static std::vector<std::vector<int32_t>> Orders(const SessionImpl& session) {
    std::vector<std::vector<int32_t>> orders;
    for (int l = 0; l < session.cache().n_layers(); ++l) {
      for (const HeadCache& head : session.cache().layer(l)) orders.push_back(head.Orders());
    }
    return orders;
  }

  void SetUp() override { KeepMadeGates(*model_); }

  static void ExpectAccounted(const SessionImpl& session) {
    const KvReport report = session.kv();
    int64_t planes = 0, all = 0;
    for (const auto& [codec, bytes] : report.by_codec) {
      planes += codec == "facts" ? 0 : bytes;
      all += bytes;
    }
    EXPECT_EQ(planes, session.pool().used_bytes()) << report.spec;
    EXPECT_EQ(all, report.bytes) << report.spec;
    EXPECT_LE(planes, report.bytes_peak) << report.spec;
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(230, 1), forced_ = RandomIds(20, 2);
  std::vector<std::vector<int32_t>> orders_;  // of the last Run, at its end
  const MethodInfo& method_ = *GetParam().method;
  const std::string example_ = ExampleOf(GetParam(), *model_);
  const std::string spec_ = With(example_, "60", "40");
};

TEST_P(MethodContract, BudgetThatCoversTheLengthIsFull) {
  EXPECT_EQ(Run(Covering(method_, example_)), Run("full"));
}

TEST_P(MethodContract, ChunksAndPrefillOrderChangeNothing) {
  const Logits expected = Run(spec_);
  const auto kept = orders_;
  for (int chunk : {1, 7, 64, 230}) {
    for (bool chunk_major : {false, true}) {
      EXPECT_EQ(Run(spec_, {.chunk = chunk, .chunk_major = chunk_major}), expected)
          << chunk << " " << chunk_major;
      EXPECT_EQ(orders_, kept) << chunk << " " << chunk_major;
    }
  }
}

TEST_P(MethodContract, ThreadsChangeNothing) { EXPECT_EQ(Run(spec_, {}, 2), Run(spec_)); }

// What a server's request gets: its tokens, how likely they were, and the entries that it holds.
struct Served {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  int64_t entries = 0;
  std::string error;
  bool operator==(const Served&) const = default;
};

// All of these at a time, in steps of few rows: prompts are read beside tokens of others.
std::vector<Served> Serve(std::shared_ptr<LoadedModel> model,
                          const std::vector<BatchRequest>& requests) {
  std::vector<Served> served(requests.size());
  Scheduler scheduler(model, {.n_slots = 4, .step_rows = 50});
  for (size_t i = 0; i < requests.size(); ++i) {
    Served& told = served[i];
    auto on_event = std::make_shared<const BatchEventFn>([&told](const BatchEvent& event) {
      for (const TokenRecord& token : event.tokens) {
        told.ids.push_back(token.id);
        told.logprobs.push_back(token.logprob);
      }
      if (event.kind == BatchEvent::Kind::kDone) told.entries = event.outcome.kv.entries;
      if (event.kind == BatchEvent::Kind::kError) told.error = event.error.message;
    });
    auto spec = SequenceSpec::Make(*model, {.kv = requests[i].kv});
    if (!spec) {
      ADD_FAILURE() << spec.error().message;
      continue;
    }
    Scheduler::Answers answers;
    answers.push_back(std::make_unique<BatchJob>(
        i + 1, 0, std::make_shared<const BatchRequest>(requests[i]), *spec, on_event, *model));
    scheduler.Add(std::move(answers));
    for (int step = 0; step < 3; ++step) scheduler.Step();  // they come one after another
  }
  for (int step = 0; step < 5000 && scheduler.Step(); ++step) {
  }
  EXPECT_TRUE(scheduler.idle());
  return served;
}

TEST_P(MethodContract, BatchNeighboursChangeNothing) {
  const auto request = [](const std::string& spec, int n_prompt, uint32_t seed) {
    return BatchRequest{.prompt = RandomIds(n_prompt, seed),
                        .kv = spec,
                        .n_tokens = 30,
                        .ignore_eos = true,
                        .sampling = {.temperature = 0.8f, .seed = seed},
                        .top_logprobs = 1};
  };
  const std::vector<BatchRequest> requests = {request(spec_, 150, 1), request("full", 60, 2),
                                              request(spec_, 97, 3),
                                              request("decode:every=4 + tova:budget=40", 130, 4)};
  const std::vector<Served> together = Serve(model_, requests);
  for (const size_t i : {0, 2}) {
    EXPECT_EQ(together[i].error, "");
    EXPECT_EQ(together[i].ids.size(), 30u);
    EXPECT_EQ(together[i], Serve(model_, {requests[i]})[0]) << i;
  }
}

TEST_P(MethodContract, ThirdRunEqualsTheFirst) {
  auto session = OpenSession(model_, {.kv = spec_});
  const Logits first = Feed(*session, prompt_, forced_);
  session->Reset();
  Feed(*session, RandomIds(90, 9), RandomIds(5, 10));
  session->Reset();
  EXPECT_EQ(Feed(*session, prompt_, forced_), first);
}

TEST_P(MethodContract, SavedAndForkedSessionsGoOnAlike) {
  const std::string path = testing::TempDir() + "/kvasir_contract_test.bin";
  auto session = OpenSession(model_, {.kv = spec_});
  Feed(*session, prompt_, forced_);
  ASSERT_TRUE(session->Save(path));
  auto loaded = OpenSession(model_, {.kv = spec_});
  const Status status = loaded->Load(path);
  ASSERT_TRUE(status) << status.error().message;
  auto fork = *session->Fork();
  for (int32_t id : RandomIds(20, 3)) {
    ASSERT_TRUE(session->Step(id) && loaded->Step(id) && fork->Step(id));
    ASSERT_TRUE(std::ranges::equal(session->logits(), loaded->logits()));
    ASSERT_TRUE(std::ranges::equal(session->logits(), fork->logits()));
  }
}

TEST_P(MethodContract, EveryCodecRuns) {
  for (const char* codec : {"f32", "f16", "bf16", "i16", "q8", "q4"}) {
    for (const std::vector<float>& row : Run(spec_, {.kv_type = codec})) {
      for (float logit : row) ASSERT_TRUE(std::isfinite(logit)) << codec;
    }
  }
}

// Every method before every codec and pruner: it runs, its bytes are the pool's, and it is saved.
TEST_P(MethodContract, CodecsComeAfterIt) {
  const std::string path = testing::TempDir() + "/kvasir_contract_codec_test.bin";
  for (const Tried& codec : AllTried()) {
    if (codec.method->role != Role::kCodec && codec.method->role != Role::kPruner) continue;
    const std::string spec = spec_ + " + " + With(codec.example, "60", "40");
    if (!Program::Build(spec)) continue;  // refused with a reason: tests/engine/codec_methods_test
    auto session = OpenSession(model_, {.kv = spec});
    Feed(*session, prompt_, forced_);
    ExpectAccounted(*session);
    ASSERT_TRUE(session->Save(path)) << spec;
    auto loaded = OpenSession(model_, {.kv = spec});
    const Status status = loaded->Load(path);
    ASSERT_TRUE(status) << spec << ": " << status.error().message;
    EXPECT_EQ(loaded->kv().by_codec, session->kv().by_codec) << spec;
    for (int32_t id : RandomIds(8, 3)) ASSERT_TRUE(session->Step(id) && loaded->Step(id)) << spec;
    ASSERT_TRUE(std::ranges::equal(session->logits(), loaded->logits())) << spec;
    for (float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit)) << spec;
  }
}

TEST_P(MethodContract, BytesAreThoseOfThePool) {
  auto session = OpenSession(model_, {.kv = spec_});
  Feed(*session, prompt_, forced_);
  ExpectAccounted(*session);
  ASSERT_TRUE(session->Feed(RandomIds(30, 4), {}));
  ExpectAccounted(*session);
}

TEST_P(MethodContract, SecondTurnHasTruePositions) {
  auto session = OpenSession(model_, {.kv = spec_});
  Feed(*session, prompt_, forced_);
  ASSERT_TRUE(session->Feed(RandomIds(30, 4), {}));
  const int32_t n = 230 + 20 + 30;
  const bool moves = session->program().needs(model_->info()).moves;
  for (int l = 0; l < session->cache().n_layers(); ++l) {
    for (const HeadCache& head : session->cache().layer(l)) {
      EXPECT_EQ(head.PositionOf(n), moves ? head.Positions().back() + 1 : n);
      EXPECT_GE(head.size(), 1);
    }
  }
}

// Codecs and pruners drop no entry, so the text can be cut anywhere; what chooses says where it
// has.
TEST_P(MethodContract, GoesBackInTheTextOrSaysWhyNot) {
  auto session = OpenSession(model_, {.kv = spec_});
  ASSERT_TRUE(session->Feed(prompt_, {}));
  for (int32_t id : forced_) ASSERT_TRUE(session->Step(id));
  constexpr int kLeft = 107;  // within a page, and within a group
  const HeadCache& head = session->cache().layer(1)[0];
  const auto read = [&](PlaneKind kind, int64_t n) {
    std::vector<float> x(n * head.format().head_dim);
    head.Read(kind, 0, n, x.data());
    return x;
  };
  if (!method_.stores() && spec_ != "full") {
    const auto before = Orders(*session);
    if (session->Truncate(kLeft)) {  // it has dropped nothing yet
      EXPECT_EQ(head.size(), kLeft);
    } else {
      EXPECT_EQ(Orders(*session), before);
    }
    return;
  }
  ASSERT_GE(head.size(), kLeft);
  const std::vector<float> keys = read(PlaneKind::kKeys, kLeft);
  const std::vector<float> values = read(PlaneKind::kValues, kLeft);
  const int64_t bytes_before = session->pool().used_bytes();
  const Status cut = session->Truncate(kLeft);
  ASSERT_TRUE(cut) << cut.error().message;
  for (const std::vector<int32_t>& orders : Orders(*session)) {
    ASSERT_EQ(orders.size(), size_t{kLeft});
    for (int i = 0; i < kLeft; ++i) ASSERT_EQ(orders[i], i);
  }
  EXPECT_EQ(read(PlaneKind::kKeys, kLeft), keys);
  EXPECT_EQ(read(PlaneKind::kValues, kLeft), values);
  EXPECT_LT(session->pool().used_bytes(), bytes_before);
  ExpectAccounted(*session);
  // What follows goes on from there, also when saved in between, and is stored as ever.
  const std::string path = testing::TempDir() + "/kvasir_contract_cut.bin";
  ASSERT_TRUE(session->Save(path));
  auto loaded = OpenSession(model_, {.kv = spec_});
  ASSERT_TRUE(loaded->Load(path));
  const std::vector<int32_t> more = RandomIds(150, 9);
  EXPECT_EQ(Feed(*loaded, more, forced_), Feed(*session, more, forced_));
  EXPECT_EQ(head.size(), kLeft + 170);
  EXPECT_EQ(head.Positions().back(), kLeft + 169);
  for (float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit));
  ExpectAccounted(*session);
}

TEST_P(MethodContract, PromptsOfAFewTokensRun) {
  for (int n : {1, 2, 5}) {
    auto session = OpenSession(model_, {.kv = OrShare(With(spec_, "1", "3"))});
    Feed(*session, RandomIds(n, 5), forced_);
    for (float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit)) << n;
  }
}

// Windows and sinks that no prompt of this length has room for.
TEST_P(MethodContract, WindowsLongerThanThePromptRun) {
  const std::string spec = OrShare(WithLong(With(spec_, "2", "3"), method_));
  for (int n : {1, 3, 40, 200}) {
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_NE(session, nullptr) << spec;
    Feed(*session, RandomIds(n, 6), forced_);
    for (float logit : session->logits()) ASSERT_TRUE(std::isfinite(logit)) << spec << " " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MethodContract, testing::ValuesIn(AllTried()),
                         [](const testing::TestParamInfo<Tried>& test) { return test.param.name; });

}  // namespace
}  // namespace kvasir::testing_
