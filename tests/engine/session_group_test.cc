// A group must give each spec, to the bit, what it would get by itself.
#include "engine/session_group.h"

#include <gmock/gmock.h>

#include "tests/engine/engine_test_util.h"

namespace kvasir::testing_ {
namespace {

class SessionGroupTest : public testing::Test {
 protected:
  std::shared_ptr<LoadedModel> model_ = LoadModel(GoldenModel("llama.gguf"));
  std::vector<int32_t> prompt_ = RandomIds(300, 1), forced_ = RandomIds(20, 2);
};

std::vector<float> LogitsOf(const SessionImpl& session) {
  return {session.logits().begin(), session.logits().end()};
}

// One example of every method, wrappers included; not of those that want a side file of the model.
std::vector<std::string> Specs(const std::shared_ptr<LoadedModel>& model) {
  std::vector<std::string> specs = {"full", "snapkv:budget=60,window=16", "h2o:budget=30%",
                                    "keyformer:budget=30%"};
  for (const MethodInfo* info : AllMethods()) {
    const std::string example(info->example);
    if (!example.empty() && SessionImpl::Open(model, {.kv = example})) specs.push_back(example);
  }
  return specs;
}

TEST_F(SessionGroupTest, MembersEqualSessionsThatReadAlone) {
  const std::vector<std::string> specs = Specs(model_);
  ASSERT_GE(specs.size(), 10u);
  auto group = ReadTogether(model_, {.chunk = 64}, specs, prompt_);
  ASSERT_TRUE(group) << group.error().message;
  ASSERT_EQ(group->members.size(), specs.size());
  for (GroupMember& member : group->members) {
    ASSERT_TRUE(member.session) << member.spec << ": " << member.session.error().message;
    SessionImpl& shared = **member.session;
    auto alone = OpenSession(model_, {.kv = member.spec, .chunk = 64});
    ASSERT_TRUE(alone->Feed(prompt_, {}));
    EXPECT_EQ(shared.kv().entries, alone->kv().entries) << member.spec;
    EXPECT_EQ(LogitsOf(shared), LogitsOf(*alone)) << member.spec;
    for (const int32_t id : forced_) {
      ASSERT_TRUE(shared.Step(id));
      ASSERT_TRUE(alone->Step(id));
      ASSERT_EQ(LogitsOf(shared), LogitsOf(*alone)) << member.spec;
    }
    // A further turn too: what methods keep between prompts was taken over.
    ASSERT_TRUE(shared.Feed(forced_, {}));
    ASSERT_TRUE(alone->Feed(forced_, {}));
    EXPECT_EQ(LogitsOf(shared), LogitsOf(*alone)) << member.spec;
  }
}

TEST_F(SessionGroupTest, AMemberThatFailsLeavesTheOthers) {
  auto group = ReadTogether(model_, {}, std::vector<std::string>{"nonsense", "full"}, prompt_);
  ASSERT_TRUE(group) << group.error().message;
  EXPECT_FALSE(group->members[0].session);
  ASSERT_TRUE(group->members[1].session);
  EXPECT_EQ((*group->members[1].session)->tokens(), prompt_);
}

TEST_F(SessionGroupTest, ALimitOfMemoryIsEachMembersOwn) {
  auto full = OpenSession(model_);
  ASSERT_TRUE(full->Feed(prompt_, {}));
  const SessionOptions options = {.kv_memory = full->kv().bytes + (4 << 20)};
  auto group = ReadTogether(model_, options, std::vector<std::string>{"full", "full"}, prompt_);
  ASSERT_TRUE(group) << group.error().message;
  EXPECT_NE(&(*group->members[0].session)->pool(), &(*group->members[1].session)->pool());
}

TEST_F(SessionGroupTest, AnInterruptionIsAnError) {
  EXPECT_FALSE(ReadTogether(model_, {}, std::vector<std::string>{"full"}, prompt_,
                            [](int64_t, int64_t) { return false; }));
}

TEST_F(SessionGroupTest, ExtendIsStepAfterStep) {
  for (const std::string& spec : Specs(model_)) {
    auto stepped = OpenSession(model_, {.kv = spec}), extended = OpenSession(model_, {.kv = spec});
    ASSERT_TRUE(stepped->Feed(prompt_, {}));
    ASSERT_TRUE(extended->Feed(prompt_, {}));
    size_t at = 0;
    const Status status =
        extended->Extend(forced_, [&](int64_t row, std::span<const float> logits) {
          EXPECT_EQ(row, std::ssize(prompt_) + static_cast<int64_t>(at));
          ASSERT_TRUE(stepped->Step(forced_[at++]));
          EXPECT_TRUE(std::equal(logits.begin(), logits.end(), stepped->logits().begin())) << spec;
        });
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(at, forced_.size());
    EXPECT_EQ(extended->tokens(), stepped->tokens());
    EXPECT_EQ(extended->kv().entries, stepped->kv().entries) << spec;
  }
}

}  // namespace
}  // namespace kvasir::testing_
