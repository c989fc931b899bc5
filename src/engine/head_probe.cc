#include "engine/head_probe.h"

#include <algorithm>
#include <array>

namespace kvasir {
namespace {

constexpr int64_t kNumberReach = 16;

// splitmix64: the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  int64_t Below(int64_t n) {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<int64_t>((z ^ (z >> 31)) % static_cast<uint64_t>(n));
  }

 private:
  uint64_t state_;
};

// Different ordinary tokens in random order.
std::vector<int32_t> RandomBlock(const Tokenizer& tokenizer, int64_t n, uint64_t seed) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    if (!tokenizer.IsSpecial(id) && !tokenizer.IsEog(id)) ids.push_back(id);
  }
  Random random(seed);
  n = std::min(n, std::ssize(ids));
  for (int64_t i = 0; i < n; ++i) std::swap(ids[i], ids[i + random.Below(std::ssize(ids) - i)]);
  ids.resize(n);
  return ids;
}

constexpr std::string_view kBefore =
    "Some special magic numbers are hidden within the following text. Make sure to memorize it. I "
    "will quiz you about the numbers afterwards.\n";
constexpr std::string_view kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n";
constexpr std::array kKeys = {"quiet-harbor", "tidy-otter", "broken-lantern", "early-meadow"};

struct Question {
  std::string text, answer;  // what the user says, what the answer begins with
  std::string number;        // what it goes on with
};

Question AskForOne(int64_t n_lines, uint64_t seed) {
  Random random(seed);
  const auto asked = static_cast<size_t>(random.Below(std::ssize(kKeys)));
  Question question;
  question.text = kBefore;
  for (int64_t line = 0; line < n_lines; ++line) {
    question.text += kFiller;
    for (size_t k = 0; k < kKeys.size(); ++k) {  // at an eighth, three eighths, …
      if (line != (2 * static_cast<int64_t>(k) + 1) * n_lines / 8) continue;
      const std::string number = fmt::format(" {}", 1000000 + random.Below(9000000));
      if (k == asked) question.number = number;
      question.text +=
          fmt::format("One of the special magic numbers for {} is:{}.\n", kKeys[k], number);
    }
  }
  question.text += fmt::format(
      "What is the special magic number for {} mentioned in the provided text?", kKeys[asked]);
  question.answer = fmt::format(
      " The special magic number for {} mentioned in the provided text is", kKeys[asked]);
  return question;
}

}  // namespace

std::vector<Copy> CopiesInBlocks(int64_t first, int64_t block, int64_t repeats) {
  std::vector<Copy> copies;
  for (int64_t i = block; i < block * repeats; ++i) {
    for (int64_t copy = i - block; copy >= 0; copy -= block) {
      copies.push_back({first + i, first + copy});
    }
  }
  return copies;
}

HeadProbe RepeatedBlock(const LoadedModel& model, int64_t block, int64_t repeats, uint64_t seed) {
  const std::vector<int32_t> ids = RandomBlock(model.tokenizer(), block, seed);
  HeadProbe probe;
  probe.tokens = model.tokenizer().prefix_ids();
  probe.copies = CopiesInBlocks(std::ssize(probe.tokens), std::ssize(ids), repeats);
  for (int64_t r = 0; r < repeats; ++r) {
    probe.tokens.insert(probe.tokens.end(), ids.begin(), ids.end());
  }
  probe.notes = {{"probe", "block"},
                 {"block", fmt::format("{}", ids.size())},
                 {"repeats", fmt::format("{}", repeats)}};
  probe.about = fmt::format("{} random tokens repeated {} times", ids.size(), repeats);
  return probe;
}

Result<HeadProbe> PlantedNumber(const LoadedModel& model, int64_t n_tokens, uint64_t seed) {
  const auto n_line = std::ssize(model.Tokenize(kFiller, /*add_bos=*/false));
  const auto n_rest = std::ssize(model.Tokenize(AskForOne(8, seed).text, false)) - 8 * n_line + 64;
  const int64_t n_lines = (n_tokens - n_rest) / std::max<int64_t>(n_line, 1);
  if (n_lines < 8) return Fail("{} tokens are too few to hide a number in", n_tokens);
  const Question question = AskForOne(n_lines, seed);
  const std::vector<Message> messages = {{"user", question.text}};
  KV_ASSIGN_OR_RETURN(const std::string rendered, model.RenderChat(messages, true));
  const size_t at = rendered.find(question.number);
  if (at == std::string::npos) return Fail("the model's chat template changes what is said in it");

  HeadProbe probe;
  // The number is the same tokens in both places, whatever stands beside it.
  const std::vector<int32_t> number = model.Tokenize(question.number, false);
  const auto append = [&](const std::vector<int32_t>& ids) {
    probe.tokens.insert(probe.tokens.end(), ids.begin(), ids.end());
    return std::ssize(probe.tokens);
  };
  const int64_t planted = append(TokenizeRendered(model, rendered.substr(0, at)));
  append(number);
  append(model.Tokenize(rendered.substr(at + question.number.size()) + question.answer, false));
  const int64_t said = append({});
  append(number);
  // The row before a token says it.
  for (int64_t i = 0; i < std::ssize(number); ++i) {
    probe.copies.push_back({said + i - 1, planted + i - 1});
  }
  probe.reach = kNumberReach;
  probe.notes = {{"probe", "number"},
                 {"tokens", fmt::format("{}", said)},
                 {"reach", fmt::format("{}", probe.reach)}};
  probe.about = fmt::format("a number in a text of {} tokens, said again", said);
  return probe;
}

}  // namespace kvasir
