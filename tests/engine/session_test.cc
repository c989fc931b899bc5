// The invariants of sessions: what may not change a result, and what errors must leave untouched.
#include "engine/session.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

using Logits = std::vector<std::vector<float>>;

class SessionTest : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(700, 1), forced_ = RandomIds(40, 2);

  Logits RunSpec(const std::string& spec, SessionOptions options = {}) {
    options.kv = spec;
    auto session = OpenSession(model_, options);
    return Feed(*session, prompt_, forced_);
  }
  // A session that has read the prompt generates as if nothing else had been done to it.
  void ExpectGoesOn(Session& session, const std::string& spec) {
    Logits after;
    for (int32_t id : forced_) {
      ASSERT_TRUE(session.Step(id));
      after.emplace_back(session.logits().begin(), session.logits().end());
    }
    const Logits expected = RunSpec(spec);
    EXPECT_TRUE(std::equal(after.begin(), after.end(), expected.begin() + 1)) << spec;
  }
};

const char* const kSessionSpecs[] = {"full", "streaming:budget=200", "snapkv:budget=150,window=16",
                                     "renumber + streaming:budget=200",
                                     "renumber + snapkv:budget=20%"};

// Invariants 5 and 6: all bits, not nearly.
TEST_F(SessionTest, BudgetThatCoversTheLengthIsFull) {
  const Logits full = RunSpec("full");
  for (const char* spec : {"streaming:budget=740", "snapkv:budget=2k", "streaming:budget=1M",
                           "renumber + streaming:budget=740", "snapkv:budget=100%"}) {
    EXPECT_EQ(RunSpec(spec), full) << spec;
  }
}

TEST_F(SessionTest, ChunksAndPrefillOrderChangeNoBit) {
  for (const char* spec : kSessionSpecs) {
    const Logits expected = RunSpec(spec);
    for (int chunk : {1, 7, 64, 700}) {
      for (bool chunk_major : {false, true}) {
        EXPECT_EQ(RunSpec(spec, {.chunk = chunk, .chunk_major = chunk_major}), expected)
            << spec << " chunk " << chunk << " chunk-major " << chunk_major;
      }
    }
  }
}

TEST_F(SessionTest, ThreadsChangeNoBit) {
  for (const char* spec : kSessionSpecs) {
    const Logits expected = RunSpec(spec);
    for (int threads : {2, 3}) {
      auto session = OpenSession(LoadModel(GoldenModel("llama.gguf"), threads), {.kv = spec});
      EXPECT_EQ(Feed(*session, prompt_, forced_), expected) << spec << " threads " << threads;
    }
  }
}

TEST_F(SessionTest, EveryCodecRunsAndF32IsClosest) {
  const Logits exact = RunSpec("full", {.kv_type = "f32"});
  double before = 0;
  for (const char* codec : {"i16", "f16", "bf16", "q8", "q4"}) {
    const Logits logits = RunSpec("full", {.kv_type = codec});
    double sum = 0;
    for (size_t i = 0; i < exact.back().size(); ++i) {
      sum += std::abs(exact.back()[i] - logits.back()[i]);
    }
    EXPECT_GT(sum, before) << codec;                  // each is coarser than the one before
    before = std::string(codec) == "bf16" ? 0 : sum;  // q8 may be finer than bf16
    for (const char* spec : kSessionSpecs) RunSpec(spec, {.kv_type = codec});
  }
}

// State does not leak between requests: A, B, A.
TEST_F(SessionTest, ThirdRunEqualsTheFirst) {
  for (const char* spec : kSessionSpecs) {
    auto session = OpenSession(model_, {.kv = spec});
    const Logits first = Feed(*session, prompt_, forced_);
    session->Reset();
    Feed(*session, RandomIds(300, 9), RandomIds(5, 10));
    session->Reset();
    EXPECT_EQ(Feed(*session, prompt_, forced_), first) << spec;
    session->Reset();
    EXPECT_EQ(session->pool().used_bytes(), 0);
  }
}

