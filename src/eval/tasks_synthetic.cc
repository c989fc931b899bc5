// InfiniteBench's retrieval tasks (arXiv 2402.13718) at any length, and the two oldest tests of a
// memory: copying a list of words, and going on from a place in its middle (induction).
#include <algorithm>

#include "eval/fit.h"
#include "eval/needles.h"
#include "eval/scoring.h"
#include "eval/task_list.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

class Synthetic : public Task {
 public:
  Synthetic(std::string_view name, std::string_view metric, std::string_view summary, int max_new)
      : max_new_(max_new) {
    facts_.name = name;
    facts_.family = "synthetic";
    facts_.metric = metric;
    facts_.summary = summary;
  }
  const TaskFacts& facts() const override { return facts_; }
  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const Sizing sizing = {.key = fmt::format("{}|{}", facts_.name, request.seed),
                           .step = 2,
                           .probe = 20,
                           .n_answer = max_new_};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      Random random = Random::For(facts_.name, request.length, index, request.seed);
      Sample sample;
      sample.wrap = workshop.sources().wrap;
      sample.max_new = max_new_;
      Fill(random, size, sample);
      return Result<Sample>(std::move(sample));
    });
  }

 protected:
  virtual void Fill(Random& random, int64_t size, Sample& sample) const = 0;
  TaskFacts facts_;
  const int max_new_;
};

// A key line between blocks of noise.
class Passkey final : public Synthetic {
 public:
  explicit Passkey(bool repeats)
      : Synthetic(repeats ? "number_string" : "passkey", "first_digits",
                  repeats ? "InfiniteBench: ten digits with repeats among noise"
                          : "InfiniteBench: five digits among noise",
                  repeats ? 12 : 6),
        repeats_(repeats) {}
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return FirstDigits(text, turn.answers);
  }

 private:
  std::string Key(Random& random) const {
    std::string key;
    while (key.size() < 5) key += static_cast<char>('0' + random.Below(10));
    for (int k = 0; repeats_ && k < 5; ++k) {
      const auto p = static_cast<size_t>(random.Below(5 + k));
      key.insert(p, 1, key[p]);
    }
    return key;
  }
  void Fill(Random& random, int64_t size, Sample& sample) const override {
    const std::string key = Key(random);
    const int64_t at = random.Below(size + 1);
    const std::string line =
        repeats_ ? fmt::format(
                       "The sequence of digits is {}. Remember it. {} is the sequence of "
                       "digits.\n",
                       key, key)
                 : fmt::format("The pass key is {}. Remember it. {} is the pass key.\n", key, key);
    sample.context =
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
        "it. I will quiz you about the important information there.\n\n";
    for (int64_t i = 0; i <= size; ++i) {
      if (i == at) sample.context += line;
      if (i < size) sample.context += std::string(kNoiseLine) + "\n";
    }
    Turn turn;
    turn.question = repeats_ ? "What is the sequence of digits?" : "What is the pass key?";
    turn.answer_prefix = repeats_ ? "The sequence of digits is" : "The pass key is";
    turn.answers = {key};
    turn.evidence = FindEvidence(sample.context, line, key);
    turn.meta["depth"] = static_cast<int>(100 * at / std::max<int64_t>(size, 1));
    sample.turns.push_back(std::move(turn));
  }

  const bool repeats_;
};

// One value of a JSON object of UUIDs.
class KvRetrieval final : public Synthetic {
 public:
  KvRetrieval()
      : Synthetic("kv_retrieval", "contains_word",
                  "InfiniteBench: the value of a key in a JSON object of UUIDs", 50) {}
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return ContainsWord(text, turn.answers);
  }

 private:
  void Fill(Random& random, int64_t size, Sample& sample) const override {
    const int64_t asked = random.Below(size);
    Turn turn;
    std::string key;
    sample.context =
        "Extract the value corresponding to the specified key in the JSON object below.\n\nJSON "
        "data:\n{";
    for (int64_t i = 0; i < size; ++i) {
      const std::string k = random.Uuid(), v = random.Uuid();
      sample.context += fmt::format("{}\"{}\": \"", i > 0 ? ", " : "", k);
      if (i == asked) {
        key = k;
        turn.answers = {v};
        turn.evidence = {{sample.context.size(), sample.context.size() + v.size()}};
      }
      sample.context += v + "\"";
    }
    sample.context += "}\n";
    turn.question = fmt::format("\nKey: \"{}\"\n", key);
    turn.answer_prefix = "The value associated with the specified key is: ";
    turn.meta["depth"] = static_cast<int>(100 * asked / size);
    sample.turns.push_back(std::move(turn));
  }
};

