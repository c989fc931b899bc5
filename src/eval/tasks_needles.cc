// The needle tasks of RULER (arXiv 2404.06654, section 3.1), and those of the board: the same
// needle in repeated noise, in prose, and beside three others, scored by teacher forcing.
#include <algorithm>

#include "eval/fit.h"
#include "eval/needles.h"
#include "eval/scoring.h"
#include "eval/task_list.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

struct Variant {
  std::string_view name;
  Haystack haystack;
  Draw key, value;
  int n_keys, n_values, n_queries;
};

constexpr Variant kVariants[] = {
    {"niah_single_1", Haystack::kNoise, Draw::kWords, Draw::kNumbers, 1, 1, 1},
    {"niah_single_2", Haystack::kEssay, Draw::kWords, Draw::kNumbers, 1, 1, 1},
    {"niah_single_3", Haystack::kEssay, Draw::kWords, Draw::kUuids, 1, 1, 1},
    {"niah_multikey_1", Haystack::kEssay, Draw::kWords, Draw::kNumbers, 4, 1, 1},
    {"niah_multikey_2", Haystack::kNeedles, Draw::kWords, Draw::kNumbers, 1, 1, 1},
    {"niah_multikey_3", Haystack::kNeedles, Draw::kUuids, Draw::kUuids, 1, 1, 1},
    {"niah_multivalue", Haystack::kEssay, Draw::kWords, Draw::kNumbers, 1, 4, 1},
    {"niah_multiquery", Haystack::kEssay, Draw::kWords, Draw::kNumbers, 4, 1, 4}};

constexpr int kNiahAnswerTokens = 128;

std::vector<Needle> DrawNeedles(Random& random, const Variant& v) {
  std::vector<Needle> needles;
  for (int k = 0; k < v.n_keys; ++k) {
    std::string key;
    bool known = true;
    while (known) {
      key = DrawValue(random, v.key);
      known = std::any_of(needles.begin(), needles.end(),
                          [&](const Needle& needle) { return needle.key == key; });
    }
    for (int i = 0; i < v.n_values; ++i) {
      Needle needle = {key, DrawValue(random, v.value), {}};
      needle.line = NeedleLine(PluralOf(v.value), key, needle.value);
      needles.push_back(std::move(needle));
    }
  }
  return needles;
}

std::vector<std::string> ShuffledLines(Random& random, const std::vector<Needle>& needles) {
  std::vector<std::string> lines;
  for (const Needle& needle : needles) lines.push_back(needle.line);
  random.Shuffle(lines);
  return lines;
}

// The haystack with the needles in it. `depths` are filled in for prose.
Result<std::string> Hide(Workshop& workshop, Random& random, const Variant& v, int64_t size,
                         uint64_t seed, const std::vector<std::string>& lines, Json& meta) {
  if (v.haystack == Haystack::kEssay) {
    KV_ASSIGN_OR_RETURN(const auto words, workshop.EssayWords(size, seed));
    const std::vector<int> all = RulerDepths();
    std::vector<int> depths;
    for (const int64_t i : random.Distinct(std::ssize(all), std::ssize(lines))) {
      depths.push_back(all[static_cast<size_t>(i)]);
    }
    std::sort(depths.begin(), depths.end());
    meta["depths"] = depths;
    return HideInSentences(SplitSentences(Join(words, " ")), lines, depths);
  }
  std::vector<std::string> straw(static_cast<size_t>(size), std::string(kNoiseLine));
  for (std::string& line : straw) {
    if (v.haystack == Haystack::kNeedles) line = MakeNeedle(random, v.key, v.value).line;
  }
  return HideInLines(random, std::move(straw), lines);
}

class Niah final : public Task {
 public:
  explicit Niah(const Variant& variant) : variant_(variant) {
    facts_.name = variant.name;
    facts_.family = "ruler";
    facts_.metric = "string_match_all";
    facts_.summary = "RULER needles in a haystack";
    if (variant.haystack == Haystack::kEssay) {
      facts_.stand_in = "generated prose stands in for the essays of RULER";
    }
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return facts_.stand_in.empty() || sources.file.empty()
               ? facts_.stand_in
               : "the text of --file stands in for the essays of RULER";
  }

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const bool essay = variant_.haystack == Haystack::kEssay;
    const Sizing sizing = {.key = fmt::format("{}|{}", facts_.name, request.seed),
                           .step = essay                   ? 500
                                   : request.length < 4096 ? 5
                                                           : 25,
                           .n_answer = kNiahAnswerTokens};
    // Half the essay's step below 4096 tokens, as lines have it: 500 words are much there.
    Sizing fitted = sizing;
    if (essay && request.length < 4096) fitted.step = 50;
    return MakeFitted(workshop, request, fitted, [&](int64_t size, int64_t index) {
      return Build(workshop, request, size, index);
    });
  }

  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return StringMatchAll(text, turn.answers);
  }

 private:
  Result<Sample> Build(Workshop& workshop, const Request& request, int64_t size,
                       int64_t index) const {
    Random random = Random::For(facts_.name, request.length, index, request.seed);
    const std::vector<Needle> needles = DrawNeedles(random, variant_);
    const std::vector<std::string> lines = ShuffledLines(random, needles);
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = kNiahAnswerTokens;
    KV_ASSIGN_OR_RETURN(const std::string hay,
                        Hide(workshop, random, variant_, size, request.seed, lines, sample.meta));
    std::vector<std::string> queried;
    Turn turn;
    for (const int64_t k : random.Distinct(variant_.n_keys, variant_.n_queries)) {
      queried.push_back(needles[static_cast<size_t>(k * variant_.n_values)].key);
      for (int i = 0; i < variant_.n_values; ++i) {
        turn.answers.push_back(needles[static_cast<size_t>(k * variant_.n_values + i)].value);
      }
    }
    Ask(queried, turn, sample, hay);
    for (const Needle& needle : needles) {
      const bool asked = std::find(queried.begin(), queried.end(), needle.key) != queried.end();
      if (!asked) continue;
      for (const Span& span : FindEvidence(sample.context, needle.line, needle.value)) {
        turn.evidence.push_back(span);
      }
    }
    sample.turns.push_back(std::move(turn));
    return sample;
  }

  // RULER's wording of question and answer, in the singular where one value is asked.
  void Ask(const std::vector<std::string>& queried, Turn& turn, Sample& sample,
           const std::string& hay) const {
    const bool one = variant_.n_queries * variant_.n_values == 1;
    const std::string_view kind = one ? SingularOf(variant_.value) : PluralOf(variant_.value);
    const std::string query = ListOf(queried);
    sample.context = fmt::format(
        "{} special magic {} {} hidden within the following text. Make sure to memorize it. I "
        "will quiz you about the {} afterwards.\n{}\n",
        one ? "A" : "Some", kind, one ? "is" : "are", kind, hay);
    turn.question = fmt::format("What {} special magic {} for {} mentioned in the provided text?",
                                one ? "is the" : "are all the", kind, query);
    turn.answer_prefix =
        fmt::format(" The special magic {} for {} mentioned in the provided text {}", kind, query,
                    one ? "is" : "are");
  }

  const Variant variant_;
  TaskFacts facts_;
};

