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
const char* const kHanKana = "[一-龥぀-ゟ゠-ヿ]+";
// Cased letters as DeepSeek's first tokenizer lists them.
const char* const kDeepSeekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅ)"
    R"(ὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗ)"
    R"(Ａ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

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
  return {
      "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-"
      "ゟ゠-"
      "ヿ]"
      "+",
      CasedWords(std::string(kContraction) + "?", R"(\p{N})")};
}

Patterns DeepSeekLlm() {
  return {R"([\r\n])", kDeepSeekLetters,           R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)",
          R"(\s+$)",   "[一-龥ࠀ-一가-퟿]+", R"(\p{N}+)"};
}
Patterns DeepSeekCoder() {
  return {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[一-龥ࠀ-一가-퟿]+", R"(\p{N})"};
}
const char* const kDeepSeek3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+)";
Patterns DeepSeek3() {
  return {R"(\p{N}{1,3})", kHanKana, fmt::format(R"({}[\r\n]*{})", kDeepSeek3Words, kSpaces)};
}

const char* const kFalconSymbols = R"([\p{P}\$\+<=>\^~\|`]+)";
Patterns Falcon() { return {kFalconSymbols, std::string(kGpt2), "[0-9][0-9][0-9]"}; }
Patterns Default() {  // what files without a name were made for
  return {R"([\p{P}\$\+<=>\^~\|]+)", std::string(kGpt2), R"(\p{N}+)", "[0-9][0-9][0-9]"};
}
Patterns Bloom() { return {R"( ?[^(\s|.,!?…。，、।۔،)]+)"}; }
Patterns Viking() { return {R"( ?[^(\s|.,!?…。，、।۔،)]+)", R"(\p{N})"}; }
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
