// Unigram: of all ways to cut a piece into tokens, the one whose scores sum to the most.

#include <algorithm>
#include <limits>

#include "model/tokenizer/prefix_index.h"
#include "model/tokenizer/token_model.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

// SentencePiece's penalty: an unknown character costs this much more than the worst token.
constexpr int kUnknownPenalty = 10;

// Sum: float or double.
template <class Sum>
class Unigram final : public TokenModel {
 public:
  explicit Unigram(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    std::vector<PrefixIndex::Entry> entries;
    Sum least = std::numeric_limits<Sum>::max();
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
      if (!vocabulary.IsText(id)) continue;
      entries.push_back({vocabulary.piece(id), id});
      least = std::min(least, Score(id));
    }
    unknown_score_ = (entries.empty() ? 0 : least) - kUnknownPenalty;
    pieces_ = PrefixIndex(std::move(entries));
  }

  void Encode(std::string_view piece, TokenScratch& scratch,
              std::vector<int32_t>& ids) const override {
    // [at]: the best way to reach byte `at`, and its last token's start and id (-1: unknown).
    struct Node {
      Sum score = -std::numeric_limits<Sum>::infinity();
      uint32_t begin = 0;
      int32_t id = -1;
    };
    std::vector<Node> nodes(piece.size() + 1);
    nodes[0].score = 0;
    for (size_t at = 0; at < piece.size();) {
      const std::string_view rest = piece.substr(at);
      const size_t length = static_cast<size_t>(std::max(1, DecodeUtf8(rest).length));
      const Sum base = nodes[at].score;
      bool has_character = false;
      const auto reach = [&](size_t n, Sum score, int32_t id) {
        Node& node = nodes[at + n];
        if (node.score < score) node = {score, static_cast<uint32_t>(at), id};
      };
      pieces_.ForEach(rest, [&](size_t n, int32_t id) {
        has_character |= n == length;
        reach(n, base + Score(id), id);
      });
      if (!has_character) reach(length, base + unknown_score_, -1);
      at += length;
    }
    Emit(piece, nodes, scratch, ids);
  }

 private:
  Sum Score(int32_t id) const { return static_cast<Sum>(vocabulary_.score(id)); }

  template <class Nodes>
  void Emit(std::string_view piece, const Nodes& nodes, TokenScratch& scratch,
            std::vector<int32_t>& ids) const {
    std::vector<size_t> ends;
    for (size_t end = piece.size(); end > 0; end = nodes[end].begin) ends.push_back(end);
    const size_t from = ids.size();
    for (size_t i = ends.size(); i-- > 0;) {
      const auto& node = nodes[ends[i]];
      if (node.id >= 0) {
        ids.push_back(node.id);
      } else {
        EncodeUnknown(vocabulary_, piece.substr(node.begin, ends[i] - node.begin), true, from,
                      scratch, ids);
      }
    }
  }

  const Vocabulary& vocabulary_;
  PrefixIndex pieces_;
  Sum unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<TokenModel> MakeUnigram(const Vocabulary& vocabulary, const TokenizerData& data) {
  if (data.double_sums) return std::make_unique<Unigram<double>>(vocabulary);
  return std::make_unique<Unigram<float>>(vocabulary);
}

}  // namespace kvasir