// board.md: a sentence at a random sentence boundary, asked with the answer's first words in the
// prompt, all of which is compressed once. A sample counts where every token of the answer (a blank
// and seven digits) is the most likely one.
class Board final : public Task {
 public:
  Board(std::string_view name, Haystack haystack, int n_keys, int64_t default_length)
      : haystack_(haystack), n_keys_(n_keys) {
    facts_.name = name;
    facts_.family = "board";
    facts_.metric = "forced";
    facts_.summary = haystack == Haystack::kNoise ? "one number in repeated noise"
                     : n_keys == 1                ? "one number in prose"
                                                  : "four numbers in prose, one is asked";
    if (haystack == Haystack::kEssay) facts_.stand_in = "generated prose";
    facts_.answering = Answering::kForced;
    facts_.scope = Scope::kAll;
    facts_.fixed_scope = true;
    facts_.default_length = default_length;
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return haystack_ == Haystack::kNoise || sources.file.empty() ? facts_.stand_in
                                                                 : "the text of --file";
  }
  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const Sizing sizing = {.key = fmt::format("{}|{}", facts_.name, request.seed),
                           .step = haystack_ == Haystack::kNoise ? 1 : 10,
                           .probe = 20,
                           .n_answer = 16};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      return Build(workshop, request, size, index);
    });
  }
  double Score(const Sample&, const Turn&, std::string_view) const override { return 0; }

 private:
  Result<Sample> Build(Workshop& workshop, const Request& request, int64_t size,
                       int64_t index) const {
    Random random = Random::For(facts_.name, request.length, index, request.seed);
    const Variant variant = {facts_.name, haystack_, Draw::kWords, Draw::kNumbers, n_keys_, 1, 1};
    const std::vector<Needle> needles = DrawNeedles(random, variant);
    std::vector<std::string> sentences;
    if (haystack_ == Haystack::kNoise) {
      const std::vector<std::string> once = SplitSentences(kNoiseLine);
      for (int64_t i = 0; i < size; ++i)
        sentences.insert(sentences.end(), once.begin(), once.end());
    } else {
      // Another stretch of prose for every sample.
      const int64_t skip = 200 * index;
      KV_ASSIGN_OR_RETURN(const auto words, workshop.EssayWords(skip + size, request.seed));
      sentences = SplitSentences(Join(words.subspan(static_cast<size_t>(skip)), " "));
    }
    for (const Needle& needle : needles) {
      sentences.insert(sentences.begin() + random.Below(std::ssize(sentences) + 1), needle.line);
    }
    const Needle& asked = needles[0];
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = 16;
    sample.context = fmt::format(
        "Some special magic numbers are hidden within the following text. Make sure to memorize "
        "it. I will quiz you about the numbers afterwards.\n{}\n",
        Join(sentences, " "));
    Turn turn;
    turn.question = fmt::format(
        "What is the special magic number for {} mentioned in the provided text?", asked.key);
    turn.answer_prefix =
        fmt::format("The special magic number for {} mentioned in the provided text is", asked.key);
    turn.answers = {" " + asked.value};
    turn.evidence = FindEvidence(sample.context, asked.line, asked.value);
    const double depth =
        static_cast<double>(turn.evidence[0].begin) / static_cast<double>(sample.context.size());
    turn.meta["depth"] = static_cast<int>(100 * depth);
    sample.turns.push_back(std::move(turn));
    return sample;
  }

  const Haystack haystack_;
  const int n_keys_;
  TaskFacts facts_;
};

}  // namespace

void AddNeedleTasks(TaskList& tasks) {
  for (const Variant& variant : kVariants) tasks.push_back(std::make_unique<Niah>(variant));
}

void AddBoardTasks(TaskList& tasks) {
  tasks.push_back(std::make_unique<Board>("board_noise", Haystack::kNoise, 1, 4096));
  tasks.push_back(std::make_unique<Board>("board_prose", Haystack::kEssay, 1, 2048));
  tasks.push_back(std::make_unique<Board>("board_four", Haystack::kEssay, 4, 1024));
}

}  // namespace kvasir::eval