// Neighbours in a batch change nothing: rows of two sequences through one Forward::Run.
TEST_F(SessionTest, BatchNeighboursChangeNoBit) {
  Forward& forward = model_->forward();
  const ModelConfig& config = model_->config();
  PagePool pool;
  const std::vector<HeadFormat> formats(
      config.n_layers, HeadFormat{.head_dim = config.head_dim, .k_plane = {}, .v_plane = {}});
  const auto run = [&](std::vector<std::vector<int32_t>> prompts) {
    std::vector<KvCache> caches;
    std::vector<Segment> segments;
    std::vector<int32_t> ids;
    caches.reserve(prompts.size());
    for (const auto& prompt : prompts) {
      caches.emplace_back(pool, formats, config.n_kv_heads);
      segments.push_back({.cache = &caches.back(),
                          .first_row = static_cast<int64_t>(ids.size()),
                          .n_rows = static_cast<int64_t>(prompt.size()),
                          .first_order = 0});
      ids.insert(ids.end(), prompt.begin(), prompt.end());
    }
    std::vector<float> x(ids.size() * config.hidden);
    const auto view = Mat(x.data(), static_cast<int64_t>(ids.size()), config.hidden);
    forward.Embed(ids, view);
    EXPECT_TRUE(forward.Run(0, config.n_layers, view, segments));
    x.resize(prompts[0].size() * config.hidden);
    return x;
  };
  const std::vector<int32_t> a = RandomIds(90, 3), b = RandomIds(33, 4), c = RandomIds(1, 5);
  EXPECT_EQ(run({a, b, c}), run({a}));
  EXPECT_EQ(run({c, a, b}), run({c}));
}

// Invariant 9: the second turn goes on at the true position, on what was kept.
TEST_F(SessionTest, SecondTurnEqualsFeedingTheSameTokensAsGenerated) {
  for (const char* spec : {"full", "snapkv:budget=150,window=16"}) {
    auto stepped = OpenSession(model_, {.kv = spec});
    const Logits expected = Feed(*stepped, prompt_, forced_);
    auto turned = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(turned->Feed(prompt_, {}));
    ASSERT_TRUE(turned->Feed(forced_, {}));
    EXPECT_EQ(std::vector<float>(turned->logits().begin(), turned->logits().end()), expected.back())
        << spec;
    const auto positions = turned->cache().layer(0)[0].Positions();
    EXPECT_EQ(positions.back(), static_cast<int32_t>(prompt_.size() + forced_.size()) - 1);
  }
}

// Invariant 2, measured by the allocator.
TEST_F(SessionTest, EvictingNineTenthsReturnsNineTenths) {
  prompt_ = RandomIds(6400, 7);
  auto full = OpenSession(model_, {.ctx = 10000});
  ASSERT_TRUE(full->Feed(prompt_, {}));
  auto kept = OpenSession(model_, {.kv = "streaming:budget=10%", .ctx = 10000});
  ASSERT_TRUE(kept->Feed(prompt_, {}));
  EXPECT_LE(kept->pool().used_bytes(), full->pool().used_bytes() * 11 / 100);
  EXPECT_LE(kept->kv().bytes, full->kv().bytes * 12 / 100);
  EXPECT_EQ(kept->kv().entries, 640 * 4 * 2);
  EXPECT_EQ(kept->kv().bytes_full, full->kv().bytes);
  // Layer-major: never more than one layer at full length and the kept part of the others.
  const int64_t layer = full->pool().used_bytes() / 4;
  EXPECT_LE(kept->pool().peak_bytes(), layer + full->pool().used_bytes() * 12 / 100);
}

TEST_F(SessionTest, WindowLayersHoldTheirWindowOnly) {
  auto session = OpenSession(LoadModel(GoldenModel("gemma2.gguf")));
  ASSERT_TRUE(session->Feed(prompt_, {}));
  EXPECT_LE(session->cache().layer(0)[0].size(), 96 + 64);
  EXPECT_EQ(session->cache().layer(1)[0].size(), 700);
  EXPECT_THAT(session->Truncate(300).error().message, testing::HasSubstr("window of 96"));
  // An edited last turn reads only what is new, and that as if it had been there (trap 3.16).
  ASSERT_TRUE(session->Truncate(690));
  ASSERT_TRUE(session->Feed(forced_, {}));
  auto fresh = OpenSession(LoadModel(GoldenModel("gemma2.gguf")));
  std::vector<int32_t> text(prompt_.begin(), prompt_.begin() + 690);
  text.insert(text.end(), forced_.begin(), forced_.end());
  ASSERT_TRUE(fresh->Feed(text, {}));
  EXPECT_TRUE(std::ranges::equal(session->logits(), fresh->logits()));
}

// Heads that keep different numbers of entries take the pages of what they keep, and no more
// (trap 3.8).
TEST_F(SessionTest, AHeadTakesThePagesOfItsOwnEntries) {
  auto session = OpenSession(model_, {.kv = "adakv:floor=1% + keydiff:budget=30%"});
  ASSERT_TRUE(session->Feed(prompt_, {}));
  int64_t bytes = 0, shortest = 700, longest = 0;
  for (int l = 0; l < session->cache().n_layers(); ++l) {
    for (const HeadCache& head : session->cache().layer(l)) {
      const int64_t page = HeadCache::PageBytes(head.format());
      EXPECT_LE(head.bytes().total(), (head.size() / kPageEntries + 2) * page);
      bytes += head.bytes().total();
      shortest = std::min(shortest, head.size());
      longest = std::max(longest, head.size());
    }
  }
  EXPECT_LT(shortest + 64, longest);
  EXPECT_EQ(bytes, session->kv().bytes);
  EXPECT_LT(bytes, session->kv().bytes_full / 2);
}

