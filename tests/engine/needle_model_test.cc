// The needle model that the repository ships (models/README.md) answers a question about a text of
// about a thousand tokens, through its own tokenizer and chat template.
#include <fmt/format.h>

#include "kvasir/kvasir.h"
#include "tests/engine/engine_test_util.h"
#include "tests/paths.h"

namespace kvasir::testing_ {
namespace {

constexpr const char* kNoise =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n";

struct Planted {
  const char *key, *value;
};
constexpr Planted kPlanted[] = {{"tidy-otter", "7310964"},
                                {"tidy-lantern", "2205871"},
                                {"broken-otter", "9448137"},
                                {"quiet-harbor", "5086392"}};

// 40 lines of noise, about 1000 tokens, with a needle behind every eighth.
std::string Haystack() {
  std::string text =
      "Some special magic numbers are hidden within the following text. Make sure to memorize it. "
      "I will quiz you about the numbers afterwards.\n";
  for (int line = 0; line < 40; ++line) {
    text += kNoise;
    if (line % 8 != 7 || line / 8 >= static_cast<int>(std::size(kPlanted))) continue;
    const Planted& needle = kPlanted[line / 8];
    text +=
        fmt::format("One of the special magic numbers for {} is: {}.\n", needle.key, needle.value);
  }
  return text;
}

class NeedleModel : public testing::Test {
 protected:
  std::string Answer(const std::string& text, const std::string& kv = "full") {
    const std::vector<Message> messages = {{"user", text}};
    auto rendered = model_->RenderChat(messages, true);
    if (!rendered) return rendered.error().message;
    EXPECT_EQ(*rendered, text) << "the template adds nothing";
    SessionOptions options;
    options.kv = kv;
    auto session = OpenSession(model_, options);
    if (session == nullptr) return "";
    const std::vector<int32_t> prompt = model_->Tokenize(*rendered, true);
    EXPECT_GT(prompt.size(), 900u);
    if (!session->Feed(prompt, {})) return "";
    auto answer = Generate(*session, {.n_tokens = 64, .sampling = {.temperature = 0}});
    return answer ? answer->text : answer.error().message;
  }
  std::string AskFor(const char* key) const {
    return fmt::format(
        "{}What is the special magic number for {} mentioned in the provided text? The special "
        "magic number for {} mentioned in the provided text is",
        Haystack(), key, key);
  }

  std::shared_ptr<LoadedModel> model_ =
      LoadModel(GoldenDir() + "/../../models/needle-11m-f16.gguf", 2);
};

TEST_F(NeedleModel, FindsEachNeedleAmongKeysThatShareWords) {
  ASSERT_NE(model_, nullptr);
  for (const Planted& needle : kPlanted) {
    EXPECT_EQ(Answer(AskFor(needle.key)), std::string(" ") + needle.value);
  }
}

TEST_F(NeedleModel, AnswersFourQueriesAtOnce) {
  ASSERT_NE(model_, nullptr);
  const std::string keys = "quiet-harbor, tidy-otter, broken-otter, and tidy-lantern";
  const std::string answer = Answer(fmt::format(
      "{}What are all the special magic numbers for {} mentioned in the provided text? The special "
      "magic numbers for {} mentioned in the provided text are",
      Haystack(), keys, keys));
  for (const Planted& needle : kPlanted) {
    EXPECT_NE(answer.find(needle.value), std::string::npos) << answer;
  }
}

// What was thrown out cannot be found: the model does not guess, it reads its cache.
TEST_F(NeedleModel, CannotAnswerFromTheEndOfTheTextAlone) {
  ASSERT_NE(model_, nullptr);
  const std::string answer = Answer(AskFor("tidy-otter"), "streaming:budget=64");
  EXPECT_EQ(answer.find("7310964"), std::string::npos) << answer;
}

}  // namespace
}  // namespace kvasir::testing_
