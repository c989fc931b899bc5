#include "model/tokenizer/json_steps.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "model/tokenizer/pre_tokenizer.h"

namespace kvasir {
namespace {

constexpr size_t kMaxSteps = 32;  // of one chain

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int n_bits = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | value;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out.push_back(static_cast<char>(bits >> n_bits & 0xff));
  }
  return out;
}

// Calls read(step) for a step, or for each of a Sequence's, which may be nested.
template <class Read>
Status ForEachStep(const Json& step, const char* list_key, const char* what, const Read& read) {
  if (step.is_null()) return {};
  if (!step.is_object()) return Fail("tokenizer.json: {}: not an object", what);
  if (StringOr(step, "type", "") != "Sequence") return read(step);
  const Json* list = Member(step, list_key);
  if (list == nullptr || !list->is_array() || list->size() > kMaxSteps) {
    return Fail("tokenizer.json: {}: '{}' must be a list of at most {}", what, list_key, kMaxSteps);
  }
  for (const Json& inner : *list) {
    KV_RETURN_IF_ERROR(ForEachStep(inner, list_key, what, read));
  }
  return {};
}

struct Pattern {
  std::string text;
  bool is_regex = false;
};

Result<Pattern> ReadPattern(const Json& step, const char* what) {
  const Json* pattern = Member(step, "pattern");
  const Json* literal = pattern == nullptr ? nullptr : Member(*pattern, "String");
  const Json* regex = pattern == nullptr ? nullptr : Member(*pattern, "Regex");
  if (literal != nullptr && literal->is_string())
    return Pattern{literal->get<std::string>(), false};
  if (regex != nullptr && regex->is_string()) return Pattern{regex->get<std::string>(), true};
  return Fail("tokenizer.json: {}: a pattern is {{\"String\": ...}} or {{\"Regex\": ...}}", what);
}

std::string QuoteForRegex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!word && static_cast<uint8_t>(c) < 0x80) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

Result<SplitBehavior> ReadBehavior(const Json& step, std::string_view fallback) {
  constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Isolated", SplitBehavior::kIsolated},
      {"Removed", SplitBehavior::kRemoved},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  const std::string_view name = StringOr(step, "behavior", fallback);
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  return Fail("tokenizer.json: pre_tokenizer: unknown behavior '{}'", name.substr(0, 64));
}

Status ReadReplace(const Json& step, TokenizerData& data) {
  KV_ASSIGN_OR_RETURN(Pattern pattern, ReadPattern(step, "normalizer Replace"));
  const auto op =
      pattern.is_regex ? NormalizerStep::Op::kReplaceRegex : NormalizerStep::Op::kReplace;
  data.normalizer.push_back(
      {op, std::move(pattern.text), std::string(StringOr(step, "content", ""))});
  return {};
}

struct PlainNormalizer {
  std::string_view name;
  NormalizerStep::Op op;
};
constexpr PlainNormalizer kPlainNormalizers[] = {{"NFC", NormalizerStep::Op::kNfc},
                                                 {"NFD", NormalizerStep::Op::kNfd},
                                                 {"NFKC", NormalizerStep::Op::kNfkc},
                                                 {"NFKD", NormalizerStep::Op::kNfkd},
                                                 {"Lowercase", NormalizerStep::Op::kLowercase}};

