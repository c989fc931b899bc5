// The batching engine's promise: what a request gets does not depend on who else is served, on
// memory running short, or on what a slot held before. All comparisons are of all bits.
#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "engine/batch_engine.h"
#include "engine/constraint.h"
#include "grammar/gbnf.h"
#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What was told of one request.
struct Told {
  std::map<int, std::string> text;  // by answer
  std::map<int, std::vector<TokenRecord>> tokens;
  std::vector<TokenRecord> prompt;
  std::map<int, BatchOutcome> done;
  std::optional<BatchError> error;

  std::vector<int32_t> ids(int answer = 0) {
    std::vector<int32_t> all;
    for (const TokenRecord& token : tokens[answer]) all.push_back(token.id);
    return all;
  }
  std::vector<float> logprobs(int answer = 0) {
    std::vector<float> all;
    for (const TokenRecord& token : tokens[answer]) {
      all.push_back(token.logprob);
      for (const auto& [id, logprob] : token.top) all.push_back(logprob);
    }
    return all;
  }
};

class SchedulerTest : public testing::Test {
 protected:
  BatchRequest Request(int n_prompt, uint32_t seed, const std::string& kv = "full") {
    return {.prompt = RandomIds(n_prompt, seed),
            .kv = kv,
            .n_tokens = 30,
            .ignore_eos = true,
            .sampling = {.temperature = 0.8f, .seed = seed},
            .top_logprobs = 3};
  }

  std::shared_ptr<Told> Add(Scheduler& scheduler, const BatchRequest& request,
                            std::chrono::seconds age = {}) {
    auto told = std::make_shared<Told>();
    auto on_event = std::make_shared<const BatchEventFn>([told](BatchEvent event) {
      told->text[event.answer] += event.text;
      auto& tokens =
          event.kind == BatchEvent::Kind::kPromptRead ? told->prompt : told->tokens[event.answer];
      for (TokenRecord& token : event.tokens) tokens.push_back(std::move(token));
      if (event.kind == BatchEvent::Kind::kDone) told->done[event.answer] = event.outcome;
      if (event.kind == BatchEvent::Kind::kError) told->error = event.error;
    });
    auto spec = SequenceSpec::Make(*model_, {.kv = request.kv, .kv_type = request.kv_type});
    EXPECT_TRUE(spec) << spec.error().message;
    auto shared = std::make_shared<const BatchRequest>(request);
    Scheduler::Answers answers;
    ++last_id_;
    for (int i = 0; i < request.n_answers; ++i) {
      answers.push_back(std::make_unique<BatchJob>(last_id_, i, shared, *spec, on_event, *model_));
      answers.back()->submitted -= age;
    }
    scheduler.Add(std::move(answers));
    return told;
  }

  void RunAll(Scheduler& scheduler) {
    for (int i = 0; i < 5000 && scheduler.Step(); ++i) {
    }
    EXPECT_TRUE(scheduler.idle());
  }

  Told Alone(const BatchRequest& request) {
    Scheduler scheduler(model_, {});
    const auto told = Add(scheduler, request);
    RunAll(scheduler);
    EXPECT_FALSE(told->error) << told->error->message;
    return *told;
  }

  // The same bits as without neighbours, and as many entries kept.
  void ExpectAsAlone(const BatchRequest& request, Told& told) {
    ASSERT_FALSE(told.error) << request.kv << ": " << told.error->message;
    Told alone = Alone(request);
    EXPECT_EQ(told.ids(), alone.ids()) << request.kv << told.done[0].n_preempted;
    EXPECT_EQ(told.logprobs(), alone.logprobs()) << request.kv;
    EXPECT_EQ(told.done[0].kv.entries, alone.done[0].kv.entries) << request.kv;
  }

