// Methods that merge, in whole sessions: counts, exactness, turns, copies, codecs.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "engine/cpu_ops.h"
#include "tests/engine/contract_specs.h"
#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class Merging : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  const std::string razor_ = "razor:heads=" + RazorFile(*model_);

  static void ExpectCounts(const SessionImpl& session, const std::string& spec) {
    const auto n = static_cast<double>(session.tokens().size());
    int64_t bytes = 0;
    for (int l = 0; l < session.cache().n_layers(); ++l) {
      for (const HeadCache& head : session.cache().layer(l)) {
        const std::vector<float> counts = head.Column(kCountColumn);
        ASSERT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0), n) << spec << " layer " << l;
        bytes += head.bytes().keys + head.bytes().values;
      }
    }
    EXPECT_EQ(bytes, session.pool().used_bytes()) << spec;
  }
};

TEST_F(Merging, CountsAddUpToTheTokensReadThroughTurns) {
  for (const std::string& spec :
       {std::string("kvmerger:budget=60"), std::string("kvmerger:budget=60,when=always,tail=8"),
        std::string("kvmerger:mode=threshold,eps=0.3,skip=none"),
        std::string("merge:least=-1 + h2o:budget=60"),
        std::string("merge:least=-1 + tova:budget=60"),
        std::string("decode:every=4 + merge:least=-1,counts=true + keydiff:budget=60"),
        razor_ + ",budget=60", razor_ + ",min_buffer=10,share=10%"}) {
    auto session = OpenSession(model_, {.kv = spec});
    ASSERT_NE(session, nullptr) << spec;
    Feed(*session, RandomIds(230, 1), RandomIds(40, 2));
    ExpectCounts(*session, spec);
    ASSERT_TRUE(session->Feed(RandomIds(50, 3), {}));
    ExpectCounts(*session, spec);
    for (int32_t id : RandomIds(20, 4)) ASSERT_TRUE(session->Step(id));
    ExpectCounts(*session, spec);
    const auto fork = session->Fork();
    ASSERT_TRUE(fork);
    for (int32_t id : RandomIds(20, 5)) ASSERT_TRUE(session->Step(id) && (*fork)->Step(id));
    EXPECT_TRUE(std::ranges::equal(session->logits(), (*fork)->logits())) << spec;
  }
}

TEST_F(Merging, WhatMergesNothingIsFull) {
  auto full = OpenSession(model_, {.kv = "full"});
  const auto expected = Feed(*full, RandomIds(230, 1), RandomIds(20, 2));
  for (const std::string& spec :
       {std::string("kvmerger:mode=threshold,eps=1"), std::string("kvmerger:budget=100%"),
        std::string("kvmerger:budget=4k,when=always,tail=8"),
        std::string("kvmerger:budget=4k,when=always,tail=8,skip=auto"),
        std::string("merge + h2o:budget=4k"), razor_, razor_ + ",min_buffer=10,induction=100%",
        razor_ + ",budget=100%"}) {
    auto session = OpenSession(model_, {.kv = spec});
    EXPECT_EQ(Feed(*session, RandomIds(230, 1), RandomIds(20, 2)), expected) << spec;
  }
}

// A head that retrieves holds the bytes of the uncompressed cache, wherever a needle lies.
TEST_F(Merging, HeadsThatRetrieveAreNotTouched) {
  auto full = OpenSession(model_, {.kv = "full"});
  auto razor = OpenSession(model_, {.kv = razor_ + ",min_buffer=20,share=0"});
  Feed(*full, RandomIds(230, 1), {});
  Feed(*razor, RandomIds(230, 1), {});
  int n_whole = 0;
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 2; ++h) {
      const HeadCache &a = full->cache().layer(l)[h], &b = razor->cache().layer(l)[h];
      if (b.size() != 230) {
        EXPECT_EQ(b.size(), 4 + 20 + 1);
        continue;
      }
      ++n_whole;
      // Layer-major prefill: what comes into a layer was computed on whole caches below it.
      EXPECT_EQ(ReadPlane(a, PlaneKind::kKeys), ReadPlane(b, PlaneKind::kKeys));
      EXPECT_EQ(ReadPlane(a, PlaneKind::kValues), ReadPlane(b, PlaneKind::kValues));
    }
  }
  EXPECT_EQ(n_whole, 1);  // round(14 % of 8)
}