Status ReadOneNormalizer(const Json& step, TokenizerData& data) {
  using Op = NormalizerStep::Op;
  const std::string_view type = StringOr(step, "type", "");
  if (type == "Replace") return ReadReplace(step, data);
  if (type == "Prepend") {
    data.normalizer.push_back({Op::kPrepend, "", std::string(StringOr(step, "prepend", ""))});
  } else if (const auto plain = std::ranges::find(kPlainNormalizers, type, &PlainNormalizer::name);
             plain != std::end(kPlainNormalizers)) {
    data.normalizer.push_back({plain->op, "", ""});
  } else if (type == "Nmt") {  // control characters go, what separates becomes a space
    data.normalizer.push_back(
        {Op::kReplaceRegex, R"([\x01-\x08\x0b\x0e-\x1f\x7f\x{8f}\x{9f}])", ""});
    data.normalizer.push_back(
        {Op::kReplaceRegex,
         R"([\t\n\f\r\x{1680}\x{200b}-\x{200f}\x{2028}\x{2029}\x{2581}\x{feff}\x{fffd}])", " "});
  } else if (type == "StripAccents") {
    data.normalizer.push_back({Op::kReplaceRegex, "\\p{M}", ""});
  } else if (type == "Strip") {
    if (BoolOr(step, "strip_left", true)) data.normalizer.push_back({Op::kStripLeft, "", ""});
    if (BoolOr(step, "strip_right", true)) data.normalizer.push_back({Op::kStripRight, "", ""});
  } else if (type == "Precompiled") {
    std::optional<std::string> map = DecodeBase64(StringOr(step, "precompiled_charsmap", ""));
    if (!map) return Fail("tokenizer.json: normalizer: precompiled_charsmap is not base64");
    if (!map->empty()) data.normalizer.push_back({Op::kCharsMap, "", std::move(*map)});
  } else {
    return Fail(
        "tokenizer.json: normalizer '{}' is not supported; supported: Sequence, Replace, "
        "Prepend, NFC, NFD, NFKC, NFKD, Nmt, Lowercase, StripAccents, Strip, Precompiled",
        type.substr(0, 64));
  }
  return {};
}

void AddSplit(std::string pattern, SplitBehavior behavior, bool invert, TokenizerData& data) {
  data.pre_tokenizer.push_back(
      {PreTokenizerStep::Op::kSplit, std::move(pattern), behavior, invert});
}

Status ReadMetaspace(const Json& step, TokenizerData& data) {
  using Op = PreTokenizerStep::Op;
  const std::string mark(StringOr(step, "replacement", "\xe2\x96\x81"));
  const std::string_view old = BoolOr(step, "add_prefix_space", true) ? "always" : "never";
  const std::string_view scheme = StringOr(step, "prepend_scheme", old);
  data.pre_tokenizer.push_back({Op::kReplace, mark});
  if (scheme == "always" || scheme == "first") {
    data.pre_tokenizer.push_back({scheme == "first" ? Op::kPrefixFirst : Op::kPrefix, mark});
  } else if (scheme != "never") {
    return Fail("tokenizer.json: Metaspace: unknown prepend_scheme '{}'", scheme.substr(0, 64));
  }
  if (BoolOr(step, "split", true)) {
    AddSplit(QuoteForRegex(mark), SplitBehavior::kMergedWithNext, false, data);
  }
  data.escape_spaces = true;
  return {};
}

// What comes after ByteLevel sees its alphabet, not the text: only plain ASCII means the same.
bool MeansTheSameInTheAlphabet(const Pattern& pattern) {
  return std::ranges::all_of(pattern.text, [](char c) {
    return c > ' ' && c < 0x7f && c != '\\' && c != '^' && c != '.';
  });
}