  int64_t PagesFor(int64_t n_tokens) {
    const auto spec = SequenceSpec::Make(*model_, {.kv = "full"});
    return Scheduler::PageBytes(**spec, model_->config().n_kv_heads, n_tokens);
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  uint64_t last_id_ = 0;
};

const char* const kSpecs[] = {"full",
                              "snapkv:budget=60,window=16",
                              "renumber + streaming:budget=80",
                              "decode:every=8 + tova:budget=40",
                              "h2o:budget=50",
                              "expected:budget=40%",
                              "snapkv:budget=100,window=16 + kivi:bits=4,residual=32",
                              "merge:least=-1 + h2o:budget=60",
                              "decode:every=4 + merge:least=-1 + keydiff:budget=60",
                              "mikv:lo_bits=2 + h2o:budget=20%",
                              "think:ratio=40% + kivi:bits=2,residual=32",
                              "keyformer:budget=50,recent=10"};
constexpr int kSpecCount = static_cast<int>(std::size(kSpecs));

TEST_F(SchedulerTest, AnAnswerIsThatOfASession) {
  for (const char* spec : kSpecs) {
    const BatchRequest request = Request(150, 3, spec);
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(session->Feed(request.prompt, {}));
    const auto expected =
        Generate(*session, {.n_tokens = 30, .ignore_eos = true, .sampling = request.sampling});
    ASSERT_TRUE(expected);
    Told told = Alone(request);
    EXPECT_EQ(told.ids(), expected->ids) << spec;
    EXPECT_EQ(told.text[0], expected->text) << spec;
    EXPECT_EQ(told.done[0].finish, "length");
    EXPECT_EQ(told.done[0].n_prompt, 150);
    EXPECT_EQ(told.done[0].n_generated, 30);
  }
}

TEST_F(SchedulerTest, NeighboursChangeNoBit) {
  std::vector<BatchRequest> requests;
  for (int i = 0; i < kSpecCount; ++i) {
    requests.push_back(Request(20 + 37 * (i % 6), 10 + i, kSpecs[i]));
  }
  for (const int64_t step_rows : {1, 50, 256}) {
    Scheduler scheduler(model_, {.n_slots = 4, .step_rows = step_rows});
    std::vector<std::shared_ptr<Told>> told;
    for (const BatchRequest& request : requests) {
      told.push_back(Add(scheduler, request));
      for (int i = 0; i < 5; ++i) scheduler.Step();  // they come while others are on their way
    }
    RunAll(scheduler);
    for (size_t i = 0; i < requests.size(); ++i) ExpectAsAlone(requests[i], *told[i]);
  }
}

// Memory for about two of twelve: some wait, some are preempted, and nobody sees it.
TEST_F(SchedulerTest, PreemptionChangesNoBit) {
  std::vector<BatchRequest> requests;
  for (int i = 0; i < kSpecCount; ++i) {
    requests.push_back(Request(100 + 5 * i, 20 + i, kSpecs[i]));
    requests.back().n_tokens = 400;  // more than is predicted
  }
  Scheduler scheduler(model_, {.n_slots = 6, .kv_memory = PagesFor(64 * 9)});
  std::vector<std::shared_ptr<Told>> told;
  for (const BatchRequest& request : requests) told.push_back(Add(scheduler, request));
  RunAll(scheduler);
  EXPECT_GT(scheduler.figures().preemptions, 0);
  for (size_t i = 0; i < requests.size(); ++i) ExpectAsAlone(requests[i], *told[i]);
}

// The system gives less memory than the options promise, so pages run out in the midst of a step,
// before a layer or while a method writes: the others go on, and who had to leave comes back.
TEST_F(SchedulerTest, PagesThatRunOutWithinAStepChangeNoBit) {
  std::vector<BatchRequest> requests;
  for (int i = 0; i < kSpecCount; ++i) {
    requests.push_back(Request(100 + 5 * i, 40 + i, kSpecs[i]));
    requests.back().n_tokens = 150;
  }
  for (const int64_t n_tokens : {64 * 9, 64 * 11, 64 * 16}) {
    const auto pool = std::make_shared<PagePool>(PagesFor(n_tokens));
    Scheduler scheduler(model_, {.n_slots = 6, .step_rows = 64}, pool);
    std::vector<std::shared_ptr<Told>> told;
    for (const BatchRequest& request : requests) told.push_back(Add(scheduler, request));
    RunAll(scheduler);
    EXPECT_GT(scheduler.figures().preemptions, 0);
    for (size_t i = 0; i < requests.size(); ++i) ExpectAsAlone(requests[i], *told[i]);
  }
}

BatchRequest NextTurn(BatchRequest first, Told& told, uint32_t seed) {
  for (int32_t id : told.ids()) first.prompt.push_back(id);
  for (int32_t id : RandomIds(20, seed)) first.prompt.push_back(id);
  return first;
}

// A conversation that went on from what a method had shaped cannot be read again as it was.
TEST_F(SchedulerTest, WhatCannotBeMadeAgainIsRefusedAndNothingElse) {
  const auto pool = std::make_shared<PagePool>(PagesFor(64 * 7));
  Scheduler scheduler(model_, {.n_slots = 3}, pool);
  const BatchRequest first = Request(100, 7, "streaming:budget=90");
  const auto told = Add(scheduler, first);
  RunAll(scheduler);
  BatchRequest second = NextTurn(first, *told, 8);
  BatchRequest other = Request(150, 9);
  second.n_tokens = other.n_tokens = 230;
  const auto plain = Add(scheduler, other);
  scheduler.Step();
  const auto went_on = Add(scheduler, second);
  RunAll(scheduler);
  ASSERT_FALSE(plain->error) << plain->error->message;
  EXPECT_EQ(plain->logprobs(), Alone(other).logprobs());
  ASSERT_TRUE(went_on->error || went_on->done[0].n_cached > 0);
  if (went_on->error) {
    EXPECT_EQ(went_on->error->refusal, Refusal::kNoRoomNow);
  }
}

TEST_F(SchedulerTest, AnAnswerThatFillsTheMemoryEndsWithLength) {
  BatchRequest request = Request(100, 5);
  request.n_tokens = 500;
  Scheduler scheduler(model_, {.kv_memory = PagesFor(192)});
  const auto told = Add(scheduler, request);
  RunAll(scheduler);
  ASSERT_FALSE(told->error);
  EXPECT_EQ(told->done[0].finish, "length");
  EXPECT_EQ(told->done[0].n_generated, 93);  // 192 are read, and one more is drawn
  ASSERT_EQ(told->done[0].warnings.size(), 1u);
  EXPECT_THAT(told->done[0].warnings[0], HasSubstr("--kv-memory"));
}

TEST_F(SchedulerTest, SeveralAnswersShareThePromptAndDifferBySeed) {
  BatchRequest request = Request(120, 6, "snapkv:budget=60,window=16");
  request.n_answers = 3;
  Scheduler scheduler(model_, {});
  const auto told = Add(scheduler, request);
  RunAll(scheduler);
  EXPECT_EQ(scheduler.figures().prompt_tokens, 120);
  for (int i = 0; i < 3; ++i) {
    BatchRequest single = request;
    single.n_answers = 1;
    single.sampling.seed += i;
    Told alone = Alone(single);
    EXPECT_EQ(told->ids(i), alone.ids()) << i;
    EXPECT_EQ(told->logprobs(i), alone.logprobs()) << i;
  }
  EXPECT_NE(told->ids(0), told->ids(1));
}

TEST_F(SchedulerTest, TheSecondTurnGoesOnFromItsSlot) {
  Scheduler scheduler(model_, {});
  const BatchRequest first = Request(100, 7);
  const auto told = Add(scheduler, first);
  RunAll(scheduler);
  const BatchRequest second = NextTurn(first, *told, 8);
  const auto warm = Add(scheduler, second);
  RunAll(scheduler);
  EXPECT_EQ(warm->done[0].n_cached, 129);  // the last token was drawn and not read
  Told cold = Alone(second);
  EXPECT_EQ(warm->ids(), cold.ids());
  EXPECT_EQ(warm->logprobs(), cold.logprobs());
  // Another branch of the conversation goes back to where both were one.
  BatchRequest branch = second;
  branch.prompt[110] ^= 1;
  const auto other = Add(scheduler, branch);
  RunAll(scheduler);
  EXPECT_EQ(other->done[0].n_cached, 110);
  EXPECT_EQ(other->logprobs(), Alone(branch).logprobs());
}

// Trap 3.4: what one spec has evicted is never served to another one's prompt.
TEST_F(SchedulerTest, AnEvictedCacheIsNeverUsedUnderAnotherSpec) {
  const std::string snapkv = "snapkv:budget=40,window=16";
  for (const char* spec : {"full", "snapkv:budget=41,window=16", "streaming:budget=40"}) {
    Scheduler scheduler(model_, {.n_slots = 1});
    const BatchRequest a = Request(100, 7, snapkv);
    const auto told = Add(scheduler, a);
    RunAll(scheduler);
    BatchRequest b = NextTurn(a, *told, 8);
    b.kv = spec;
    const auto warm = Add(scheduler, b);
    RunAll(scheduler);
    EXPECT_EQ(warm->done[0].n_cached, 0);
    Told cold = Alone(b);
    EXPECT_EQ(warm->ids(), cold.ids()) << spec;
    EXPECT_EQ(warm->logprobs(), cold.logprobs()) << spec;
  }
}

// A compressed cache serves what follows its whole text, and nothing that merely begins like it.
TEST_F(SchedulerTest, ACompressedCacheServesItsConversationOnly) {
  const BatchRequest a = Request(100, 7, "snapkv:budget=40,window=16");
  BatchRequest same_start = a;
  same_start.prompt.back() ^= 1;
  for (const bool deterministic : {false, true}) {
    Scheduler scheduler(model_, {.n_slots = 1, .deterministic = deterministic});
    const auto told = Add(scheduler, a);
    RunAll(scheduler);
    const auto again = Add(scheduler, a);
    RunAll(scheduler);
    EXPECT_EQ(again->done[0].n_cached, 0);
    EXPECT_EQ(again->logprobs(), told->logprobs());
    const auto follows = Add(scheduler, NextTurn(a, *told, 9));
    RunAll(scheduler);
    EXPECT_EQ(follows->done[0].n_cached, deterministic ? 0 : 129);
    const auto begins_alike = Add(scheduler, same_start);
    RunAll(scheduler);
    EXPECT_EQ(begins_alike->done[0].n_cached, 0);
    EXPECT_EQ(begins_alike->logprobs(), Alone(same_start).logprobs());
  }
}

TEST_F(SchedulerTest, ANamedSessionGoesOnUnderDeterministicToo) {
  Scheduler scheduler(model_, {.deterministic = true});
  BatchRequest a = Request(100, 7, "snapkv:budget=40,window=16");
  a.session = "s";
  const auto told = Add(scheduler, a);
  RunAll(scheduler);
  const auto follows = Add(scheduler, NextTurn(a, *told, 9));
  RunAll(scheduler);
  EXPECT_EQ(follows->done[0].n_cached, 129);
}

TEST_F(SchedulerTest, TenantsAndSaltsShareNothing) {
  Scheduler scheduler(model_, {});
  BatchRequest request = Request(100, 7);
  const auto n_cached = [&] {
    const auto told = Add(scheduler, request);
    RunAll(scheduler);
    return told->done[0].n_cached;
  };
  EXPECT_EQ(n_cached(), 0);
  EXPECT_EQ(n_cached(), 99);
  request.tenant = "b";
  EXPECT_EQ(n_cached(), 0);
  request.salt = "pepper";
  EXPECT_EQ(n_cached(), 0);
  request.tenant = "";
  EXPECT_EQ(n_cached(), 0);
  request.salt = "";
  EXPECT_EQ(n_cached(), 99);
  request.cache_prompt = false;
  EXPECT_EQ(n_cached(), 0);
}

TEST_F(SchedulerTest, CancelledAnswersGiveTheirPagesBackAtOnce) {
  Scheduler scheduler(model_, {.n_slots = 2});
  BatchRequest request = Request(200, 7);
  request.n_answers = 2;
  const auto running = Add(scheduler, request);
  const uint64_t id = last_id_;
  for (int i = 0; i < 4; ++i) scheduler.Step();
  EXPECT_GT(scheduler.pool().used_bytes(), 0);
  Add(scheduler, Request(10, 8));
  scheduler.Cancel(last_id_);  // while it waits
  scheduler.Cancel(id);
  EXPECT_EQ(scheduler.pool().used_bytes(), 0);
  EXPECT_TRUE(scheduler.idle());
  EXPECT_FALSE(scheduler.Step());
  EXPECT_TRUE(running->done.empty());
}

TEST_F(SchedulerTest, ATimeToLiveEndsACache) {
  Scheduler scheduler(model_, {});
  BatchRequest request = Request(100, 7);
  request.ttl_s = 0;
  Add(scheduler, request);
  RunAll(scheduler);
  EXPECT_EQ(scheduler.pool().used_bytes(), 0);
}

TEST_F(SchedulerTest, ImportantRequestsGoFirstAndTenantsTakeTurns) {
  Scheduler scheduler(model_, {.n_slots = 1});
  std::vector<std::string> order;
  const auto add = [&](const std::string& tenant, int priority) {
    BatchRequest request = Request(10, 7);
    request.n_tokens = 2;
    request.tenant = tenant;
    request.priority = priority;
    const auto spec = SequenceSpec::Make(*model_, {.kv = "full"});
    const auto tell = std::make_shared<const BatchEventFn>([&order, tenant](BatchEvent event) {
      if (event.kind == BatchEvent::Kind::kDone) order.push_back(tenant);
    });
    Scheduler::Answers answers;
    answers.push_back(std::make_unique<BatchJob>(
        ++last_id_, 0, std::make_shared<const BatchRequest>(request), *spec, tell, *model_));
    scheduler.Add(std::move(answers));
  };
  add("a1", 0);
  add("a2", 0);
  add("urgent", 1);
  RunAll(scheduler);
  EXPECT_THAT(order, ElementsAre("urgent", "a1", "a2"));
}

// Who waits for one slot, or for many at once, lets others have what it does not need; in the end
// slots are kept for it.
TEST_F(SchedulerTest, OthersPassWhoWaitsForMoreThanIsFree) {
  struct Case {
    int slot, n_answers;
    std::chrono::seconds age;
    bool passes;
  };
  for (const Case& c : {Case{0, 1, {}, true}, Case{0, 1, std::chrono::hours(1), true},
                        Case{-1, 3, {}, true}, Case{-1, 3, std::chrono::hours(1), false}}) {
    Scheduler scheduler(model_, {.n_slots = 3});
    BatchRequest request = Request(20, 5);
    request.slot = 0;
    const auto running = Add(scheduler, request);
    scheduler.Step();
    request.slot = c.slot;
    request.n_answers = c.n_answers;
    const auto waiting = Add(scheduler, request, c.age);
    request = Request(20, 6);
    request.n_tokens = 2;
    const auto other = Add(scheduler, request);
    for (int i = 0; i < 5; ++i) scheduler.Step();
    EXPECT_EQ(other->done.size(), c.passes ? 1u : 0u) << c.slot << " " << c.n_answers;
    EXPECT_TRUE(running->done.empty());
    RunAll(scheduler);
    EXPECT_EQ(waiting->done.size(), static_cast<size_t>(c.n_answers));
    EXPECT_EQ(other->done.size(), 1u);
  }
}

TEST_F(SchedulerTest, ATenantHasNoMoreAnswersAtATimeThanItMay) {
  Scheduler scheduler(model_, {.n_slots = 4});
  BatchRequest request = Request(20, 5);
  request.tenant = "a";
  request.most_at_once = 2;
  for (int i = 0; i < 4; ++i) Add(scheduler, request);
  request.tenant = "b";
  request.most_at_once = 0;
  const auto other = Add(scheduler, request);
  scheduler.Step();
  EXPECT_EQ(scheduler.figures().n_running, 3);
  RunAll(scheduler);
  EXPECT_EQ(scheduler.figures().finished[1], 5);
}

// More answers than slots come in turn, and are those that more slots give; requests that came
// together are numbered through, and each counts its prompt once.
TEST_F(SchedulerTest, RequestsThatCameTogetherAreOne) {
  std::vector<BatchRequest> requests = {Request(40, 5), Request(50, 6, "streaming:budget=30")};
  requests[0].n_answers = 5;
  requests[0].prompt_logprobs = true;
  requests[1].n_answers = 2;
  const auto all = [&](int n_slots) {
    auto engine = BatchEngine::Start(model_, {.n_slots = n_slots, .queue = 0});
    Told told;
    std::promise<void> done;
    int n_first = 0;
    const auto id = (*engine)->Submit(requests, [&](BatchEvent event) {
      auto& tokens =
          event.kind == BatchEvent::Kind::kPromptRead ? told.prompt : told.tokens[event.answer];
      for (TokenRecord& token : event.tokens) tokens.push_back(std::move(token));
      if (event.kind != BatchEvent::Kind::kDone) return;
      n_first += event.outcome.first_of_prompt;
      told.done[event.answer] = std::move(event.outcome);
      if (told.done.size() == 7) done.set_value();
    });
    EXPECT_TRUE(id);
    done.get_future().wait();
    EXPECT_EQ(n_first, 2);
    EXPECT_EQ(told.prompt.size(), 40u);
    return told;
  };
  Told wide = all(8), narrow = all(2), one = all(1);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(narrow.logprobs(i), wide.logprobs(i)) << i;
    EXPECT_EQ(one.logprobs(i), wide.logprobs(i)) << i;
  }
  EXPECT_NE(wide.ids(0), wide.ids(4));
}

