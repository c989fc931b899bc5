// A batch must give each session, to the bit, what it would get by itself.
#include "engine/session_batch.h"

#include <gmock/gmock.h>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class SessionBatchTest : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(200, 1), forced_ = RandomIds(12, 2);
  // Of those some read token by token (they evict, or encode, while generating), others do not.
  const std::vector<std::string> specs_ = {"full", "tova:budget=20%", "kivi:bits=2",
                                           "snapkv:budget=20%", "h2o:budget=30%"};

  std::unique_ptr<SessionImpl> Fed(const std::string& spec) {
    auto session = OpenSession(model_, {.kv = spec});
    EXPECT_TRUE(session->Feed(prompt_, {}));
    return session;
  }
};

using Rows = std::vector<std::vector<float>>;

RowLogitsFn Into(Rows& rows) {
  return [&rows](int64_t, std::span<const float> logits) {
    rows.emplace_back(logits.begin(), logits.end());
  };
}

TEST_F(SessionBatchTest, ReadersGetWhatEachGetsAlone) {
  std::vector<std::unique_ptr<SessionImpl>> sessions;
  std::vector<SessionReads> reads;
  std::vector<Rows> together(specs_.size()), attended(specs_.size());
  for (size_t i = 0; i < specs_.size(); ++i) {
    sessions.push_back(Fed(specs_[i]));
    reads.push_back({.session = sessions[i].get(), .tokens = forced_});
    if (i != 1) reads[i].on_logits = Into(together[i]);
    reads[i].probe = [&to = attended[i]](int, MatView<const float> outputs) {
      for (int64_t r = 0; r < outputs.shape[0]; ++r) {
        to.emplace_back(outputs.row(r), outputs.row(r) + outputs.shape[1]);
      }
    };
  }
  ExtendTogether(reads);
  for (size_t i = 0; i < specs_.size(); ++i) {
    ASSERT_TRUE(reads[i].status) << reads[i].status.error().message;
    const auto alone = Fed(specs_[i]);
    Rows rows, outputs;
    {
      const ProbeGuard probe(alone->forward(), [&](int, MatView<const float> some) {
        for (int64_t r = 0; r < some.shape[0]; ++r) {
          outputs.emplace_back(some.row(r), some.row(r) + some.shape[1]);
        }
      });
      ASSERT_TRUE(alone->Extend(forced_, Into(rows)));
    }
    EXPECT_EQ(together[i], i == 1 ? Rows() : rows) << specs_[i];
    EXPECT_EQ(attended[i], outputs) << specs_[i];
    EXPECT_TRUE(std::equal(rows.back().begin(), rows.back().end(), sessions[i]->logits().begin()));
    EXPECT_EQ(sessions[i]->tokens(), alone->tokens());
    EXPECT_EQ(sessions[i]->kv().entries, alone->kv().entries) << specs_[i];
  }
}

TEST_F(SessionBatchTest, AnErrorOfOneLeavesTheOthers) {
  const auto good = Fed("tova:budget=20%"), bad = Fed("tova:budget=20%");
  const std::vector<int32_t> wrong = {1, -5};
  std::vector<SessionReads> reads = {{.session = bad.get(), .tokens = wrong},
                                     {.session = good.get(), .tokens = forced_}};
  ExtendTogether(reads);
  EXPECT_FALSE(reads[0].status);
  EXPECT_EQ(bad->tokens(), prompt_);
  EXPECT_TRUE(reads[1].status);
  EXPECT_EQ(good->tokens().size(), prompt_.size() + forced_.size());
}

TEST_F(SessionBatchTest, AnswersAreThoseOfEachAlone) {
  std::vector<std::unique_ptr<SessionImpl>> sessions;
  std::vector<SessionAnswer> answers;
  for (size_t i = 0; i < specs_.size(); ++i) {
    sessions.push_back(Fed(specs_[i]));
    const GenerateOptions options{.n_tokens = 4 + 3 * static_cast<int64_t>(i), .ignore_eos = true};
    answers.push_back({sessions[i].get(), options, {}});
  }
  GenerateTogether(answers);
  for (size_t i = 0; i < specs_.size(); ++i) {
    ASSERT_TRUE(answers[i].answer) << answers[i].answer.error().message;
    const auto alone = Fed(specs_[i]);
    const auto expected = Generate(*alone, answers[i].options);
    ASSERT_TRUE(expected);
    EXPECT_EQ(answers[i].answer->ids, expected->ids) << specs_[i];
    EXPECT_EQ(answers[i].answer->text, expected->text);
    EXPECT_EQ(answers[i].answer->stop_reason, expected->stop_reason);
    EXPECT_EQ(sessions[i]->tokens(), alone->tokens());
  }
}

// The pool that they share fills up in the middle of a layer: those that fail hold what they held.
TEST_F(SessionBatchTest, OneLimitOfMemoryHoldsForAll) {
  auto whole = OpenSession(model_);
  ASSERT_TRUE(whole->Feed(RandomIds(kPageEntries, 1), {}));
  const auto pool = std::make_shared<PagePool>(2 * whole->pool().used_bytes() + (1 << 14));
  const int32_t token = 7;
  std::vector<std::unique_ptr<SessionImpl>> sessions;
  std::vector<SessionReads> reads;
  for (uint32_t i = 0; i < 2; ++i) {
    auto session = SessionImpl::Open(model_, {}, pool);
    ASSERT_TRUE(session);
    ASSERT_TRUE((*session)->Feed(RandomIds(kPageEntries, i), {}));
    sessions.push_back(std::move(*session));
    reads.push_back({.session = sessions.back().get(), .tokens = {&token, 1}});
  }
  ExtendTogether(reads);  // new pages, in every head
  EXPECT_FALSE(reads[0].status && reads[1].status);
  for (const SessionReads& each : reads) {
    if (each.status) continue;
    EXPECT_THAT(each.status.error().message, testing::HasSubstr("KV cache is full"));
    EXPECT_EQ(each.session->tokens().size(), kPageEntries);
    EXPECT_EQ(each.session->kv().entries, each.session->kv().entries_full);
  }
}

}  // namespace
}  // namespace kvasir::testing_
