// Generate against a model and a session made by hand: token i of the vocabulary is kPieces[i], and
// the session's logits follow a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kvasir/kvasir.h"

namespace kvasir {
namespace {

using testing::ElementsAre;

const std::vector<std::string> kPieces = {"<eos>", "a",        "b",    "stop",
                                          " word", "\xe2\x82", "\xac", "\xff"};

class FakeModel final : public Model {
 public:
  const ModelFacts& facts() const override { return facts_; }
  std::vector<int32_t> Tokenize(std::string_view, bool) const override { return {}; }
  // As SentencePiece: a text loses its first space.
  std::string Detokenize(std::span<const int32_t> ids) const override {
    std::string text;
    for (int32_t id : ids) text += kPieces[id];
    return text.starts_with(' ') ? text.substr(1) : text;
  }
  bool IsEndOfGeneration(int32_t id) const override { return id == 0; }
  Result<std::string> RenderChat(std::span<const Message>, bool) const override { return ""; }

 private:
  ModelFacts facts_;
};

class FakeSession final : public Session {
 public:
  explicit FakeSession(std::vector<int32_t> script, int64_t n_ctx = 100)
      : script_(std::move(script)), ctx_(n_ctx), logits_(kPieces.size()) {}

  const Model& model() const override { return model_; }
  Status Feed(std::span<const int32_t> tokens, const ProgressFn& = {}) override {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    Advance();
    return {};
  }
  Status Step(int32_t token) override {
    if (token == fail_at) return Fail("out of pages");
    tokens_.push_back(token);
    Advance();
    return {};
  }
  std::span<const float> logits() const override {
    return tokens_.empty() ? std::span<const float>() : logits_;
  }
  const std::vector<int32_t>& tokens() const override { return tokens_; }
  int64_t ctx() const override { return ctx_; }
  Status Truncate(int64_t) override { return {}; }
  void Reset() override {}
  Result<std::unique_ptr<Session>> Fork() const override { return Fail("no"); }
  KvReport kv() const override { return {}; }
  Status Save(const std::string&) const override { return {}; }
  Status Load(const std::string&) override { return {}; }

  int32_t fail_at = -1;