TEST_F(SchedulerTest, PromptLogprobsAreThoseOfAScore) {
  BatchRequest request = Request(70, 7);
  request.prompt_logprobs = true;
  request.n_tokens = 0;
  auto session = OpenSession(model_);
  std::vector<float> expected;
  ASSERT_TRUE(session->FeedScored(request.prompt, [&](int64_t row, std::span<const float> logits) {
    if (row + 1 < 70) {
      expected.push_back(logits[request.prompt[row + 1]] - LogSumExp(model_->isa(), logits));
    }
  }));
  Scheduler scheduler(model_, {.step_rows = 20});
  const auto told = Add(scheduler, request);
  RunAll(scheduler);
  ASSERT_EQ(told->prompt.size(), 70u);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(told->prompt[i + 1].logprob, expected[i]) << i;
  }
  EXPECT_EQ(told->done[0].n_generated, 0);
}

TEST_F(SchedulerTest, PinnedTokensStay) {
  BatchRequest request = Request(200, 7, "snapkv:budget=40,window=16");
  request.pins = {{30, 50}};
  Told told = Alone(request);
  BatchRequest plain = request;
  plain.pins.clear();
  const int64_t more = told.done[0].kv.entries - Alone(plain).done[0].kv.entries;
  EXPECT_GT(more, 0);
  EXPECT_LE(more, 20 * 4 * 2);  // of 4 layers with 2 heads; some would have stayed anyhow
}

