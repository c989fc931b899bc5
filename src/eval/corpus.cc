#include "eval/corpus.h"

#include <map>

#include "eval/facts_world.h"
#include "eval/task.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr int64_t kGeneratedDocuments = 1500;

Result<Json> ReadJson(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Fail("{}: not JSON", path);
  return json;
}

// Fields of an object; `place` says which, as "data[3].paragraphs[0]".
Result<const Json*> ListField(const Json& object, const char* name, const std::string& place) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_array()) {
    return Fail("{}: '{}' is missing or no list", place, name);
  }
  return &*found;
}
Result<std::string> TextField(const Json& object, const char* name, const std::string& place) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || !found->is_string()) {
    return Fail("{}: '{}' is missing or no text", place, name);
  }
  return found->get<std::string>();
}

Status AddSquadParagraph(const Json& paragraph, const std::string& place, Corpus& corpus) {
  KV_ASSIGN_OR_RETURN(std::string context, TextField(paragraph, "context", place));
  KV_ASSIGN_OR_RETURN(const Json* questions, ListField(paragraph, "qas", place));
  const size_t at = corpus.documents.size();
  corpus.documents.push_back(std::move(context));
  for (size_t q = 0; q < questions->size(); ++q) {
    const Json& asked = (*questions)[q];
    const std::string here = fmt::format("{}.qas[{}]", place, q);
    if (asked.is_object() && asked.value("is_impossible", false)) continue;
    CorpusQuestion question;
    KV_ASSIGN_OR_RETURN(question.text, TextField(asked, "question", here));
    KV_ASSIGN_OR_RETURN(const Json* answers, ListField(asked, "answers", here));
    for (const Json& answer : *answers) {
      KV_ASSIGN_OR_RETURN(std::string text, TextField(answer, "text", here + ".answers"));
      question.answers.push_back(std::move(text));
    }
    if (question.answers.empty()) continue;
    question.gold = {at};
    corpus.questions.push_back(std::move(question));
  }
  return {};
}

}  // namespace

Result<Corpus> ReadSquad(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const Json json, ReadJson(path));
  KV_ASSIGN_OR_RETURN(const Json* articles, ListField(json, "data", path));
  Corpus corpus;
  for (size_t a = 0; a < articles->size(); ++a) {
    const std::string place = fmt::format("{}: data[{}]", path, a);
    KV_ASSIGN_OR_RETURN(const Json* paragraphs, ListField((*articles)[a], "paragraphs", place));
    const size_t first = corpus.documents.size(), first_question = corpus.questions.size();
    for (size_t p = 0; p < paragraphs->size(); ++p) {
      KV_RETURN_IF_ERROR(
          AddSquadParagraph((*paragraphs)[p], fmt::format("{}.paragraphs[{}]", place, p), corpus));
    }
    for (size_t q = first_question; q < corpus.questions.size(); ++q) {
      CorpusQuestion& question = corpus.questions[q];
      for (size_t d = first; d < corpus.documents.size(); ++d) {
        if (d != question.gold[0]) question.near.push_back(d);
      }
    }
  }
  if (corpus.questions.empty()) return Fail("{}: no answerable question in it", path);
  return corpus;
}

Result<Corpus> ReadHotpot(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const Json json, ReadJson(path));
  if (!json.is_array()) return Fail("{}: not a list of questions", path);
  Corpus corpus;
  std::map<std::string, size_t> known;  // documents are shared by questions
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string place = fmt::format("{}: [{}]", path, i);
    CorpusQuestion question;
    KV_ASSIGN_OR_RETURN(question.text, TextField(json[i], "question", place));
    KV_ASSIGN_OR_RETURN(std::string answer, TextField(json[i], "answer", place));
    question.answers = {std::move(answer)};
    KV_ASSIGN_OR_RETURN(const Json* context, ListField(json[i], "context", place));
    for (const Json& pair : *context) {
      const bool whole =
          pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_array();
      if (!whole) return Fail("{}: 'context' is no list of [title, [sentence, …]]", place);
      std::string text = pair[0].get<std::string>() + "\n";
      for (const Json& sentence : pair[1]) {
        if (!sentence.is_string()) return Fail("{}: a sentence of 'context' is no text", place);
        text += sentence.get<std::string>();
      }
      const auto [at, is_new] = known.emplace(text, corpus.documents.size());
      if (is_new) corpus.documents.push_back(text);
      question.gold.push_back(at->second);
    }
    corpus.questions.push_back(std::move(question));
  }
  if (corpus.questions.empty()) return Fail("{}: no question in it", path);
  return corpus;
}

Corpus GeneratedCorpus(uint64_t seed, int n_hops) {
  World world = MakeWorld(Random::For("qa", 0, n_hops, seed), kGeneratedDocuments);
  Corpus corpus;
  corpus.documents = std::move(world.documents);
  for (WorldQuestion& asked : n_hops == 1 ? world.one_hop : world.two_hop) {
    corpus.questions.push_back({asked.text, asked.answers, asked.documents, {}});
  }
  Random order(seed);
  order.Shuffle(corpus.questions);
  return corpus;
}

}  // namespace kvasir::eval
