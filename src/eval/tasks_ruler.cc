// RULER's other tasks (arXiv 2404.06654): variable tracking, common words, frequent coded words.
#include <algorithm>
#include <cmath>
#include <set>

#include "eval/fit.h"
#include "eval/needles.h"
#include "eval/scoring.h"
#include "eval/task_list.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

class RulerTask : public Task {
 public:
  RulerTask(std::string_view name, std::string_view summary, int n_answer,
            std::string stand_in = "")
      : n_answer_(n_answer) {
    facts_.name = name;
    facts_.family = "ruler";
    facts_.metric = "string_match_all";
    facts_.summary = summary;
    facts_.stand_in = std::move(stand_in);
  }
  const TaskFacts& facts() const override { return facts_; }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return StringMatchAll(text, turn.answers);
  }

 protected:
  std::string FitKey(const Request& request) const {
    return fmt::format("{}|{}", facts_.name, request.seed);
  }
  Random StreamOf(const Request& request, int64_t index) const {
    return Random::For(facts_.name, request.length, index, request.seed);
  }
  Sample Empty(const Workshop& workshop) const {
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = n_answer_;
    return sample;
  }

  TaskFacts facts_;
  const int n_answer_;
};

// One chain of assignments among lines of noise; all its names are asked for.
class VariableTracking final : public RulerTask {
 public:
  VariableTracking() : RulerTask("vt", "RULER variable tracking: one chain, four hops", 30) {}

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    KV_ASSIGN_OR_RETURN(const int64_t n_shot, ShotSize(workshop));
    const Sizing sizing = {
        .key = FitKey(request), .step = request.length < 4096 ? 5 : 10, .n_answer = n_answer_};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      return Build(workshop, StreamOf(request, index), size, n_shot);
    });
  }

 private:
  static constexpr int kNames = 5;

  struct Chain {
    std::vector<std::string> names, lines;
    std::string value, text;
  };

  static Chain MakeChain(Random& random, int64_t size, int n_letters, std::string value) {
    Chain chain;
    chain.value = std::move(value);
    while (std::ssize(chain.names) < kNames) {
      std::string name = random.Letters(n_letters, 'A');
      if (std::find(chain.names.begin(), chain.names.end(), name) == chain.names.end()) {
        chain.names.push_back(std::move(name));
      }
    }
    chain.lines.push_back(fmt::format("VAR {} = {}", chain.names[0], chain.value));
    for (int j = 0; j + 1 < kNames; ++j) {
      chain.lines.push_back(fmt::format("VAR {} = VAR {} ", chain.names[j + 1], chain.names[j]));
    }
    chain.text = HideInLines(
        random, std::vector<std::string>(static_cast<size_t>(size), std::string(kNoiseLine)),
        chain.lines);
    return chain;
  }
  static std::string TextOf(const Chain& chain) {
    return fmt::format(
        "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
        "{}\n",
        chain.text);
  }
  static std::string QuestionOf(const Chain& chain) {
    return fmt::format(
        "Question: Find all variables that are assigned the value {} in the text above.",
        chain.value);
  }
  static std::string PrefixOf(const Chain& chain) {
    return fmt::format(
        " Answer: According to the chain(s) of variable assignment in the text above, {} variables "
        "are assigned the value {}, they are: ",
        kNames, chain.value);
  }

  // Lines of noise of the worked example before the task: as many as 500 tokens hold.
  static Result<int64_t> ShotSize(Workshop& workshop) {
    const auto known = workshop.sizes().find("vt example");
    if (known != workshop.sizes().end()) return known->second;
    int64_t size = kNames;
    while (size < 30) {
      Random random(1);
      const Chain chain = MakeChain(random, size + 1, 3, "12345");
      const std::string text = TextOf(chain) + QuestionOf(chain) + PrefixOf(chain);
      if (workshop.model().Tokenize(text, false).size() > 500) break;
      ++size;
    }
    workshop.sizes()["vt example"] = size;
    return size;
  }

  Result<Sample> Build(const Workshop& workshop, Random random, int64_t size,
                       int64_t n_shot) const {
    const std::string value = std::to_string(random.Between(10000, 99998));
    std::string other = value;
    while (other == value) other = std::to_string(random.Between(10000, 99998));
    const Chain shot = MakeChain(random, n_shot, 3, other);
    const Chain chain = MakeChain(random, size, 5, value);
    Sample sample = Empty(workshop);
    const std::string before = fmt::format("{}{}{} {}\n\n", TextOf(shot), QuestionOf(shot),
                                           PrefixOf(shot), Join(shot.names, " "));
    sample.context = before + TextOf(chain);
    Turn turn;
    turn.question = QuestionOf(chain);
    turn.answer_prefix = PrefixOf(chain);
    turn.answers = chain.names;
    for (size_t j = 0; j < chain.lines.size(); ++j) {
      const size_t at = sample.context.find(chain.lines[j], before.size());
      KV_CHECK(at != std::string::npos);
      turn.evidence.push_back({at, at + chain.lines[j].size()});
    }
    sample.turns.push_back(std::move(turn));
    return sample;
  }
};

