#include "model/tokenizer/tokenizer_source.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>

#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/tokenizer_json.h"

namespace kvasir {
namespace {

constexpr const char* kEscapedSpace = "\xe2\x96\x81";  // U+2581

// Where the file names none: what llama.cpp assumes for that kind of tokenizer.
struct Defaults {
  TokenizerKind kind;
  int32_t bos, eos, unk;
  bool add_bos, add_eos, add_space_prefix;
};

Result<Defaults> DefaultsOf(std::string_view model) {
  if (model == "gpt2")
    return Defaults{TokenizerKind::kByteLevelBpe, 11, 11, -1, false, false, false};
  if (model == "llama") return Defaults{TokenizerKind::kSentencePiece, 1, 2, 0, true, false, true};
  if (model == "t5") return Defaults{TokenizerKind::kUnigram, -1, 1, 2, false, true, true};
  if (model == "gemma4") {
    return Defaults{TokenizerKind::kCharacterBpe, -1, -1, -1, true, false, false};
  }
  return Fail("tokenizer.ggml.model '{}' is not supported; supported: gpt2, llama, t5, gemma4",
              model.substr(0, 64));
}

Status ReadPieces(const Metadata& metadata, TokenizerData& data) {
  KV_ASSIGN_OR_RETURN(const auto pieces, metadata.Strings("tokenizer.ggml.tokens"));
  data.pieces.assign(pieces.begin(), pieces.end());
  if (metadata.Has("tokenizer.ggml.scores")) {
    KV_ASSIGN_OR_RETURN(const auto scores, metadata.Floats("tokenizer.ggml.scores"));
    data.scores.assign(scores.begin(), scores.end());
  }
  if (metadata.Has("tokenizer.ggml.token_type")) {
    KV_ASSIGN_OR_RETURN(const auto types, metadata.Ints("tokenizer.ggml.token_type"));
    data.types.reserve(types.size());
    for (const int64_t type : types) {
      const bool known = type >= 1 && type <= 6;
      data.types.push_back(known ? static_cast<TokenType>(type) : TokenType::kNormal);
    }
  }
  return {};
}

Status ReadMerges(const Metadata& metadata, TokenizerData& data) {
  KV_ASSIGN_OR_RETURN(const auto merges, metadata.Strings("tokenizer.ggml.merges"));
  data.merges.reserve(merges.size());
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ', 1);  // a piece may start with a space, none holds one
    if (space == std::string::npos) {
      return Fail("tokenizer.ggml.merges: entry {} is not two pieces with a space between",
                  data.merges.size());
    }
    data.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return {};
}

// A key that is missing leaves the id; one that names no token is an error.
Status ReadId(const Metadata& metadata, std::string_view key, int64_t n, int32_t& id) {
  if (id >= n) id = -1;  // a default beyond a small vocabulary
  if (!metadata.Has(key)) return {};
  KV_ASSIGN_OR_RETURN(const int64_t value, metadata.I64(key));
  if (value == UINT32_MAX || value == -1) {  // how some writers say "none"
    id = -1;
    return {};
  }
  if (value < 0 || value >= n) return Fail("{}: {}: the vocabulary has {} tokens", key, value, n);
  id = static_cast<int32_t>(value);
  return {};
}

Status ReadSpecialIds(const Metadata& metadata, const Defaults& defaults, TokenizerData& data) {
  data.bos = defaults.bos, data.eos = defaults.eos, data.unk = defaults.unk;
  const auto n = static_cast<int64_t>(data.pieces.size());
  const std::pair<const char*, int32_t*> ids[] = {{"tokenizer.ggml.bos_token_id", &data.bos},
                                                  {"tokenizer.ggml.eos_token_id", &data.eos},
                                                  {"tokenizer.ggml.eot_token_id", &data.eot},
                                                  {"tokenizer.ggml.eom_token_id", &data.eom},
                                                  {"tokenizer.ggml.unknown_token_id", &data.unk},
                                                  {"tokenizer.ggml.padding_token_id", &data.pad}};
  for (const auto& [key, id] : ids) KV_RETURN_IF_ERROR(ReadId(metadata, key, n, *id));
  // Byte-level vocabularies name an unknown token and never use it.
  if (data.kind == TokenizerKind::kByteLevelBpe) data.unk = -1;
  for (const char* key : {"tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
                          "tokenizer.ggml.fim_sep_token_id"}) {
    int32_t id = -1;
    KV_RETURN_IF_ERROR(ReadId(metadata, key, n, id));
    if (id >= 0) data.more_eog.push_back(id);
  }
  return {};
}

// GGUF has no rstrip flag; Phi-3's special tokens swallow white space after them.
Status AddPhi3Rules(const Metadata& metadata, TokenizerData& data) {
  KV_ASSIGN_OR_RETURN(const std::string_view given, metadata.String("general.name", ""));
  std::string name(given);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return {};
  for (size_t i = 0; i < data.types.size(); ++i) {
    const std::string& piece = data.pieces[i];
    if (data.types[i] != TokenType::kControl && data.types[i] != TokenType::kUserDefined) continue;
    if (piece == "<unk>" || piece == "<s>" || piece == "<|endoftext|>") continue;
    SpecialRule rule;
    rule.id = static_cast<int32_t>(i);
    rule.rstrip = true;
    data.special_rules.push_back(rule);
  }
  return {};
}

// SentencePiece's normaliser: its character map, spaces, the space put first, U+2581 for spaces.
Status AddSentencePieceSteps(const Metadata& metadata, bool space_prefix, TokenizerData& data) {
  using Op = NormalizerStep::Op;
  if (data.kind == TokenizerKind::kUnigram) {
    if (metadata.Has("tokenizer.ggml.precompiled_charsmap")) {
      KV_ASSIGN_OR_RETURN(const auto bytes, metadata.Ints("tokenizer.ggml.precompiled_charsmap"));
      std::string map;
      for (const int64_t byte : bytes) map.push_back(static_cast<char>(byte & 0xff));
      data.normalizer.push_back({Op::kCharsMap, "", std::move(map)});
    }
    KV_ASSIGN_OR_RETURN(const bool collapse,
                        metadata.Bool("tokenizer.ggml.remove_extra_whitespaces", false));
    if (collapse) data.normalizer.push_back({Op::kCollapseSpaces, "", ""});
  }
  if (space_prefix) data.normalizer.push_back({Op::kPrepend, "", " "});
  data.normalizer.push_back({Op::kReplace, " ", kEscapedSpace});
  data.escape_spaces = true;
  if (space_prefix) data.leading_space = LeadingSpace::kDropOne;
  data.fuse_unknown = true;
  return {};
}

// A Hugging Face folder: what tokenizer_config.json leaves open, generation_config.json and
// config.json say (their keys are source.h's).
Result<TokenizerData> TokenizerDataFromFolder(const Metadata& metadata) {
  KV_ASSIGN_OR_RETURN(const std::string_view json, metadata.String("kvasir.tokenizer_json"));
  KV_ASSIGN_OR_RETURN(const std::string_view config,
                      metadata.String("kvasir.tokenizer_config_json", ""));
  KV_ASSIGN_OR_RETURN(TokenizerData data, TokenizerDataFromJson(json, config));
  const auto n = static_cast<int64_t>(data.pieces.size());
  if (data.bos < 0)
    KV_RETURN_IF_ERROR(ReadId(metadata, "tokenizer.ggml.bos_token_id", n, data.bos));
  if (data.eos < 0)
    KV_RETURN_IF_ERROR(ReadId(metadata, "tokenizer.ggml.eos_token_id", n, data.eos));
  if (metadata.Has("kvasir.eos_token_ids")) {
    KV_ASSIGN_OR_RETURN(const auto ids, metadata.Ints("kvasir.eos_token_ids"));
    for (const int64_t id : ids) {
      if (id < 0 || id >= n) return Fail("eos_token_id: {}: the vocabulary has {} tokens", id, n);
      data.more_eog.push_back(static_cast<int32_t>(id));
    }
  }
  return data;
}

}  // namespace

Result<TokenizerData> TokenizerDataFromGguf(const Metadata& metadata) {
  KV_ASSIGN_OR_RETURN(const std::string_view model, metadata.String("tokenizer.ggml.model"));
  KV_ASSIGN_OR_RETURN(Defaults defaults, DefaultsOf(model));
  TokenizerData data;
  data.kind = defaults.kind;
  KV_RETURN_IF_ERROR(ReadPieces(metadata, data));
  KV_RETURN_IF_ERROR(ReadSpecialIds(metadata, defaults, data));
  if (data.kind == TokenizerKind::kByteLevelBpe) {
    KV_ASSIGN_OR_RETURN(const std::string_view pre,
                        metadata.String("tokenizer.ggml.pre", "default"));
    KV_ASSIGN_OR_RETURN(NamedPreTokenizer named, FindPreTokenizer(pre));
    data.pre_tokenizer = std::move(named.steps);
    data.ignore_merges = named.ignore_merges;
    defaults.add_bos = named.add_bos;
    KV_RETURN_IF_ERROR(ReadMerges(metadata, data));
  } else {
    KV_ASSIGN_OR_RETURN(const bool prefix, metadata.Bool("tokenizer.ggml.add_space_prefix",
                                                         defaults.add_space_prefix));
    KV_RETURN_IF_ERROR(AddSentencePieceSteps(metadata, prefix, data));
    if (data.kind == TokenizerKind::kCharacterBpe) {
      KV_RETURN_IF_ERROR(ReadMerges(metadata, data));
      data.pre_tokenizer.push_back({PreTokenizerStep::Op::kSplit, R"([^\n]+|\n+)"});
    }
    KV_RETURN_IF_ERROR(AddPhi3Rules(metadata, data));
  }
  KV_ASSIGN_OR_RETURN(const bool add_bos,
                      metadata.Bool("tokenizer.ggml.add_bos_token", defaults.add_bos));
  KV_ASSIGN_OR_RETURN(const bool add_eos,
                      metadata.Bool("tokenizer.ggml.add_eos_token", defaults.add_eos));
  if (add_bos && data.bos >= 0) data.prefix_ids.push_back(data.bos);
  if (add_eos && data.eos >= 0) data.suffix_ids.push_back(data.eos);
  return data;
}

Result<Tokenizer> TokenizerFromMetadata(const Metadata& metadata) {
  const bool folder =
      !metadata.Has("tokenizer.ggml.model") && metadata.Has("kvasir.tokenizer_json");
  KV_ASSIGN_OR_RETURN(TokenizerData data,
                      folder ? TokenizerDataFromFolder(metadata) : TokenizerDataFromGguf(metadata));
  return Tokenizer::Make(std::move(data));
}

}  // namespace kvasir
