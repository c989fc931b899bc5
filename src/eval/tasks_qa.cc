// RULER's question answering: documents that hold the answer among others. qa_1 is SQuAD, qa_2
// HotpotQA; where --data does not have them, generated documents stand in.
#include <algorithm>
#include <filesystem>

#include "eval/corpus.h"
#include "eval/fit.h"
#include "eval/scoring.h"
#include "eval/task_list.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr std::string_view kInstruction =
    "Answer the question based on the given documents. Only give me the answer and do not output "
    "any other words.";

class Qa final : public Task {
 public:
  Qa(std::string_view name, int n_hops, std::string_view file) : n_hops_(n_hops), file_(file) {
    facts_.name = name;
    facts_.family = "ruler";
    facts_.metric = "string_match_part";
    facts_.summary = n_hops == 1 ? "RULER question answering over one document (SQuAD)"
                                 : "RULER question answering over two documents (HotpotQA)";
    facts_.stand_in = n_hops == 1 ? "generated documents and questions stand in for SQuAD"
                                  : "generated documents and questions stand in for HotpotQA";
  }
  const TaskFacts& facts() const override { return facts_; }
  std::string StandIn(const Sources& sources) const override {
    return Published(sources) ? "" : facts_.stand_in;
  }
  double Score(const Sample&, const Turn& turn, std::string_view text) const override {
    return StringMatchPart(text, turn.answers);
  }
  Result<std::optional<int64_t>> Size(Workshop& workshop, int64_t) const override {
    if (!Published(workshop.sources())) return std::nullopt;
    KV_ASSIGN_OR_RETURN(const Corpus* corpus, CorpusFor(workshop, 0));
    return std::ssize(corpus->questions);
  }
  Result<Sample> Make(Workshop& workshop, const Request& request) const override {
    KV_ASSIGN_OR_RETURN(const Corpus* corpus, CorpusFor(workshop, request.seed));
    const Sizing sizing = {.key = fmt::format("{}|{}", facts_.name, request.seed),
                           .step = request.length < 4096 ? 2 : 10,
                           .n_answer = 32};
    return MakeFitted(workshop, request, sizing, [&](int64_t size, int64_t index) {
      return Build(workshop, *corpus, request, size, index);
    });
  }

 private:
  std::string Path(const Sources& sources) const { return sources.data + "/" + file_; }
  bool Published(const Sources& sources) const {
    std::error_code error;
    return !sources.data.empty() && std::filesystem::exists(Path(sources), error);
  }
  Result<const Corpus*> CorpusFor(Workshop& workshop, uint64_t seed) const {
    const bool published = Published(workshop.sources());
    const std::string key = published ? facts_.name : fmt::format("{} {}", facts_.name, seed);
    return workshop.CorpusOf(key, [&]() -> Result<Corpus> {
      if (!published) return GeneratedCorpus(seed, n_hops_);
      const std::string path = Path(workshop.sources());
      return n_hops_ == 1 ? ReadSquad(path) : ReadHotpot(path);
    });
  }

  // The documents with the answer, others of the same article, and any others, shuffled.
  static std::vector<size_t> Choose(Random& random, const Corpus& corpus,
                                    const CorpusQuestion& question, int64_t size) {
    std::vector<size_t> chosen = question.gold, near = question.near;
    const auto room = [&] { return size - std::ssize(chosen); };
    if (std::ssize(near) > room()) {
      random.Shuffle(near);
      near.resize(static_cast<size_t>(std::max<int64_t>(0, room())));
    }
    chosen.insert(chosen.end(), near.begin(), near.end());
    std::vector<bool> used(corpus.documents.size());
    for (const size_t d : chosen) used[d] = true;
    std::vector<size_t> others;
    for (size_t d = 0; d < used.size(); ++d) {
      if (!used[d]) others.push_back(d);
    }
    random.Shuffle(others);
    // A size beyond the corpus: its documents are repeated.
    for (size_t i = 0; room() > 0; ++i) {
      chosen.push_back(others.empty() ? i % used.size() : others[i % others.size()]);
    }
    random.Shuffle(chosen);
    return chosen;
  }

  Result<Sample> Build(const Workshop& workshop, const Corpus& corpus, const Request& request,
                       int64_t size, int64_t index) const {
    Random random = Random::For(facts_.name, request.length, index, request.seed);
    const CorpusQuestion& question =
        corpus.questions[static_cast<size_t>(index) % corpus.questions.size()];
    Sample sample;
    sample.wrap = workshop.sources().wrap;
    sample.max_new = 32;
    sample.context = fmt::format("{}\n\nThe following are given documents.\n\n", kInstruction);
    Turn turn;
    const std::vector<size_t> chosen = Choose(random, corpus, question, size);
    std::vector<bool> seen(corpus.documents.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      sample.context += fmt::format("Document {}:\n", i + 1);
      const size_t begin = sample.context.size(), d = chosen[i];
      sample.context += corpus.documents[d] + "\n\n";
      const bool gold =
          std::find(question.gold.begin(), question.gold.end(), d) != question.gold.end();
      if (!gold || seen[d]) continue;
      seen[d] = true;
      // Where the answer stands; a document of a chain that does not name it counts whole.
      const size_t at = corpus.documents[d].find(question.answers[0]);
      turn.evidence.push_back(at == std::string::npos
                                  ? Span{begin, begin + corpus.documents[d].size()}
                                  : Span{begin + at, begin + at + question.answers[0].size()});
    }
    turn.question = fmt::format("{}\n\nQuestion: {}", kInstruction, question.text);
    turn.answer_prefix = " Answer:";
    turn.answers = question.answers;
    sample.turns.push_back(std::move(turn));
    return sample;
  }

  const int n_hops_;
  const std::string file_;
  TaskFacts facts_;
};

}  // namespace

void AddQaTasks(TaskList& tasks) {
  tasks.push_back(std::make_unique<Qa>("qa_1", 1, "squad.json"));
  tasks.push_back(std::make_unique<Qa>("qa_2", 2, "hotpotqa.json"));
}

}  // namespace kvasir::eval