// n different words; beyond the pool, compounds of an adjective and a noun.
std::vector<std::string> DistinctWords(Random& random, int64_t n) {
  const std::vector<std::string>& pool = WordPool();
  std::vector<std::string> words;
  if (n <= std::ssize(pool)) {
    for (const int64_t i : random.Distinct(std::ssize(pool), n)) {
      words.push_back(pool[static_cast<size_t>(i)]);
    }
    return words;
  }
  const int64_t n_nouns = std::ssize(Nouns());
  const int64_t n_all = n_nouns * std::ssize(Adjectives());
  for (const int64_t i : random.Distinct(n_all, std::min(n, n_all))) {
    words.push_back(fmt::format("{}{}", Adjectives()[static_cast<size_t>(i / n_nouns)],
                                Nouns()[static_cast<size_t>(i % n_nouns)]));
  }
  return words;
}

// A numbered list in which ten words are much more common than the others.
class CommonWords final : public RulerTask {
 public:
  CommonWords()
      : RulerTask("cwe", "RULER common words extraction: the ten most common of a list", 120,
                  "our own list of words") {}

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const bool large = request.length >= 4096;
    const Sizing sizing = {.key = FitKey(request),
                           .step = 10,
                           .probe = large ? 400 : 40,
                           .headroom = 2,
                           .n_answer = n_answer_};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      return Build(workshop, StreamOf(request, index), size, large);
    });
  }

 private:
  static constexpr int kCommon = 10;

  struct List {
    std::vector<std::string> common;
    std::string text;
  };
  static List MakeList(Random& random, int64_t n, int n_common, int n_others) {
    List list;
    const std::vector<std::string> words = DistinctWords(random, std::max<int64_t>(n, kCommon));
    std::vector<std::string> all;
    for (size_t i = 0; i < words.size(); ++i) {
      if (i < kCommon) list.common.push_back(words[i]);
      all.insert(all.end(), static_cast<size_t>(i < kCommon ? n_common : n_others), words[i]);
    }
    random.Shuffle(all);
    for (size_t i = 0; i < all.size(); ++i) {
      list.text += fmt::format("{}{}. {}", i > 0 ? " " : "", i + 1, all[i]);
    }
    return list;
  }
  static std::string TextOf(const List& list) {
    return fmt::format(
        "Below is a numbered list of words. In these words, some appear more often than others. "
        "Memorize the ones that appear most often.\n{}\n",
        list.text);
  }

  Result<Sample> Build(const Workshop& workshop, Random random, int64_t size, bool large) const {
    constexpr std::string_view kQuestion =
        "Question: What are the 10 most common words in the above list?";
    constexpr std::string_view kPrefix =
        " Answer: The top 10 words that appear most often in the list are:";
    const List shot = MakeList(random, large ? 40 : 20, large ? 10 : 3, large ? 3 : 1);
    const List list = MakeList(random, size, large ? 30 : 6, large ? 3 : 1);
    std::string answer;
    for (size_t i = 0; i < shot.common.size(); ++i) {
      answer += fmt::format(" {}. {}", i + 1, shot.common[i]);
    }
    Sample sample = Empty(workshop);
    sample.context =
        fmt::format("{}{}{}{}\n{}", TextOf(shot), kQuestion, kPrefix, answer, TextOf(list));
    Turn turn;
    turn.question = kQuestion;
    turn.answer_prefix = kPrefix;
    turn.answers = list.common;
    sample.turns.push_back(std::move(turn));
    return sample;
  }
};

