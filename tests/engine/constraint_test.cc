// Answers of a given form, from a tiny model with random weights: it would never write JSON of its
// own accord.
#include <gmock/gmock.h>

#include "tests/engine/engine_test_util.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSchema = R"({"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0,
    "maximum": 120}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3}},
    "required": ["name", "age", "tags"], "additionalProperties": false})";

class Constrained : public ::testing::Test {
 protected:
  Generation Answer(Constraint& constraint, uint64_t seed, bool ignore_eos = false) {
    auto session = testing_::OpenSession(model_);
    EXPECT_TRUE(session->Feed(testing_::RandomIds(12, static_cast<uint32_t>(seed)), {}));
    auto answer = Generate(*session, {.n_tokens = 200,
                                      .ignore_eos = ignore_eos,
                                      .sampling = {.temperature = 1.5f, .seed = seed},
                                      .constraint = &constraint});
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? *answer : Generation();
  }

  std::shared_ptr<LoadedModel> model_ = testing_::LoadModel(testing_::GoldenModel("llama.gguf"));
};

TEST_F(Constrained, JsonSatisfiesItsSchema) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    auto constraint = Constraint::FromJsonSchema(*model_, kSchema);
    ASSERT_TRUE(constraint) << constraint.error().message;
    const Generation answer = Answer(**constraint, seed);
    ASSERT_EQ(answer.stop_reason, "eos") << answer.text;
    const auto json = nlohmann::json::parse(answer.text, nullptr, false);
    ASSERT_TRUE(json.is_object()) << answer.text;
    EXPECT_EQ(json.size(), 3u);
    EXPECT_TRUE(json["name"].is_string());
    EXPECT_GE(json["age"].get<int>(), 0);
    EXPECT_LE(json["age"].get<int>(), 120);
    EXPECT_LE(json["tags"].size(), 3u);
  }
}

TEST_F(Constrained, TheEndOfTheGrammarEndsTheAnswer) {
  auto constraint = Constraint::FromGrammar(*model_, "root ::= \"ab\" [0-9]{3}");
  ASSERT_TRUE(constraint);
  const Generation answer = Answer(**constraint, 3, /*ignore_eos=*/true);
  EXPECT_EQ(answer.stop_reason, "eos");
  EXPECT_THAT(answer.text, ::testing::MatchesRegex("ab[0-9][0-9][0-9]"));
  EXPECT_TRUE((*constraint)->finished());
}

TEST_F(Constrained, GreedyKeepsWhatTheModelWouldSayWhereThatFits) {
  int n_same = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    auto session = testing_::OpenSession(model_);
    ASSERT_TRUE(session->Feed(testing_::RandomIds(12, seed), {}));
    const int32_t free = Sampler({}).Sample(session->logits(), session->tokens());
    auto constraint = Constraint::FromGrammar(*model_, "root ::= .*");  // any text at all
    const auto bound = Generate(*session, {.n_tokens = 1, .constraint = constraint->get()});
    ASSERT_TRUE(bound && bound->ids.size() <= 1);
    const std::string piece =
        model_->tokenizer().Decode(std::span(&free, 1), {.special = false, .text_start = false});
    const bool is_text = !piece.empty() && (piece[0] & 0x80) == 0;
    if (!is_text) continue;
    ASSERT_EQ(bound->ids.size(), 1u);
    EXPECT_EQ(bound->ids[0], free);
    ++n_same;
  }
  EXPECT_GT(n_same, 5);
}

TEST_F(Constrained, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(Constraint::FromGrammar(*model_, "x ::= \"a\"").error().message,
              HasSubstr("no rule 'root'"));
  EXPECT_THAT(Constraint::FromJsonSchema(*model_, R"({"not": {}})").error().message,
              HasSubstr("'not'"));
}

}  // namespace
}  // namespace kvasir
