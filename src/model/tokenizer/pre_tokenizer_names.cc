// The table of GGUF's pre-tokenizer names. Each entry's patterns are those of the model's own
// tokenizer.json, applied one after the other to the pieces the one before left.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>

#include "model/tokenizer/pre_tokenizer.h"

namespace kvasir {
namespace {

using Patterns = std::vector<std::string>;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const kContraction = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
const char* const kSpaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kHanKana = R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)";
const char* const kDeepSeekHan = R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)";
// Cased letters as DeepSeek's first tokenizer lists them.
const char* const kDeepSeekLetters =
    R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293})"
    R"(\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a})"
    R"(\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556})"
    R"(\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf})"
    R"(\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d})"
    R"(\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d})"
    R"(\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4})"
    R"(\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4})"
    R"(\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124})"
    R"(\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f})"
    R"(\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4})"
    R"(\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f})"
    R"(\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})"
    R"(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3})"
    R"(\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df})"
    R"(\x{1e900}-\x{1e943}]+)";

Patterns Gpt2() { return {std::string(kGpt2)}; }
Patterns DigitsThenGpt2() { return {R"(\p{N})", std::string(kGpt2)}; }

// The pattern of cl100k and its kin; they differ in what a word is and how digits are grouped.
std::string Words(std::string_view word, std::string_view number,
                  std::string_view symbols = R"( ?[^\s\p{L}\p{N}]+[\r\n]*)") {
  return fmt::format("{}|{}|{}|{}{}", kContraction, word, number, symbols, kSpaces);
}
const char* const kPlainWord = R"([^\r\n\p{L}\p{N}]?\p{L}+)";

Patterns Llama3() { return {Words(kPlainWord, R"(\p{N}{1,3})")}; }
Patterns Qwen2() { return {Words(kPlainWord, R"(\p{N})")}; }
Patterns Qwen35() {
  return {
      Words(R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)", R"(\p{N})", R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)")};
}
Patterns SeedCoder() { return {Words(kPlainWord, R"(\p{N})", R"( ?[^\s\p{L}\p{N}\r\n]+)")}; }
Patterns MiniCpm5() { return {R"(\p{N}{1,3})", Words(kPlainWord, R"(\p{N}+)")}; }
Patterns Laguna() { return {R"([^\n]+|[\n]+)", Words(kPlainWord, R"(\p{N})")}; }
Patterns UfakZeka() {
  return {fmt::format(R"({}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*{})", kPlainWord, kSpaces)};
}
Patterns Jais2() {
  return {fmt::format("{}|{}", kContraction, kPlainWord) +
          R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S))"
          R"(|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S))"
          R"(|\s{1,2}(?!\S)|\s{1})"};
}
Patterns BailingMoe() {
  return {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
          R"(|\s*[\r\n]|\s+(?!\S)|\s+)"};
}
Patterns ExaoneMoe() {  // ++: nothing follows the group, so giving back could never help
  return {fmt::format("{}|", kContraction) +
          R"([^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)++|\p{N})"
          R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"};
}

// Words of o200k: capitals then small letters; `end` is what may hang on a word.
std::string CasedWords(std::string_view end, std::string_view number) {
  const char* const upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
  const char* const lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const char* const lead = R"([^\r\n\p{L}\p{N}]?)";
  return fmt::format("{0}{1}*{2}+{3}|{0}{1}+{2}*{3}|{4}|", lead, upper, lower, end, number) +
         R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)" + kSpaces;
}
Patterns Gpt4o() { return {CasedWords(std::string(kContraction) + "?", R"(\p{N}{1,3})")}; }
Patterns Tekken() { return {CasedWords("", R"(\p{N})")}; }
Patterns Youtu() {
  return {R"([\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+|[\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018})"
          R"(\x{2019}\x{2014}\x{ff1a}\x{ff1b}\x{ff0c}\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+)"
          R"(|[\x{3105}-\x{312f}]+|[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
          CasedWords(std::string(kContraction) + "?", R"(\p{N})")};
}