// What is merged into another entry cannot stay beside it.
TEST_F(SchedulerTest, PinsAndMergingAreRefusedTogether) {
  auto engine = BatchEngine::Start(model_, {.n_slots = 1});
  ASSERT_TRUE(engine);
  BatchRequest request = Request(200, 7, "merge + h2o:budget=40");
  request.pins = {{30, 50}};
  const auto id = (*engine)->Submit(request, [](BatchEvent) {});
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().refusal, Refusal::kBadRequest);
  EXPECT_THAT(id.error().message, HasSubstr("cannot be pinned"));
}

// As Generate does it; each answer follows the form for itself, and its neighbours know of none.
TEST_F(SchedulerTest, AConstraintHoldsEachAnswer) {
  constexpr char kForm[] = "root ::= \"ab\" [0-9]{3,20} \"z\"";
  BatchRequest request = Request(50, 7);
  const auto grammar = grammar::ParseGbnf(kForm);
  ASSERT_TRUE(grammar);
  request.constraint = MakeConstraint(*model_, *grammar);
  request.n_answers = 3;
  Scheduler scheduler(model_, {});
  const BatchRequest free = Request(60, 8);
  const auto told = Add(scheduler, request), neighbour = Add(scheduler, free);
  RunAll(scheduler);
  ASSERT_FALSE(told->error);
  for (int i = 0; i < 3; ++i) {
    auto session = OpenSession(model_);
    ASSERT_TRUE(session->Feed(request.prompt, {}));
    const auto constraint = Constraint::FromGrammar(*model_, kForm);
    SamplingOptions sampling = request.sampling;
    sampling.seed += i;
    const auto expected = Generate(*session, {.n_tokens = 30,
                                              .ignore_eos = true,
                                              .sampling = sampling,
                                              .constraint = constraint->get()});
    ASSERT_TRUE(expected);
    EXPECT_EQ(told->ids(i), expected->ids);
    EXPECT_EQ(told->text[i], expected->text);
    EXPECT_THAT(told->text[i], testing::StartsWith("ab"));
    EXPECT_EQ(told->done[i].finish, expected->stop_reason == "eos" ? "stop" : "length");
  }
  EXPECT_EQ(neighbour->ids(), Alone(free).ids());
}

