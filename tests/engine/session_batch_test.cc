// Sessions that step together must get, to the bit, what each gets by itself.
#include "engine/session_batch.h"

#include <gmock/gmock.h>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class SessionBatchTest : public testing::Test {
 protected:
  // Sessions of prompts of several lengths, one of them empty.
  void Open(const std::vector<std::string>& specs, const std::vector<int>& lengths) {
    for (size_t i = 0; i < lengths.size(); ++i) {
      sessions_.push_back(OpenSession(model_, {.kv = specs[i % specs.size()]}));
      if (lengths[i] == 0) continue;
      ASSERT_TRUE(sessions_.back()->Feed(RandomIds(lengths[i], static_cast<uint32_t>(i)), {}));
    }
    for (const auto& session : sessions_) pointers_.push_back(session.get());
  }

  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"), /*threads=*/2);
  std::vector<std::unique_ptr<SessionImpl>> sessions_;
  std::vector<SessionImpl*> pointers_;
};

// Twenty: more than have their logits computed at a time. `decode` acts while generating.
TEST_F(SessionBatchTest, MembersEqualSessionsThatStepAlone) {
  const std::vector<std::string> specs = {"full", "decode:every=4+tova:budget=40",
                                          "snapkv:budget=50,window=16", "q8"};
  std::vector<int> lengths;
  for (int i = 0; i < 20; ++i) lengths.push_back(i * 13);
  Open(specs, lengths);
  std::vector<std::unique_ptr<Session>> alone;
  for (const auto& session : sessions_) alone.push_back(*session->Fork());
  SessionBatch batch(pointers_);
  for (uint32_t step = 0; step < 10; ++step) {
    const std::vector<int32_t> tokens = RandomIds(20, 100 + step);
    ASSERT_TRUE(batch.Step(tokens));
    for (size_t i = 0; i < sessions_.size(); ++i) {
      ASSERT_TRUE(alone[i]->Step(tokens[i]));
      ASSERT_THAT(sessions_[i]->logits(), testing::ElementsAreArray(alone[i]->logits()))
          << "step " << step << ", session " << i;
      EXPECT_EQ(sessions_[i]->tokens(), alone[i]->tokens());
    }
  }
  for (size_t i = 0; i < sessions_.size(); ++i) {
    EXPECT_EQ(sessions_[i]->kv().entries, alone[i]->kv().entries) << i;
  }
}

TEST_F(SessionBatchTest, AfterAnErrorAllHoldWhatTheyHeld) {
  Open({"full"}, {20, 30});
  SessionBatch batch(pointers_);
  const std::vector<int32_t> bad = {7, model_->config().n_vocab};
  const Status refused = batch.Step(bad);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("vocabulary"));
  EXPECT_EQ(sessions_[0]->tokens().size(), 20u);
  EXPECT_EQ(sessions_[1]->tokens().size(), 30u);
  EXPECT_TRUE(batch.Step(std::vector<int32_t>{7, 8}));
  EXPECT_EQ(sessions_[0]->tokens().size(), 21u);
}

// The pool that they share fills up in the middle of a layer: the step is taken back in both.
TEST_F(SessionBatchTest, OneLimitOfMemoryHoldsForAll) {
  auto whole = OpenSession(model_);
  ASSERT_TRUE(whole->Feed(RandomIds(kPageEntries, 1), {}));
  const auto pool = std::make_shared<PagePool>(2 * whole->pool().used_bytes() + (1 << 14));
  for (uint32_t i = 0; i < 2; ++i) {
    auto session = SessionImpl::Open(model_, {}, pool);
    ASSERT_TRUE(session);
    ASSERT_TRUE((*session)->Feed(RandomIds(kPageEntries, i), {}));
    sessions_.push_back(std::move(*session));
    pointers_.push_back(sessions_.back().get());
  }
  SessionBatch batch(pointers_);
  const Status status = batch.Step(std::vector<int32_t>{7, 8});  // new pages, in every head
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("KV cache is full"));
  for (const auto& session : sessions_) {
    EXPECT_EQ(session->tokens().size(), kPageEntries);
    EXPECT_EQ(session->kv().entries, session->kv().entries_full);
  }
}

}  // namespace
}  // namespace kvasir::testing_