// It stands for most of the text, so it stays as new entries are; also where what was folded first
// had been encoded before.
TEST_F(Merging, TheCompensationEntryIsNotEncoded) {
  for (const char* codec : {"q8", "q4", "kivi:bits=2,residual=32", "vidkv:residual=32",
                            "ages:window=0,middle=32", "q4:sinks=6"}) {
    for (const int n_prompt : {230, 40}) {
      auto session =
          OpenSession(model_, {.kv = razor_ + ",induction=0,echo=0,budget=60 + " + codec});
      Feed(*session, RandomIds(n_prompt, 1), RandomIds(150, 2));
      const HeadCache& head = session->cache().layer(2)[1];
      ASSERT_GT(head.n_folded(), 50) << codec;
      const std::vector<float> counts = head.Column(kCountColumn);
      ASSERT_EQ(counts[4], static_cast<float>(head.n_folded())) << codec;
      for (PlaneKind kind : {PlaneKind::kKeys, PlaneKind::kValues}) {
        const PlaneFormat staging =
            kind == PlaneKind::kKeys ? head.format().k() : head.format().v();
        const auto staged = head.Entries({kind, staging, 0, head.n_staged(kind)});
        EXPECT_TRUE(std::ranges::binary_search(staged, 4)) << codec << " after " << n_prompt;
        EXPECT_LT(staged.size(), 60u) << codec;  // the others are encoded
      }
    }
  }
}

TEST_F(Merging, LowBitCodecsStayClose) {
  for (const std::string& spec : {std::string("kvmerger:budget=50%"), razor_ + ",budget=50%",
                                  std::string("merge + tova:budget=50%")}) {
    const auto run = [&](const char* codec) {
      auto session = OpenSession(model_, {.kv = spec, .kv_type = codec});
      return Feed(*session, RandomIds(230, 1), RandomIds(10, 2)).back();
    };
    const std::vector<float> exact = run("f32");
    for (const auto& [codec, most] : {std::pair("f16", 0.05), std::pair("q8", 0.5)}) {
      const std::vector<float> logits = run(codec);
      double worst = 0;
      for (size_t i = 0; i < logits.size(); ++i) {
        worst = std::max(worst, std::abs(double{logits[i]} - exact[i]));
      }
      EXPECT_LT(worst, most) << spec << " " << codec;
    }
  }
}

// Products against plain loops, on the keys of a real prompt.
TEST_F(Merging, NearestKeysAreThoseOfPlainLoops) {
  auto session = OpenSession(model_, {.kv = "full"});
  Feed(*session, RandomIds(230, 1), {});
  std::vector<int32_t> from, to;
  for (int32_t i = 0; i < 230; ++i) (i % 3 == 0 ? to : from).push_back(i);
  const MethodState state({}, model_->info());
  CpuOps ops(model_->forward(), state);
  const LayerView at{
      .model = model_->info(), .layer = 1, .heads = session->cache().layer(1), .mass = {}};
  for (int h = 0; h < 2; ++h) {
    const NearestEntries fast = ops.NearestKeys(at, h, from, to);
    const NearestEntries plain = ops.Ops::NearestKeys(at, h, from, to);
    for (size_t i = 0; i < from.size(); ++i) EXPECT_NEAR(fast.cosine[i], plain.cosine[i], 1e-5);
    EXPECT_EQ(fast.entry, plain.entry);
  }
}

}  // namespace
}  // namespace kvasir::testing_