TEST_F(SchedulerTest, BiasAndPenaltiesSteer) {
  BatchRequest request = Request(20, 7);
  request.sampling = {.logit_bias = {{77, 100.0f}}};
  EXPECT_EQ(Alone(request).ids(), std::vector<int32_t>(30, 77));
  request.sampling.presence_penalty = 2;
  request.sampling.frequency_penalty = 2;
  request.sampling.logit_bias = {{77, 30.0f}};
  Told told = Alone(request);
  const auto ids = told.ids();
  EXPECT_EQ(ids[0], 77);
  EXPECT_LT(std::count(ids.begin(), ids.end(), 77), 20);  // 2 for each time: 30 are used up
}

TEST_F(SchedulerTest, TheEngineServesFromManyThreads) {
  auto engine = BatchEngine::Start(model_, {.n_slots = 3, .queue = 100});
  ASSERT_TRUE(engine);
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 6; ++i) {
        std::promise<void> done;
        std::atomic<int> n_tokens = 0;
        const auto id = (*engine)->Submit(Request(30, 100 * c + i), [&](BatchEvent event) {
          if (event.kind == BatchEvent::Kind::kText) ++n_tokens;
          if (event.kind == BatchEvent::Kind::kDone || event.kind == BatchEvent::Kind::kError) {
            done.set_value();
          }
        });
        ASSERT_TRUE(id) << id.error().message;
        done.get_future().wait();
        EXPECT_GT(n_tokens, 0);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  while (!(*engine)->idle()) std::this_thread::yield();  // figures follow the last event
  EXPECT_EQ((*engine)->figures().finished[1], 24);
}

