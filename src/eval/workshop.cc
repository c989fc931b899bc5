#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "eval/prompt.h"
#include "eval/task.h"
#include "eval/words.h"

namespace kvasir::eval {

Result<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail("{}: {}", path, std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  while (file.read(buffer, sizeof(buffer)) || file.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) return Fail("{}: cannot be read (a folder?)", path);
  return text;
}

Result<int64_t> Workshop::PromptTokens(const Sample& sample) {
  KV_ASSIGN_OR_RETURN(const PromptParts parts, PromptOf(model_, sample, 0, Scope::kAll));
  return parts.n_tokens();
}

Result<std::span<const std::string>> Workshop::EssayWords(int64_t n, uint64_t seed) {
  const bool generated = sources_.file.empty();
  if (words_.empty() || (generated && words_seed_ != seed)) {
    words_.clear();
    words_seed_ = seed;
    if (!generated) {
      KV_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(sources_.file));
      words_ = SplitWords(text);
      if (words_.empty()) return Fail("{}: no words in it", sources_.file);
    }
    n_own_words_ = words_.size();
  }
  const auto wanted = static_cast<size_t>(n);
  if (generated && words_.size() < wanted) {
    // From the start again, so that a longer text begins as the shorter one.
    const int64_t n_words = std::max<int64_t>(2 * n, 4096);
    words_ = SplitWords(Prose(Random::For("essay", 0, 0, seed)).Words(n_words));
  }
  while (words_.size() < wanted) words_.push_back(words_[words_.size() - n_own_words_]);
  return std::span<const std::string>(words_).first(wanted);
}

Result<std::span<const int32_t>> Workshop::TextTokens(int64_t n, uint64_t seed) {
  const bool generated = sources_.file.empty();
  const bool known = !ids_.empty() && (!generated || (ids_seed_ == seed && std::ssize(ids_) >= n));
  if (!known) {
    ids_seed_ = seed;
    if (generated) {  // a word is a token at least
      const int64_t n_words = std::max<int64_t>(n, 4096);
      ids_ = model_.Tokenize(Prose(Random::For("text", 0, 0, seed)).Words(n_words, "\n\n"), false);
    } else {
      KV_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(sources_.file));
      ids_ = model_.Tokenize(text, false);
    }
  }
  return std::span<const int32_t>(ids_);
}

std::vector<int32_t> Workshop::Bos() const {
  std::vector<int32_t> with = model_.Tokenize("a", true);
  const auto n = with.size() - model_.Tokenize("a", false).size();
  with.resize(n);
  return with;
}

Result<const Corpus*> Workshop::CorpusOf(const std::string& key,
                                         const std::function<Result<Corpus>()>& make) {
  auto known = corpora_.find(key);
  if (known == corpora_.end()) {
    KV_ASSIGN_OR_RETURN(Corpus corpus, make());
    known = corpora_.emplace(key, std::move(corpus)).first;
  }
  return &known->second;
}

Result<const std::vector<Record>*> Workshop::Records(const std::string& path) {
  auto known = records_.find(path);
  if (known == records_.end()) {
    KV_ASSIGN_OR_RETURN(std::vector<Record> records, ReadRecords(path));
    known = records_.emplace(path, std::move(records)).first;
  }
  return &known->second;
}

}  // namespace kvasir::eval