// Words of the pool in random order; what follows some of them is to be said again.
class Copy final : public Synthetic {
 public:
  explicit Copy(bool from_middle)
      : Synthetic(from_middle ? "induction" : "copy", "forced_tokens",
                  from_middle ? "goes on with a list of words from a place in its middle"
                              : "says a list of words again from its start",
                  64),
        from_middle_(from_middle) {
    facts_.answering = Answering::kForced;
    facts_.by_token = true;
  }
  double Score(const Sample&, const Turn&, std::string_view) const override { return 0; }

 private:
  static constexpr int64_t kCue = 3, kSaid = 16;  // words

  void Fill(Random& random, int64_t size, Sample& sample) const override {
    const std::vector<std::string>& pool = WordPool();
    std::vector<std::string> words;
    const int64_t n = std::max(size, kCue + kSaid);
    for (int64_t i = 0; i < n; ++i) words.push_back(random.Pick(pool));
    const int64_t at = from_middle_ ? random.Below(n - kCue - kSaid + 1) : 0;
    const auto part = [&](int64_t first, int64_t count) {
      return Join(std::span(words).subspan(static_cast<size_t>(first), static_cast<size_t>(count)),
                  " ");
    };
    sample.context = "Here is a list of words.\n\n";
    const std::string before = at + kCue > 0 ? part(0, at + kCue) : "";
    const size_t begin = sample.context.size() + before.size();
    sample.context += Join(words, " ") + "\n\n";
    Turn turn;
    turn.question = from_middle_ ? fmt::format("Repeat the list of words, starting from \"{}\".",
                                               part(at, kCue))
                                 : "Repeat the list of words from its start.";
    turn.answer_prefix = part(at, kCue);
    turn.answers = {" " + part(at + kCue, kSaid)};
    turn.evidence = {{begin, begin + turn.answers[0].size()}};
    turn.meta["depth"] = static_cast<int>(100 * at / n);
    sample.turns.push_back(std::move(turn));
  }

  const bool from_middle_;
};

// Several keys hidden in prose, each asked: of the cache as the context left it, or as turns of one
// conversation, where the right answers of earlier turns are its history.
class SeveralQuestions final : public Task {
 public:
  explicit SeveralQuestions(bool history) : history_(history) {
    facts_.name = history ? "multi_turn" : "multi_query";
    facts_.family = "turns";
    facts_.metric = "string_match_all";
    facts_.summary = history
                         ? "five needles asked in five turns; the cache is compressed at the first"
                         : "five needles, five questions to one compressed context";
    facts_.stand_in = "generated prose";
    facts_.scope = history ? Scope::kQuestion : Scope::kContext;
    facts_.fixed_scope = true;
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return sources.file.empty() ? facts_.stand_in : "the text of --file";
  }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return StringMatchAll(text, turn.answers);
  }
  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const Sizing sizing = {.key = fmt::format("{}|{}", facts_.name, request.seed),
                           .step = 50,
                           .n_answer = history_ ? 500 : 32};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      return Build(workshop, request, size, index);
    });
  }

 private:
  static constexpr int64_t kQuestions = 5;

  Result<Sample> Build(Workshop& workshop, const Request& request, int64_t size,
                       int64_t index) const {
    // One stream for both tasks: they differ in nothing but the history.
    Random random = Random::For("turns", request.length, index, request.seed);
    KV_ASSIGN_OR_RETURN(const auto words, workshop.EssayWords(size, request.seed));
    std::vector<Needle> needles;
    std::vector<std::string> lines;
    while (std::ssize(needles) < kQuestions) {
      Needle needle = MakeNeedle(random, Draw::kWords, Draw::kNumbers);
      const bool known = std::any_of(needles.begin(), needles.end(),
                                     [&](const Needle& n) { return n.key == needle.key; });
      if (known) continue;
      lines.push_back(needle.line);
      needles.push_back(std::move(needle));
    }
    std::vector<int> depths;
    for (const int64_t d : random.Distinct(101, kQuestions)) depths.push_back(static_cast<int>(d));
    std::sort(depths.begin(), depths.end());
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = 32;
    sample.history = history_;
    sample.context = fmt::format(
        "Some special magic numbers are hidden within the following text. Make sure to memorize "
        "it. I will quiz you about the numbers afterwards.\n{}\n",
        HideInSentences(SplitSentences(Join(words, " ")), lines, depths));
    for (const int64_t i : random.Distinct(kQuestions, kQuestions)) {
      const Needle& needle = needles[static_cast<size_t>(i)];
      Turn turn;
      turn.question = fmt::format(
          "What is the special magic number for {} mentioned in the provided text?", needle.key);
      turn.answer_prefix = fmt::format(
          " The special magic number for {} mentioned in the provided text is", needle.key);
      turn.answers = {needle.value};
      turn.evidence = FindEvidence(sample.context, needle.line, needle.value);
      turn.meta["depth"] = depths[static_cast<size_t>(i)];
      sample.turns.push_back(std::move(turn));
    }
    return sample;
  }

  const bool history_;
  TaskFacts facts_;
};