TEST_F(SchedulerTest, TheEngineRefusesWhatItCannotServe) {
  auto engine = BatchEngine::Start(model_, {.n_slots = 1, .kv_memory = PagesFor(256), .queue = 1});
  ASSERT_TRUE(engine);
  const auto refusal = [&](const BatchRequest& request) {
    const auto id = (*engine)->Submit(request, [](BatchEvent) {});
    return id ? std::optional<Refusal>() : id.error().refusal;
  };
  EXPECT_EQ(refusal(Request(10, 1, "snapkv:budgt=3")), Refusal::kBadRequest);
  EXPECT_EQ(refusal(Request(400, 1)), Refusal::kNoKvMemory);
  EXPECT_EQ(refusal({.prompt = {}, .n_tokens = 1}), Refusal::kBadRequest);
  EXPECT_EQ(refusal({.prompt = {1 << 20}, .n_tokens = 1}), Refusal::kBadRequest);
  // One of those that came together refuses all.
  const auto together = (*engine)->Submit({Request(10, 1), Request(400, 1)}, [](BatchEvent) {});
  ASSERT_FALSE(together);
  EXPECT_EQ(together.error().refusal, Refusal::kNoKvMemory);
  BatchRequest endless = Request(10, 1);
  endless.n_tokens = 200;
  std::vector<std::optional<Refusal>> answers;
  for (int i = 0; i < 4; ++i) answers.push_back(refusal(endless));
  EXPECT_EQ(answers[0], std::nullopt);
  EXPECT_EQ(answers.back(), Refusal::kQueueFull);
  (*engine)->Close();
  EXPECT_EQ(refusal(Request(10, 1)), Refusal::kShuttingDown);
}

}  // namespace
}  // namespace kvasir::testing_
