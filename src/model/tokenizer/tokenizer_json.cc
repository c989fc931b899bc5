#include "model/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "model/tokenizer/json_access.h"
#include "model/tokenizer/json_steps.h"

namespace kvasir {
namespace {

// Ids may leave gaps (vocabularies are padded), but not so large that a number makes us allocate.
constexpr size_t kMaxGap = 1 << 16;

// A value that names an id below n.
Result<int32_t> ReadId(const Json* value, size_t n, std::string_view what) {
  if (value == nullptr || !value->is_number_unsigned() || value->get<uint64_t>() >= n) {
    return Fail("tokenizer.json: {}: expected an id below {}", what, n);
  }
  return static_cast<int32_t>(value->get<uint64_t>());
}

void Resize(size_t n, TokenizerData& data) {
  if (n <= data.pieces.size()) return;
  data.pieces.resize(n);
  data.types.resize(n, TokenType::kUnused);  // until something is found to fill the gap
}

int32_t FindPiece(const TokenizerData& data, const Json& vocab, std::string_view piece) {
  // Added tokens first: they need not be in the model's vocabulary.
  for (const SpecialRule& rule : data.special_rules) {
    if (data.pieces[static_cast<size_t>(rule.id)] == piece) return rule.id;
  }
  if (!vocab.is_object()) return -1;
  const auto it = vocab.find(piece);
  if (it == vocab.end() || !it->is_number_unsigned()) return -1;
  return it->get<uint64_t>() < data.pieces.size() ? it->get<int32_t>() : -1;
}

Status ReadBpeVocab(const Json& vocab, TokenizerData& data) {
  const size_t limit = vocab.size() + kMaxGap;
  for (const auto& [piece, value] : vocab.items()) {
    KV_ASSIGN_OR_RETURN(const int32_t id, ReadId(&value, limit, "model.vocab"));
    const auto at = static_cast<size_t>(id);
    Resize(at + 1, data);
    if (data.types[at] != TokenType::kUnused) {
      return Fail("tokenizer.json: model.vocab: two pieces have the id {}", id);
    }
    data.pieces[at] = piece;
    data.types[at] = TokenType::kNormal;
  }
  return {};
}

Status ReadMerges(const Json& merges, TokenizerData& data) {
  if (!merges.is_array()) return Fail("tokenizer.json: model.merges: expected a list");
  data.merges.reserve(merges.size());
  for (const Json& merge : merges) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      data.merges.emplace_back(merge[0].get_ref<const std::string&>(),
                               merge[1].get_ref<const std::string&>());
      continue;
    }
    const std::string* text = merge.get_ptr<const std::string*>();
    const size_t space = text == nullptr ? std::string::npos : text->find(' ', 1);
    if (space == std::string::npos) {
      return Fail("tokenizer.json: model.merges[{}]: expected [\"a\", \"b\"] or \"a b\"",
                  data.merges.size());
    }
    data.merges.emplace_back(text->substr(0, space), text->substr(space + 1));
  }
  return {};
}

Status ReadBpe(const Json& model, TokenizerData& data) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!StringOr(model, key, "").empty()) {
      return Fail("tokenizer.json: model.{} is not supported", key);
    }
  }
  const Json* vocab = Member(model, "vocab");
  const Json* merges = Member(model, "merges");
  if (vocab == nullptr || !vocab->is_object() || merges == nullptr) {
    return Fail("tokenizer.json: model: BPE needs an object 'vocab' and a list 'merges'");
  }
  data.kind = TokenizerKind::kCharacterBpe;
  data.joins_over_dropped = true;
  data.ignore_merges = BoolOr(model, "ignore_merges", false);
  data.fuse_unknown = BoolOr(model, "fuse_unk", false);
  KV_RETURN_IF_ERROR(ReadBpeVocab(*vocab, data));
  return ReadMerges(*merges, data);
}

Status ReadUnigram(const Json& model, TokenizerData& data) {
  const Json* vocab = Member(model, "vocab");
  if (vocab == nullptr || !vocab->is_array()) {
    return Fail("tokenizer.json: model: Unigram needs a list 'vocab'");
  }
  data.kind = TokenizerKind::kUnigram;
  data.fuse_unknown = true;
  data.double_sums = true;
  for (const Json& entry : *vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return Fail("tokenizer.json: model.vocab[{}]: expected [piece, score]", data.pieces.size());
    }
    data.pieces.push_back(entry[0].get<std::string>());
    data.scores.push_back(entry[1].get<double>());
    data.types.push_back(TokenType::kNormal);
  }
  if (const Json* unk = Member(model, "unk_id"); unk != nullptr) {
    KV_ASSIGN_OR_RETURN(data.unk, ReadId(unk, data.pieces.size(), "model.unk_id"));
    data.types[static_cast<size_t>(data.unk)] = TokenType::kUnknown;
  }
  return {};
}