// The heat map: one number at 11 depths, put in by tokens behind the nearest full stop.
class Grid final : public Task {
 public:
  Grid() {
    facts_.name = "niah_grid";
    facts_.family = "grid";
    facts_.metric = "string_match_all";
    facts_.summary = "heat map of depth and length: sample i is at depth 10 (i mod 11) %";
    facts_.stand_in = "generated prose stands in for the essays of the original";
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return sources.file.empty() ? facts_.stand_in : "the text of --file";
  }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return StringMatchAll(text, turn.answers);
  }

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    constexpr int64_t kBuffer = 200;  // the template, the question, the answer
    const Model& model = workshop.model();
    Random random = Random::For(facts_.name, request.length, request.index, request.seed);
    const std::string city = InventedName(random), value = random.Digits(7);
    const std::string needle = fmt::format("\nThe special magic {} number is: {}\n", city, value);
    const auto n_needle = std::ssize(model.Tokenize(needle, false));
    const int64_t n = request.length - kBuffer - n_needle;
    if (n < 16) return Fail("length {}: too short for this task", request.length);
    KV_ASSIGN_OR_RETURN(const auto words, workshop.EssayWords(n, request.seed));
    std::vector<int32_t> ids = model.Tokenize(Join(words, " "), false);
    ids.resize(static_cast<size_t>(n));  // a word is a token at least
    const int64_t depth = 10 * (request.index % 11);
    int64_t at = n * depth / 100;
    while (at > 0 && at < n && !EndsSentence(model, ids[static_cast<size_t>(at - 1)])) --at;
    const auto all = std::span<const int32_t>(ids);
    const std::string before = model.Detokenize(all.first(static_cast<size_t>(at)));
    const std::string text = model.Detokenize(all);
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = 32;
    sample.context = "This is a very long story book: <book> ";
    const size_t start = sample.context.size() + before.size();
    sample.context +=
        before + needle + text.substr(std::min(before.size(), text.size())) + " </book>.\n";
    sample.meta["depth"] = depth;
    Turn turn;
    turn.question = fmt::format("What is the special magic {} number?", city);
    turn.answer_prefix = fmt::format("The special magic {} number is:", city);
    turn.answers = {value};
    turn.meta["depth"] = depth;
    const size_t digits = start + needle.find(value);
    turn.evidence = {{digits, digits + value.size()}};
    sample.turns.push_back(std::move(turn));
    KV_ASSIGN_OR_RETURN(const int64_t n_tokens, workshop.PromptTokens(sample));
    if (n_tokens + sample.max_new > request.length) {
      return Fail("length {}: the chat template leaves no room for this task", request.length);
    }
    return sample;
  }

 private:
  static bool EndsSentence(const Model& model, int32_t id) {
    return model.Detokenize({&id, 1}).ends_with('.');
  }

  TaskFacts facts_;
};

}  // namespace

void AddSyntheticTasks(TaskList& tasks) {
  tasks.push_back(std::make_unique<Grid>());
  tasks.push_back(std::make_unique<Passkey>(false));
  tasks.push_back(std::make_unique<Passkey>(true));
  tasks.push_back(std::make_unique<KvRetrieval>());
  tasks.push_back(std::make_unique<Copy>(false));
  tasks.push_back(std::make_unique<Copy>(true));
  tasks.push_back(std::make_unique<SeveralQuestions>(false));
  tasks.push_back(std::make_unique<SeveralQuestions>(true));
}

}  // namespace kvasir::eval