TEST_F(SessionTest, TruncateThenFeedEqualsFresh) {
  auto edited = OpenSession(model_);
  ASSERT_TRUE(edited->Feed(prompt_, {}));
  ASSERT_TRUE(edited->Truncate(400));
  ASSERT_TRUE(edited->Feed(forced_, {}));
  auto fresh = OpenSession(model_);
  std::vector<int32_t> text(prompt_.begin(), prompt_.begin() + 400);
  text.insert(text.end(), forced_.begin(), forced_.end());
  ASSERT_TRUE(fresh->Feed(text, {}));
  EXPECT_TRUE(std::ranges::equal(edited->logits(), fresh->logits()));
}

TEST_F(SessionTest, TruncateBehindACompressionIsRefused) {
  auto session = OpenSession(model_, {.kv = "snapkv:budget=100"});
  ASSERT_TRUE(session->Feed(prompt_, {}));
  ASSERT_TRUE(session->Step(5));
  const Status status = session->Truncate(600);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("compressed the cache at token 700"));
  EXPECT_EQ(session->tokens().size(), 701u);
  EXPECT_TRUE(session->Truncate(700));
}

// Before a method has dropped anything: what follows is chosen as if what was cut had never been
// read. Sums of attention (h2o) hold what it gave, so there is no way back.
TEST_F(SessionTest, WhatWasCutChoosesNothing) {
  const std::span<const int32_t> prompt(prompt_.data(), 200);
  for (const auto& [spec, n_left, goes] : {std::tuple("h2o:budget=250", 205, false),
                                           {"h2o:budget=250", 150, false},
                                           {"keyformer:budget=250", 205, false},
                                           {"kvmerger:budget=250,when=always", 205, false},
                                           {"mikv + h2o:budget=250", 205, false},
                                           {"expected:budget=250,when=always", 205, false},
                                           {"h2o:budget=250,when=prompt", 205, true},
                                           {"h2o:budget=250,when=prompt", 150, false},
                                           {"tova:budget=250", 205, true},
                                           {"rkv:budget=250,every=8", 205, true},
                                           {"snapkv:budget=250,when=always", 150, true},
                                           {"expected:budget=250", 205, true},
                                           {"mikv + tova:budget=250", 205, true},
                                           {"streaming:budget=250", 150, true}}) {
    auto cut = OpenSession(model_, {.kv = spec}), fresh = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(cut->Feed(prompt, {}));
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(cut->Step(i < 5 ? forced_[i] : 300 + i));
    ASSERT_EQ(cut->Truncate(n_left).has_value(), goes) << spec << " " << n_left;
    if (!goes) {
      EXPECT_EQ(cut->tokens().size(), 230u);
      continue;
    }
    ASSERT_TRUE(fresh->Feed(prompt.first(std::min(n_left, 200)), {}));
    for (int i = 0; i < n_left - 200; ++i) ASSERT_TRUE(fresh->Step(forced_[i]));
    const auto expected = Feed(*fresh, RandomIds(60, 5), RandomIds(80, 6));
    EXPECT_EQ(Feed(*cut, RandomIds(60, 5), RandomIds(80, 6)), expected) << spec << " " << n_left;
  }
}

// What is encoded entry by entry is after a cut what it would be without what was cut.
TEST_F(SessionTest, TruncateBehindACodecEqualsAShorterText) {
  for (const char* spec : {"q8", "q4", "hadamard + q4"}) {
    auto cut = OpenSession(model_, {.kv = spec}), fresh = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(cut->Feed(prompt_, {}));
    ASSERT_TRUE(cut->Step(5));
    ASSERT_TRUE(cut->Truncate(300)) << spec;
    ASSERT_TRUE(fresh->Feed({prompt_.data(), 300}, {}));
    for (int32_t id : forced_) {
      ASSERT_TRUE(cut->Step(id) && fresh->Step(id));
      ASSERT_TRUE(std::ranges::equal(cut->logits(), fresh->logits())) << spec;
    }
  }
}

TEST_F(SessionTest, ForksGoTheirOwnWays) {
  for (const char* spec : kSessionSpecs) {
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(session->Feed(prompt_, {}));
    const int64_t alone = session->pool().used_bytes();
    auto fork = *session->Fork();
    EXPECT_EQ(session->pool().used_bytes(), alone);
    for (int32_t id : RandomIds(80, 11)) ASSERT_TRUE(fork->Step(id));
    ExpectGoesOn(*session, spec);
  }
}