Status ReadModel(const Json& model, TokenizerData& data) {
  const std::string_view type = StringOr(model, "type", "BPE");  // old files leave it out
  if (type == "BPE") {
    KV_RETURN_IF_ERROR(ReadBpe(model, data));
  } else if (type == "Unigram") {
    KV_RETURN_IF_ERROR(ReadUnigram(model, data));
  } else {
    return Fail("tokenizer.json: model '{}' is not supported; supported: BPE, Unigram",
                type.substr(0, 64));
  }
  const bool has_bytes = BoolOr(model, "byte_fallback", false);
  for (size_t i = 0; i < data.pieces.size(); ++i) {
    data.in_model.push_back(data.types[i] != TokenType::kUnused);
    if (!has_bytes) continue;
    const std::string& piece = data.pieces[i];
    const bool hex = piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>') &&
                     piece.find_first_not_of("0123456789abcdefABCDEF", 3) == 5;
    if (hex) data.types[i] = TokenType::kByte;
  }
  return {};
}

Status ReadAddedTokens(const Json& root, TokenizerData& data) {
  const Json* list = Member(root, "added_tokens");
  if (list == nullptr) return {};
  if (!list->is_array()) return Fail("tokenizer.json: added_tokens: expected a list");
  const size_t limit = data.pieces.size() + list->size() + kMaxGap;
  for (const Json& token : *list) {
    KV_ASSIGN_OR_RETURN(const int32_t id, ReadId(Member(token, "id"), limit, "added_tokens"));
    const auto at = static_cast<size_t>(id);
    const bool special = BoolOr(token, "special", false);
    Resize(at + 1, data);
    data.pieces[at] = StringOr(token, "content", "");
    data.types[at] = special ? TokenType::kControl : TokenType::kUserDefined;
    data.special_rules.push_back(
        {id, BoolOr(token, "lstrip", false), BoolOr(token, "rstrip", false),
         BoolOr(token, "single_word", false), BoolOr(token, "normalized", !special)});
  }
  data.in_model.resize(data.pieces.size(), false);
  if (!data.scores.empty()) data.scores.resize(data.pieces.size(), 0.0);
  return {};
}

// What a post-processor puts around a text.
Status ReadTemplate(const Json& processor, TokenizerData& data) {
  const Json* single = Member(processor, "single");
  const Json* special = Member(processor, "special_tokens");
  if (single == nullptr || !single->is_array()) {
    return Fail("tokenizer.json: post_processor: TemplateProcessing needs a list 'single'");
  }
  bool before = true;
  for (const Json& item : *single) {
    if (Member(item, "Sequence") != nullptr) {
      before = false;
      continue;
    }
    const Json* token = Member(item, "SpecialToken");
    const std::string name(token == nullptr ? "" : StringOr(*token, "id", ""));
    const Json* entry = special == nullptr ? nullptr : Member(*special, name.c_str());
    const Json* ids = entry == nullptr ? nullptr : Member(*entry, "ids");
    if (ids == nullptr || !ids->is_array()) {
      return Fail("tokenizer.json: post_processor: no ids for '{}'", name.substr(0, 64));
    }
    for (const Json& id : *ids) {
      KV_ASSIGN_OR_RETURN(const int32_t value, ReadId(&id, data.pieces.size(), "post_processor"));
      (before ? data.prefix_ids : data.suffix_ids).push_back(value);
    }
  }
  return {};
}

// ["</s>", 2]: RobertaProcessing's and BertProcessing's way to name a token.
Status ReadNamedId(const Json& processor, const char* key, size_t n, std::vector<int32_t>& ids) {
  const Json* pair = Member(processor, key);
  const Json* id = pair != nullptr && pair->is_array() && pair->size() == 2 ? &(*pair)[1] : nullptr;
  KV_ASSIGN_OR_RETURN(const int32_t value, ReadId(id, n, "post_processor"));
  ids.push_back(value);
  return {};
}