// Coded words whose counts fall as 1 / rank²; the most frequent, "...", is noise.
class FrequentWords final : public RulerTask {
 public:
  FrequentWords()
      : RulerTask("fwe", "RULER frequent words extraction: three most frequent coded words", 50) {}

  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    const int64_t room = request.length - n_answer_;
    const std::string key = fmt::format("{}|{}", FitKey(request), request.length);
    const int64_t step = std::max<int64_t>(1, room / 32);
    auto known = workshop.sizes().find(key);
    if (known == workshop.sizes().end()) {
      int64_t n = std::max<int64_t>(step, room / 6), n_tokens = 0;
      while (n_tokens < room) {
        n += step;
        KV_ASSIGN_OR_RETURN(n_tokens,
                            workshop.PromptTokens(Build(workshop, StreamOf(request, 0), n, room)));
      }
      known = workshop.sizes().emplace(key, n - step).first;
    }
    for (int64_t n = known->second; n > 0; n -= step) {
      Sample sample = Build(workshop, StreamOf(request, request.index), n, room);
      KV_ASSIGN_OR_RETURN(const int64_t n_tokens, workshop.PromptTokens(sample));
      if (n_tokens > room) continue;
      if (Count(n, 4) > 0 && Count(n, 2) > Count(n, 3) && Count(n, 3) > Count(n, 4)) return sample;
      break;
    }
    return Fail("length {}: too short for this task: three words cannot be told apart by count",
                request.length);
  }

 private:
  // Of rank k among n words: n k^-2 / zeta(2).
  static int64_t Count(int64_t n, int64_t k) {
    constexpr double kZeta2 = 1.6449340668482264;
    const auto rank = static_cast<double>(k);
    return static_cast<int64_t>(std::floor(static_cast<double>(n) / (rank * rank) / kZeta2));
  }

  Sample Build(const Workshop& workshop, Random random, int64_t n, int64_t room) const {
    const int64_t n_vocabulary = std::max<int64_t>(room / 50, 4);
    std::set<std::string> drawn;
    while (std::ssize(drawn) < n_vocabulary) drawn.insert(random.Letters(6, 'a'));
    std::vector<std::string> vocabulary(drawn.begin(), drawn.end());
    random.Shuffle(vocabulary);
    vocabulary[0] = "...";
    std::vector<std::string> words;
    for (int64_t k = 1; k <= n_vocabulary; ++k) {
      words.insert(words.end(), static_cast<size_t>(Count(n, k)),
                   vocabulary[static_cast<size_t>(k - 1)]);
    }
    random.Shuffle(words);
    Sample sample = Empty(workshop);
    sample.context = fmt::format(
        "Read the following coded text and track the frequency of each coded word. Find the three "
        "most frequently appeared coded words. {}\n",
        Join(words, " "));
    Turn turn;
    turn.question =
        "Question: Do not provide any explanation. Please ignore the dots '....'. What are the "
        "three most frequently appeared words in the above coded text?";
    turn.answer_prefix =
        " Answer: According to the coded text above, the three most frequently appeared words are:";
    turn.answers = {vocabulary[1], vocabulary[2], vocabulary[3]};
    sample.turns.push_back(std::move(turn));
    return sample;
  }
};

}  // namespace

void AddRulerTasks(TaskList& tasks) {
  tasks.push_back(std::make_unique<VariableTracking>());
  tasks.push_back(std::make_unique<CommonWords>());
  tasks.push_back(std::make_unique<FrequentWords>());
}

}  // namespace kvasir::eval