Status ReadOnePreTokenizer(const Json& step, TokenizerData& data) {
  const std::string_view type = StringOr(step, "type", "");
  const bool after_bytes = data.kind == TokenizerKind::kByteLevelBpe;
  if (type == "Split") {
    KV_ASSIGN_OR_RETURN(Pattern pattern, ReadPattern(step, "pre_tokenizer Split"));
    KV_ASSIGN_OR_RETURN(const SplitBehavior behavior, ReadBehavior(step, "Isolated"));
    if (after_bytes && !MeansTheSameInTheAlphabet(pattern)) {
      return Fail("tokenizer.json: pre_tokenizer: Split '{}' after ByteLevel is not supported",
                  pattern.text.substr(0, 64));
    }
    std::string regex = pattern.is_regex ? std::move(pattern.text) : QuoteForRegex(pattern.text);
    AddSplit(std::move(regex), behavior, BoolOr(step, "invert", false), data);
    return {};
  }
  if (after_bytes) {
    return Fail("tokenizer.json: pre_tokenizer: '{}' after ByteLevel is not supported",
                type.substr(0, 64));
  }
  if (type == "ByteLevel") {
    if (data.kind != TokenizerKind::kCharacterBpe) {
      return Fail("tokenizer.json: pre_tokenizer: ByteLevel needs a model of type BPE");
    }
    data.kind = TokenizerKind::kByteLevelBpe;
    if (BoolOr(step, "add_prefix_space", true)) {
      data.pre_tokenizer.push_back({PreTokenizerStep::Op::kPrefix, " "});
    }
    if (BoolOr(step, "use_regex", true)) {
      AddSplit(std::string(Gpt2Pattern()), SplitBehavior::kIsolated, false, data);
    }
    return {};
  }
  if (type == "Metaspace") return ReadMetaspace(step, data);
  if (type == "Digits") {
    const bool individual = BoolOr(step, "individual_digits", false);
    AddSplit(individual ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::kIsolated, false, data);
  } else if (type == "Punctuation") {
    KV_ASSIGN_OR_RETURN(const SplitBehavior behavior, ReadBehavior(step, "Isolated"));
    AddSplit(R"([!-/:-@\[-`{-~\p{P}])", behavior, false, data);
  } else if (type == "WhitespaceSplit") {
    AddSplit(R"(\s)", SplitBehavior::kRemoved, false, data);
  } else if (type == "Whitespace") {
    // Rust's \w, which is not that of patterns.
    AddSplit(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|)"
             R"([^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\s]+)",
             SplitBehavior::kRemoved, true, data);
  } else {
    return Fail(
        "tokenizer.json: pre_tokenizer '{}' is not supported; supported: Sequence, "
        "ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit",
        type.substr(0, 64));
  }
  return {};
}

Status ReadOneDecoder(const Json& step, TokenizerData& data) {
  const std::string_view type = StringOr(step, "type", "");
  if (type == "Replace") {
    KV_ASSIGN_OR_RETURN(const Pattern pattern, ReadPattern(step, "decoder Replace"));
    if (pattern.text != "\xe2\x96\x81" || StringOr(step, "content", "") != " ") {
      return Fail("tokenizer.json: decoder Replace: only U+2581 by a space is supported");
    }
    data.escape_spaces = true;
  } else if (type == "Metaspace") {
    data.escape_spaces = true;
    const std::string_view old = BoolOr(step, "add_prefix_space", true) ? "always" : "never";
    const bool is_put_first = StringOr(step, "prepend_scheme", old) != "never";
    data.leading_space = is_put_first ? LeadingSpace::kDropAll : LeadingSpace::kKeep;
  } else if (type == "Strip") {
    const Json* start = Member(step, "start");
    if (start != nullptr && start->is_number_integer() && *start != 0) {
      data.leading_space = LeadingSpace::kDropOne;
    }
  } else if (type != "ByteLevel" && type != "ByteFallback" && type != "Fuse") {
    return Fail(
        "tokenizer.json: decoder '{}' is not supported; supported: Sequence, ByteLevel, "
        "ByteFallback, Fuse, Metaspace, Replace, Strip",
        type.substr(0, 64));
  }
  return {};
}

}  // namespace

Status ReadNormalizer(const Json& step, TokenizerData& data) {
  return ForEachStep(step, "normalizers", "normalizer",
                     [&](const Json& one) { return ReadOneNormalizer(one, data); });
}

Status ReadPreTokenizer(const Json& step, TokenizerData& data) {
  return ForEachStep(step, "pretokenizers", "pre_tokenizer",
                     [&](const Json& one) { return ReadOnePreTokenizer(one, data); });
}

Status ReadDecoder(const Json& step, TokenizerData& data) {
  return ForEachStep(step, "decoders", "decoder",
                     [&](const Json& one) { return ReadOneDecoder(one, data); });
}

}  // namespace kvasir