Status ReadPostProcessor(const Json& processor, int depth, TokenizerData& data) {
  if (processor.is_null()) return {};
  const std::string_view type = StringOr(processor, "type", "");
  if (type == "ByteLevel") return {};  // moves offsets only
  if (!data.prefix_ids.empty() || !data.suffix_ids.empty()) {
    return Fail("tokenizer.json: post_processor: two steps that add tokens are not supported");
  }
  if (type == "TemplateProcessing") return ReadTemplate(processor, data);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    KV_RETURN_IF_ERROR(ReadNamedId(processor, "cls", data.pieces.size(), data.prefix_ids));
    return ReadNamedId(processor, "sep", data.pieces.size(), data.suffix_ids);
  }
  const Json* list = Member(processor, "processors");
  if (type != "Sequence" || list == nullptr || !list->is_array() || depth > 4) {
    return Fail(
        "tokenizer.json: post_processor '{}' is not supported; supported: Sequence, "
        "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing",
        type.substr(0, 64));
  }
  for (const Json& inner : *list) KV_RETURN_IF_ERROR(ReadPostProcessor(inner, depth + 1, data));
  return {};
}

// tokenizer_config.json: which tokens begin and end a text, and whether they are added.
Status ReadConfig(const Json& config, const Json& vocab, TokenizerData& data) {
  const std::pair<const char*, int32_t*> tokens[] = {
      {"bos_token", &data.bos}, {"eos_token", &data.eos}, {"pad_token", &data.pad}};
  for (const auto& [key, id] : tokens) {
    const Json* token = Member(config, key);
    if (token == nullptr) continue;
    const std::string_view text =
        token->is_string() ? StringOr(config, key, "") : StringOr(*token, "content", "");
    *id = FindPiece(data, vocab, text);
    if (*id < 0) {
      return Fail("tokenizer_config.json: {} '{}' is not in the vocabulary", key,
                  text.substr(0, 64));
    }
  }
  const auto apply = [](const Json* wanted, int32_t id, std::vector<int32_t>& ids) {
    if (wanted == nullptr || !wanted->is_boolean() || id < 0) return;
    const bool has = std::ranges::find(ids, id) != ids.end();
    if (wanted->get<bool>() && !has) ids.insert(ids.begin(), id);
    if (!wanted->get<bool>() && has) std::erase(ids, id);
  };
  apply(Member(config, "add_bos_token"), data.bos, data.prefix_ids);
  apply(Member(config, "add_eos_token"), data.eos, data.suffix_ids);
  return {};
}

Status ReadUnknown(const Json& model, const Json& vocab, TokenizerData& data) {
  const std::string_view unk = StringOr(model, "unk_token", "");
  if (data.kind == TokenizerKind::kUnigram || unk.empty()) return {};
  data.unk = FindPiece(data, vocab, unk);
  if (data.unk < 0) {
    return Fail("tokenizer.json: model.unk_token '{}' is not in the vocabulary", unk.substr(0, 64));
  }
  return {};
}

}  // namespace

Result<TokenizerData> TokenizerDataFromJson(std::string_view json, std::string_view config) {
  KV_ASSIGN_OR_RETURN(const Json root, ParseJson(json, "tokenizer.json"));
  const Json* model = Member(root, "model");
  if (model == nullptr) return Fail("tokenizer.json: no object 'model'");
  static const Json kNull;
  const auto part = [&](const char* key) -> const Json& {
    const Json* found = Member(root, key);
    return found == nullptr ? kNull : *found;
  };
  TokenizerData data;
  KV_RETURN_IF_ERROR(ReadModel(*model, data));
  KV_RETURN_IF_ERROR(ReadAddedTokens(root, data));
  const Json* vocab = Member(*model, "vocab");
  KV_RETURN_IF_ERROR(ReadUnknown(*model, *vocab, data));
  KV_RETURN_IF_ERROR(ReadNormalizer(part("normalizer"), data));
  KV_RETURN_IF_ERROR(ReadPreTokenizer(part("pre_tokenizer"), data));
  KV_RETURN_IF_ERROR(ReadDecoder(part("decoder"), data));
  KV_RETURN_IF_ERROR(ReadPostProcessor(part("post_processor"), 0, data));
  if (!config.empty()) {
    KV_ASSIGN_OR_RETURN(const Json settings, ParseJson(config, "tokenizer_config.json"));
    KV_RETURN_IF_ERROR(ReadConfig(settings, *vocab, data));
  }
  return data;
}

Result<Tokenizer> TokenizerFromJson(std::string_view json, std::string_view config) {
  KV_ASSIGN_OR_RETURN(TokenizerData data, TokenizerDataFromJson(json, config));
  return Tokenizer::Make(std::move(data));
}

}  // namespace kvasir