TEST_F(SessionTest, SaveAndLoadGoOnAsIfNothingHappened) {
  const std::string path = testing::TempDir() + "/kvasir_session_test.bin";
  for (const char* spec : kSessionSpecs) {
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(session->Feed(prompt_, {}));
    ASSERT_TRUE(session->Save(path));
    auto loaded = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(loaded->Load(path));
    EXPECT_EQ(loaded->pool().used_bytes(), session->pool().used_bytes());
    for (int32_t id : forced_) {
      ASSERT_TRUE(session->Step(id));
      ASSERT_TRUE(loaded->Step(id));
      ASSERT_TRUE(std::ranges::equal(session->logits(), loaded->logits())) << spec;
    }
    auto other = OpenSession(model_, {.kv = "streaming:budget=77"});
    EXPECT_THAT(other->Load(path).error().message, testing::HasSubstr("saved with --kv"));
  }
}

TEST_F(SessionTest, DamagedFilesAreRefusedAndChangeNothing) {
  const std::string path = testing::TempDir() + "/kvasir_session_damage.bin";
  auto session = OpenSession(model_);
  ASSERT_TRUE(session->Feed(RandomIds(100, 3), {}));
  ASSERT_TRUE(session->Save(path));
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  auto other = OpenSession(model_);
  ASSERT_TRUE(other->Feed(RandomIds(10, 4), {}));
  for (int percent = 0; percent < 100; percent += 7) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, bytes.size() * percent / 100);
    EXPECT_FALSE(other->Load(path)) << percent;
    std::string flipped = bytes;
    flipped[bytes.size() * percent / 100] ^= 1;
    std::ofstream(path, std::ios::binary) << flipped;
    EXPECT_FALSE(other->Load(path)) << percent;
  }
  EXPECT_EQ(other->tokens().size(), 10u);
  EXPECT_TRUE(other->Step(7));
}

TEST_F(SessionTest, FailedSaveLeavesTheOlderFile) {
  auto session = OpenSession(model_);
  ASSERT_TRUE(session->Feed(prompt_, {}));
  const Status status = session->Save("/nonexistent/folder/file");
  EXPECT_THAT(status.error().message, testing::HasSubstr("cannot write"));
  if (std::filesystem::exists("/dev/full")) {
    // A disk that is full: the temporary cannot be made beside a device, so write through a link.
    EXPECT_FALSE(session->Save("/dev/full/x"));
  }
}

// An interrupted or refused prompt leaves the session as it was.
TEST_F(SessionTest, InterruptedPromptIsRolledBack) {
  for (const char* spec : {"full", "snapkv:budget=100"}) {
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(session->Feed(prompt_, {}));
    const auto bytes = session->pool().used_bytes();
    int calls = 0;
    EXPECT_FALSE(session->Feed(forced_, [&](int64_t, int64_t) { return ++calls < 3; }));
    EXPECT_EQ(session->tokens(), prompt_);
    EXPECT_EQ(session->pool().used_bytes(), bytes);
    ExpectGoesOn(*session, spec);
  }
}

TEST_F(SessionTest, MemoryLimitIsAnErrorThatNamesTheNumbers) {
  auto session = OpenSession(model_, {.kv_memory = 256 * 1024});
  const Status status = session->Feed(prompt_, {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("of 262144 available"));
  EXPECT_EQ(session->pool().used_bytes(), 0);
  EXPECT_TRUE(session->Feed(RandomIds(64, 3), {}));
  int n = 0;
  while (session->Step(5)) ++n;  // until it is full
  EXPECT_GT(n, 0);
  const auto tokens = session->tokens().size();
  EXPECT_FALSE(session->Step(5));
  EXPECT_EQ(session->tokens().size(), tokens);
}

TEST_F(SessionTest, PromptLongerThanTheContextNamesBoth) {
  auto session = OpenSession(model_, {.ctx = 100});
  EXPECT_THAT(session->Feed(prompt_, {}).error().message,
              testing::AllOf(testing::HasSubstr("700"), testing::HasSubstr("100")));
  EXPECT_FALSE(session->Feed({}, {}));
  const int32_t bad[] = {512};
  EXPECT_THAT(session->Feed(bad, {}).error().message, testing::HasSubstr("0..511"));
}

TEST_F(SessionTest, StreamingHoldsItsBudgetWhileGenerating) {
  auto session = OpenSession(model_, {.kv = "renumber + streaming:budget=128,sinks=4"});
  ASSERT_TRUE(session->Feed(prompt_, {}));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(session->Step(9));
  const HeadCache& head = session->cache().layer(2)[1];
  ASSERT_EQ(head.size(), 128);
  const std::vector<int32_t> orders = head.Orders(), positions = head.Positions();
  EXPECT_EQ(orders[3], 3);
  EXPECT_EQ(orders[4], 1000 - 124);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(positions[i], i);
}

}  // namespace
}  // namespace kvasir::testing_