Patterns DeepSeekLlm() {
  return {R"([\r\n])",
          kDeepSeekLetters,
          R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)",
          R"(\s+$)",
          kDeepSeekHan,
          R"(\p{N}+)"};
}
Patterns DeepSeekCoder() {
  return {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekHan, R"(\p{N})"};
}
const char* const kDeepSeek3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+)";
Patterns DeepSeek3() {
  return {R"(\p{N}{1,3})", kHanKana, fmt::format(R"({}[\r\n]*{})", kDeepSeek3Words, kSpaces)};
}

const char* const kBloomWords =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)";

const char* const kFalconSymbols = R"([\p{P}\$\+<=>\^~\|`]+)";
Patterns Falcon() { return {kFalconSymbols, std::string(kGpt2), "[0-9][0-9][0-9]"}; }
Patterns Default() {  // what files without a name were made for
  return {R"([\p{P}\$\+<=>\^~\|]+)", std::string(kGpt2), R"(\p{N}+)", "[0-9][0-9][0-9]"};
}
Patterns Bloom() { return {kBloomWords}; }
Patterns Viking() { return {kBloomWords, R"(\p{N})"}; }
Patterns Chameleon() {
  return {"<sentinel:[0-9]+>",       "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
          R"(([\t\n]|    |  ))",     R"(\p{N})",
          R"([\p{P}!-/:-@\[-`{-~])", std::string(kGpt2)};
}

struct Family {
  Patterns (*patterns)();
  bool ignore_merges;
  bool add_bos;
  std::vector<std::string_view> names;
};

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {Default, false, false, {"default"}},
      {Gpt2,
       false,
       false,
       {"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
        "gigachat", "a.x-4.0", "mellum", "modern-bert", "jina-es", "jina-de", "jina-v2-es",
        "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe"}},
      {DigitsThenGpt2,
       false,
       false,
       {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2"}},
      {Llama3,
       true,
       true,
       {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"}},
      {Llama3, false, false, {"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}},
      {Qwen2,
       false,
       false,
       {"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2",
        "kormo", "f2llmv2"}},
      {Qwen35, false, false, {"qwen35"}},
      {SeedCoder, false, false, {"seed-coder"}},
      {MiniCpm5, true, false, {"minicpm5"}},
      {Laguna, false, false, {"laguna"}},
      {UfakZeka, false, false, {"ufakzeka"}},
      {Jais2, false, false, {"jais-2"}},
      {BailingMoe, false, false, {"bailingmoe", "bailingmoe2", "llada-moe"}},
      {ExaoneMoe, false, false, {"exaone-moe"}},
      {Gpt4o, false, false, {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}},
      {Gpt4o, true, false, {"granite-embed-multi-97m"}},
      {Tekken, true, true, {"tekken"}},
      {Youtu, true, false, {"youtu"}},
      {DeepSeekLlm, false, false, {"deepseek-llm"}},
      {DeepSeekCoder, false, false, {"deepseek-coder"}},
      {DeepSeek3, false, false, {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}},
      {Falcon, false, false, {"falcon"}},
      {Bloom, false, false, {"bloom", "poro-chat", "gpt3-finnish"}},
      {Viking, false, false, {"viking"}},
      {Chameleon, false, true, {"chameleon"}},
  };
  return kFamilies;
}

}  // namespace

std::string_view Gpt2Pattern() { return kGpt2; }

Result<NamedPreTokenizer> FindPreTokenizer(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Family& family : Families()) {
    if (std::ranges::find(family.names, name) == family.names.end()) {
      known.insert(known.end(), family.names.begin(), family.names.end());
      continue;
    }
    NamedPreTokenizer found{{}, family.ignore_merges, family.add_bos};
    for (std::string& pattern : family.patterns()) {
      found.steps.push_back({PreTokenizerStep::Op::kSplit, std::move(pattern)});
    }
    return found;
  }
  std::ranges::sort(known);
  return Fail("pre-tokenizer '{}' is unknown; known: {}", name.substr(0, 64),
              fmt::join(known, ", "));
}

}  // namespace kvasir
