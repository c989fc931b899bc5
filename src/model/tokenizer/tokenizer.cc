#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include "model/tokenizer/end_of_generation.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";  // U+2581
// Pieces are cut here at the latest, so that offsets inside fit 32 bits.
constexpr size_t kMaxPiece = size_t{1} << 30;
// Fewer pieces than this are not worth remembering.
constexpr size_t kMinPiecesToCache = 32;

// The piece with `space` for each escaped one.
std::string Unescaped(std::string_view piece, std::string_view space) {
  std::string out;
  for (size_t at = 0; at < piece.size();) {
    if (piece.substr(at).starts_with(kEscapedSpace)) {
      out += space;
      at += kEscapedSpace.size();
    } else {
      out.push_back(piece[at++]);
    }
  }
  return out;
}

// The tokens of a piece that came before in the same text.
struct Seen {
  size_t begin;  // in the ids
  size_t count;
  int64_t dropped_bytes;
};

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Vocabulary> vocabulary, Normalizer normalizer,
                     const TokenizerData& data)
    : vocabulary_(std::move(vocabulary)),
      normalizer_(std::move(normalizer)),
      raw_special_(*vocabulary_, data.special_rules, nullptr),
      normalized_special_(*vocabulary_, data.special_rules, &normalizer_),
      prefix_ids_(data.prefix_ids),
      suffix_ids_(data.suffix_ids),
      bos_(data.bos),
      eos_(data.eos),
      pad_(data.pad),
      escape_spaces_(data.escape_spaces),
      leading_space_(data.leading_space) {}

Result<Tokenizer> Tokenizer::Make(TokenizerData data) {
  KV_RETURN_IF_ERROR(CheckTokenizerData(data));
  std::vector<int32_t> eog = FindEndOfGeneration(data);
  KV_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Make(data));
  KV_ASSIGN_OR_RETURN(Normalizer normalizer, Normalizer::Make(data.normalizer));
  Tokenizer made(std::make_unique<const Vocabulary>(std::move(vocabulary)), std::move(normalizer),
                 data);
  made.eog_ = std::move(eog);
  if (data.kind == TokenizerKind::kUnigram) {
    made.model_ = MakeUnigram(*made.vocabulary_, data);
  } else {
    KV_ASSIGN_OR_RETURN(made.model_, MakeBpe(*made.vocabulary_, data));
  }
  KV_ASSIGN_OR_RETURN(made.pre_tokenizer_, PreTokenizer::Make(data.pre_tokenizer));
  return made;
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  EncodeNotes notes;
  TokenScratch scratch;
  if (options.add_special) ids = prefix_ids_;
  for (const SpecialTokens::Part& part : raw_special_.Split(text, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      EncodePlain(text.substr(part.begin, part.end - part.begin), part.begin == 0,
                  options.parse_special, scratch, notes, ids);
    }
  }
  if (options.add_special) ids.insert(ids.end(), suffix_ids_.begin(), suffix_ids_.end());
  notes.dropped_bytes = scratch.dropped_bytes;
  if (options.notes != nullptr) *options.notes = notes;
  return ids;
}

void Tokenizer::EncodePlain(std::string_view fragment, bool first, bool control,
                            TokenScratch& scratch, EncodeNotes& notes,
                            std::vector<int32_t>& ids) const {
  const std::string text = normalizer_.Apply(fragment, first);
  // As `tokenizers`: only what starts with the text's own first character starts the text.
  if (first) first = !normalizer_.TakesStart(fragment);
  for (const SpecialTokens::Part& part : normalized_special_.Split(text, control)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      EncodePieces(text.substr(part.begin, part.end - part.begin), first && part.begin == 0,
                   scratch, notes, ids);
    }
  }
}

void Tokenizer::EncodePieces(std::string text, bool first, TokenScratch& scratch,
                             EncodeNotes& notes, std::vector<int32_t>& ids) const {
  SplitText split{std::move(text), {}};
  split.ends.push_back(split.text.size());
  if (!pre_tokenizer_.Split(split, first)) notes.split_incomplete = true;

  const bool cached = split.ends.size() >= kMinPiecesToCache;
  std::unordered_map<std::string_view, Seen> seen;
  size_t begin = 0;
  for (const size_t end : split.ends) {
    const std::string_view piece = std::string_view(split.text).substr(begin, end - begin);
    begin = end;
    const size_t from = ids.size();
    const int64_t dropped = scratch.dropped_bytes;
    Seen* entry = nullptr;
    if (cached) {
      const auto [it, is_new] = seen.try_emplace(piece, Seen{from, 0, 0});
      if (!is_new) {
        for (size_t i = 0; i < it->second.count; ++i) ids.push_back(ids[it->second.begin + i]);
        scratch.dropped_bytes += it->second.dropped_bytes;
        continue;
      }
      entry = &it->second;
    }
    for (size_t at = 0; at < piece.size(); at += kMaxPiece) {
      model_->Encode(piece.substr(at, kMaxPiece), scratch, ids);
    }
    if (entry != nullptr) *entry = {from, ids.size() - from, scratch.dropped_bytes - dropped};
  }
}

std::string Tokenizer::Piece(int32_t id) const {
  if (!vocabulary_->Has(id)) return {};
  const std::string& piece = vocabulary_->piece(id);
  if (!escape_spaces_ || IsSpecial(id)) return piece;
  return Unescaped(piece, " ");
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string out;
  bool is_first = options.text_start;
  for (const int32_t id : ids) {
    if (!vocabulary_->Has(id) || (IsSpecial(id) && !options.special)) continue;
    const LeadingSpace leading = is_first ? leading_space_ : LeadingSpace::kKeep;
    is_first = false;
    if (leading == LeadingSpace::kDropAll) {
      out += Unescaped(vocabulary_->piece(id), "");
      continue;
    }
    const std::string piece = Piece(id);
    const bool drops = leading == LeadingSpace::kDropOne && piece.starts_with(' ');
    out += std::string_view(piece).substr(drops ? 1 : 0);
  }
  return out;
}

int32_t Tokenizer::Lookup(std::string_view piece) const {
  const int32_t id = vocabulary_->Find(piece);
  if (id >= 0 || !escape_spaces_) return id;
  std::string escaped;
  for (const char c : piece) {
    if (c == ' ') {
      escaped += kEscapedSpace;
    } else {
      escaped.push_back(c);
    }
  }
  return vocabulary_->Find(escaped);
}

bool Tokenizer::IsSpecial(int32_t id) const {
  return vocabulary_->Has(id) && (vocabulary_->type(id) == TokenType::kControl ||
                                  vocabulary_->type(id) == TokenType::kUnknown);
}

bool Tokenizer::IsEog(int32_t id) const { return std::ranges::binary_search(eog_, id); }

}  // namespace kvasir