 private:
  void Advance() {
    std::fill(logits_.begin(), logits_.end(), 0.0f);
    logits_[next_ < script_.size() ? script_[next_] : 1] = 1;
    ++next_;
  }
  FakeModel model_;
  std::vector<int32_t> script_, tokens_;
  const int64_t ctx_;
  std::vector<float> logits_;
  size_t next_ = 0;
};

Generation Answer(std::vector<int32_t> script, GenerateOptions options, int64_t n_ctx = 100) {
  FakeSession session(std::move(script), n_ctx);
  EXPECT_TRUE(session.Feed(std::vector<int32_t>{1}));
  auto result = Generate(session, options);
  EXPECT_TRUE(result);
  // Every token of the answer has been read, so that the session can go on from it.
  EXPECT_EQ(session.tokens().size(), 1 + result->ids.size());
  return *result;
}

TEST(Generate, StopsAtTheEndOfGeneration) {
  const Generation g = Answer({1, 2, 0, 1}, {.n_tokens = 10});
  EXPECT_EQ(g.text, "ab");
  EXPECT_THAT(g.ids, ElementsAre(1, 2));
  EXPECT_EQ(g.stop_reason, "eos");
}

TEST(Generate, IgnoringEosGoesOn) {
  const Generation g = Answer({1, 0, 2}, {.n_tokens = 3, .ignore_eos = true});
  EXPECT_THAT(g.ids, ElementsAre(1, 0, 2));
  EXPECT_EQ(g.stop_reason, "length");
}

TEST(Generate, CountsTokens) {
  const Generation g = Answer({1, 2, 1}, {.n_tokens = 2});
  EXPECT_EQ(g.text, "ab");
  EXPECT_EQ(g.stop_reason, "length");
  EXPECT_FALSE(g.context_full);
  EXPECT_EQ(Answer({1}, {.n_tokens = 0}).text, "");
}

TEST(Generate, AFullContextIsSaid) {
  const Generation g = Answer({1, 2, 1, 2}, {.n_tokens = 10}, 3);
  EXPECT_THAT(g.ids, ElementsAre(1, 2));
  EXPECT_EQ(g.stop_reason, "length");
  EXPECT_TRUE(g.context_full);
}

TEST(Generate, StopTextIsNotPartOfTheAnswer) {
  const Generation g = Answer({1, 3, 2}, {.n_tokens = 10, .stop = {"stop"}});
  EXPECT_EQ(g.text, "a");
  EXPECT_EQ(g.stop_reason, "stop");
}

TEST(Generate, StopTextMaySpanTokensAndBeginInsideOne) {
  std::string streamed;
  GenerateOptions options{.n_tokens = 10, .stop = {"pab"}};
  options.on_text = [&](std::string_view text) {
    streamed += text;
    return true;
  };
  const Generation g = Answer({2, 3, 1, 2, 2}, options);
  EXPECT_EQ(g.text, "bsto");
  EXPECT_EQ(streamed, "bsto");
}

TEST(Generate, TheEarliestStopTextWins) {
  EXPECT_EQ(Answer({3}, {.n_tokens = 10, .stop = {"op", "to", ""}}).text, "s");
}

TEST(Generate, WhatOnlyLookedLikeAStopTextComesOut) {
  const Generation g = Answer({1, 2, 0}, {.n_tokens = 10, .stop = {"abc"}});
  EXPECT_EQ(g.text, "ab");
  EXPECT_EQ(g.stop_reason, "eos");
}

TEST(Generate, StreamsWholeCharacters) {
  std::vector<std::string> pieces;
  GenerateOptions options{.n_tokens = 5};
  options.on_text = [&](std::string_view text) {
    pieces.emplace_back(text);
    return true;
  };
  EXPECT_EQ(Answer({1, 5, 6, 2, 0}, options).text,
            "a\xe2\x82\xac"
            "b");
  EXPECT_THAT(pieces, ElementsAre("a", "\xe2\x82\xac", "b"));
}

TEST(Generate, WhatIsNoUtf8BecomesTheReplacementCharacter) {
  EXPECT_EQ(Answer({1, 7, 2, 0}, {.n_tokens = 5}).text,
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(Answer({1, 5, 0}, {.n_tokens = 5}).text, "a\xef\xbf\xbd") << "cut inside a character";
}

TEST(Generate, ASpaceAfterThePromptStays) {
  EXPECT_EQ(Answer({4, 4, 0}, {.n_tokens = 5}).text, " word word");
}

TEST(Generate, FalseFromTheCallbackStops) {
  GenerateOptions options{.n_tokens = 5};
  options.on_text = [](std::string_view text) { return text != "b"; };
  const Generation g = Answer({1, 2, 1, 1}, options);
  EXPECT_EQ(g.text, "ab");
  EXPECT_EQ(g.stop_reason, "interrupted");
}

// Allows the tokens of a list one after the other.
class Scripted final : public Constraint {
 public:
  explicit Scripted(std::vector<int32_t> ids) : ids_(std::move(ids)) {}
  Status Mask(std::span<float> logits) override {
    if (ids_[at_] < 0) return Fail("no way on");
    for (size_t id = 0; id < logits.size(); ++id) {
      if (static_cast<int32_t>(id) != ids_[at_]) logits[id] = -HUGE_VALF;
    }
    return {};
  }
  Status Accept(int32_t token) override {
    EXPECT_EQ(token, ids_[at_++]);
    return {};
  }
  bool finished() const override { return at_ == ids_.size(); }

 private:
  std::vector<int32_t> ids_;
  size_t at_ = 0;
};

TEST(Generate, AConstraintDecidesWhatMayCome) {
  Scripted constraint({2, 1, 4});
  // Ends where the constraint does, though EOS is ignored and the model would go on.
  const Generation g =
      Answer({1, 1, 1, 1, 1}, {.n_tokens = 9, .ignore_eos = true, .constraint = &constraint});
  EXPECT_EQ(g.text, "ba word");
  EXPECT_EQ(g.stop_reason, "eos");

  Scripted with_end({2, 0, 1});
  EXPECT_EQ(Answer({1, 1}, {.n_tokens = 9, .ignore_eos = true, .constraint = &with_end}).text, "b");
}

TEST(Generate, AConstraintWithoutAWayOnIsAnError) {
  FakeSession session({1, 2, 1});
  ASSERT_TRUE(session.Feed(std::vector<int32_t>{1}));
  Scripted constraint({2, -1});
  const auto result = Generate(session, {.n_tokens = 5, .constraint = &constraint});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "no way on");
}

TEST(Generate, AnErrorOfTheSessionIsHandedOnWithWhatWasGenerated) {
  FakeSession session({1, 2, 1});
  session.fail_at = 2;
  ASSERT_TRUE(session.Feed(std::vector<int32_t>{1}));
  const auto result = Generate(session, {.n_tokens = 5});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stop_reason, "error");
  EXPECT_EQ(result->error, "out of pages");
  EXPECT_FALSE(result->ids.empty());
}

TEST(Generate, NothingFedIsAnError) {
  FakeSession session({1});
  EXPECT_FALSE(Generate(session, {}));
}

}  // namespace
}  // namespace kvasir
