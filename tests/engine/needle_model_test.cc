// The needle model that the repository ships (models/README.md) answers a question about a text of
// about a thousand tokens, through its own tokenizer and chat template.
#include <fmt/format.h>

#include "engine/find_heads.h"
#include "engine/side_file_io.h"
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

// Trap 3.23: sums of attention favour what stood there first. The newest needle is lost though half
// of the entries stay, and is kept where the sums are divided by how many queries saw an entry.
TEST_F(NeedleModel, TheNewestNeedleIsLostUnlessAgeIsDividedOut) {
  ASSERT_NE(model_, nullptr);
  const std::string spec = "h2o:budget=55%,recent=10%", newest = "quiet-harbor";
  EXPECT_EQ(Answer(AskFor("tidy-lantern"), spec), " 2205871");
  const std::string lost = Answer(AskFor(newest.c_str()), spec);
  EXPECT_EQ(lost.find("5086392"), std::string::npos) << lost;
  EXPECT_EQ(Answer(AskFor(newest.c_str()), spec + ",normalise=true"), " 5086392");
}

// The head that reads numbers looks six tokens behind them (docs/methods-findings.md): a repeated
// text does not show it, a number that is asked for does. `razor` with that file answers.
TEST_F(NeedleModel, AskingForANumberFindsTheHeadThatReadsNumbers) {
  ASSERT_NE(model_, nullptr);
  ProbeOptions options{.block = 500, .n_seeds = 2};
  const auto by_block = FindHeads(*model_, options);
  options.text = ProbeOptions::Text::kNumber;
  auto by_number = FindHeads(*model_, options);
  ASSERT_TRUE(by_block && by_number) << by_number.error().message;
  const auto best = [](const FoundHeads& found) {
    const std::vector<float>& scores = found.file.tensors.at("induction").values;
    const auto at = std::max_element(scores.begin(), scores.end());
    return std::pair(at - scores.begin(), *at);
  };
  constexpr int64_t kReader = 2 * 2 + 1;  // layer 2, KV head 1, of two a layer
  EXPECT_EQ(best(*by_number).first, kReader);
  EXPECT_GT(best(*by_number).second, 0.8);
  EXPECT_LT(by_block->file.tensors.at("induction").values[kReader], 0.01);
  EXPECT_LT(best(*by_block).second, 0.01);

  by_number->file.path = testing::TempDir() + "/number_heads.safetensors";
  ASSERT_TRUE(WriteSideFile(by_number->file));
  const std::string razor = fmt::format("razor:heads={},budget=30%", by_number->file.path);
  for (const Planted& needle : kPlanted) {
    EXPECT_EQ(Answer(AskFor(needle.key), razor), std::string(" ") + needle.value);
  }
}

}  // namespace
}  // namespace kvasir::testing_
