// Byte-pair encoding: over bytes or characters, with merges ranked by a list or by scores.

#include <algorithm>
#include <bit>
#include <utility>

#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/token_model.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

// Pairs of ids -> Merge; open addressing, at most half full.
class PairTable {
 public:
  explicit PairTable(size_t n) : slots_(std::bit_ceil(2 * n + 2)) {}

  // The first merge of a pair, being the better one, stays.
  void Add(int32_t left, int32_t right, Merge merge) {
    Slot& slot = slots_[Place(left, right)];
    if (slot.merge.id < 0) slot = {left, right, merge};
  }
  Merge Find(int32_t left, int32_t right) const { return slots_[Place(left, right)].merge; }

 private:
  struct Slot {
    int32_t left = -1, right = -1;
    Merge merge;
  };
  // The pair's slot, or the free one where it would go.
  size_t Place(int32_t left, int32_t right) const {
    const uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
    const size_t mask = slots_.size() - 1;
    size_t at = static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (slots_[at].merge.id >= 0 && (slots_[at].left != left || slots_[at].right != right)) {
      at = (at + 1) & mask;
    }
    return at;
  }
  std::vector<Slot> slots_;
};

// Larger floats first: the IEEE bits in descending order of value.
uint32_t OrderOfScore(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

bool HasByteTokens(const Vocabulary& vocabulary, std::string_view bytes) {
  return std::ranges::all_of(
      bytes, [&](char b) { return vocabulary.ByteToken(static_cast<uint8_t>(b)) >= 0; });
}

class Bpe final : public TokenModel {
 public:
  Bpe(const Vocabulary& vocabulary, const TokenizerData& data, PairTable merges)
      : vocabulary_(vocabulary),
        kind_(data.kind),
        ignore_merges_(data.ignore_merges),
        fuse_unknown_(data.fuse_unknown),
        drops_(data.joins_over_dropped && vocabulary.unknown() < 0),
        merges_(std::move(merges)) {}

  void Encode(std::string_view piece, TokenScratch& scratch,
              std::vector<int32_t>& ids) const override {
    if (ignore_merges_) {
      const int32_t whole = vocabulary_.FindText(piece);
      if (whole >= 0) return ids.push_back(whole);
    }
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    if (kind_ == TokenizerKind::kByteLevelBpe) {
      for (size_t i = 0; i < piece.size(); ++i) {
        AddSymbol(i, 1, vocabulary_.ByteToken(static_cast<uint8_t>(piece[i])), symbols);
      }
    } else {
      AddCharacters(piece, symbols);
    }
    if (drops_) Drop(piece, scratch);
    if (kind_ == TokenizerKind::kSentencePiece) {
      MergeSymbols(symbols, scratch.queue, [&](const Symbol& a, const Symbol& b) -> Merge {
        const int32_t id = vocabulary_.FindText(piece.substr(a.begin, a.length + b.length));
        return id < 0 ? Merge{}
                      : Merge{OrderOfScore(static_cast<float>(vocabulary_.score(id))), id};
      });
    } else {
      MergeSymbols(symbols, scratch.queue, [&](const Symbol& a, const Symbol& b) {
        return a.id < 0 || b.id < 0 ? Merge{} : merges_.Find(a.id, b.id);
      });
    }
    const size_t from = ids.size();
    for (int32_t i = symbols.empty() ? -1 : 0; i >= 0;) {
      const Symbol& symbol = symbols[static_cast<size_t>(i)];
      if (symbol.id >= 0) {
        ids.push_back(symbol.id);
      } else {
        EncodeUnknown(vocabulary_, piece.substr(symbol.begin, symbol.length), fuse_unknown_, from,
                      scratch, ids);
      }
      i = symbol.next;
    }
  }

 private:
  static void AddSymbol(size_t begin, size_t length, int32_t id, std::vector<Symbol>& symbols) {
    const auto index = static_cast<int32_t>(symbols.size());
    if (index > 0) symbols.back().next = index;
    symbols.push_back(
        {static_cast<uint32_t>(begin), static_cast<uint32_t>(length), id, index - 1, -1});
  }

  void AddCharacters(std::string_view piece, std::vector<Symbol>& symbols) const {
    for (size_t at = 0; at < piece.size();) {
      const int n = DecodeUtf8(piece.substr(at)).length;
      const size_t length = n <= 0 ? 1 : static_cast<size_t>(n);
      AddSymbol(at, length, vocabulary_.FindText(piece.substr(at, length)), symbols);
      at += length;
    }
  }

  // Takes out what has no token, its bytes neither, and links the rest anew.
  void Drop(std::string_view piece, TokenScratch& scratch) const {
    std::vector<Symbol>& symbols = scratch.symbols;
    int32_t n = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      Symbol symbol = symbols[i];
      const std::string_view bytes = piece.substr(symbol.begin, symbol.length);
      if (symbol.id < 0 && !HasByteTokens(vocabulary_, bytes)) {
        scratch.dropped_bytes += symbol.length;
        continue;
      }
      symbol.previous = n - 1;
      symbol.next = -1;
      if (n > 0) symbols[static_cast<size_t>(n - 1)].next = n;
      symbols[static_cast<size_t>(n++)] = symbol;
    }
    symbols.resize(static_cast<size_t>(n));
  }

  const Vocabulary& vocabulary_;
  const TokenizerKind kind_;
  const bool ignore_merges_;
  const bool fuse_unknown_;
  const bool drops_;  // what has no token goes before anything merges
  const PairTable merges_;
};

}  // namespace

void EncodeUnknown(const Vocabulary& vocabulary, std::string_view bytes, bool fuse, size_t from,
                   TokenScratch& scratch, std::vector<int32_t>& ids) {
  if (HasByteTokens(vocabulary, bytes)) {
    for (const char b : bytes) ids.push_back(vocabulary.ByteToken(static_cast<uint8_t>(b)));
  } else if (vocabulary.unknown() < 0) {
    scratch.dropped_bytes += static_cast<int64_t>(bytes.size());
  } else if (!fuse || ids.size() == from || ids.back() != vocabulary.unknown()) {
    ids.push_back(vocabulary.unknown());
  }
}

Result<std::unique_ptr<TokenModel>> MakeBpe(const Vocabulary& vocabulary,
                                            const TokenizerData& data) {
  const bool byte_level = data.kind == TokenizerKind::kByteLevelBpe;
  PairTable merges(data.merges.size());
  uint32_t rank = 0;
  std::string joined;  // as Vocabulary keeps pieces: bytes of the alphabet, else the spelling
  const auto append = [&](std::string_view piece) {
    if (!byte_level || !AppendBytesOfPiece(piece, joined)) joined.append(piece);
  };
  for (const auto& [left, right] : data.merges) {
    joined.clear();
    append(left);
    const size_t cut = joined.size();
    append(right);
    const std::string_view both = joined;
    const int32_t a = vocabulary.FindText(both.substr(0, cut));
    const int32_t b = vocabulary.FindText(both.substr(cut));
    const int32_t made = vocabulary.FindText(both);
    // A merge of or into something outside the vocabulary can never act.
    if (a >= 0 && b >= 0 && made >= 0) merges.Add(a, b, {rank, made});
    ++rank;
  }
  return std::make_unique<Bpe>(vocabulary, data, std::move(merges));
}

}  // namespace kvasir
