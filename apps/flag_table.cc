#include <array>

#include "flag.h"

namespace kvasir::cli {
namespace {

using enum FlagKind;

constexpr Flag kModelFlag = {
    "model",
    'm',
    kPath,
    "PATH",
    "",
    "",
    "GGUF file or Hugging Face folder (default: the one that `make model` installs)"};
constexpr Flag kTypeFlag = {"kv-type",
                            0,
                            kWord,
                            "TYPE",
                            "",
                            "f32|f16|bf16|i16|q8|q4",
                            "base codec of the cache (default: f16; i16: 16 bits that attention "
                            "multiplies faster; f32 where the weights are F32)"};
constexpr Flag kMemoryFlag = {"kv-memory",
                              0,
                              kBytes,
                              "BYTES",
                              "",
                              "",
                              "hard limit of the cache, e.g. 512MiB or 4GiB (default: none)"};
constexpr Flag kCtxFlag = {"ctx",
                           'c',
                           kInteger,
                           "N",
                           "",
                           "1..2147483647",  // orders of entries have 31 bits
                           "most tokens in the session (default: the model's)"};
constexpr Flag kChunkFlag = {"chunk", 0, kInteger, "N", "512", "1..", "prompt tokens a pass"};
constexpr Flag kChunkMajorFlag = {
    "chunk-major",
    0,
    kSwitch,
    "",
    "",
    "",
    "a chunk through all layers, then the next (default: all chunks through a layer first)"};
constexpr Flag kDeterministicFlag = {
    "deterministic",
    0,
    kSwitch,
    "",
    "",
    "",
    "the same bits for any batch, chunk and thread count (this build always works so)"};
constexpr Flag kPromptFlag = {"prompt", 'p', kText, "TEXT", "", "", "what the user says"};
constexpr Flag kFileFlag = {
    "file", 'f', kPath, "FILE", "", "", "text that comes before the prompt; - is standard input"};
constexpr Flag kIdsFlag = {
    "ids", 0, kTokens, "1,2,3", "", "", "token ids instead of text, as they are"};
constexpr Flag kSystemFlag = {
    "system", 0, kText, "TEXT", "", "", "the system message of the conversation"};

constexpr std::array kPrompt = {
    kPromptFlag, kFileFlag, kIdsFlag,
    Flag{"raw", 0, kSwitch, "", "", "", "no chat template: the model continues the text itself"},
    kSystemFlag};

constexpr std::array kSampling = {
    Flag{"max-tokens", 'n', kInteger, "N", "256", "0..", "most tokens to generate"},
    Flag{"temp", 0, kNumber, "T", "0", "0..", "temperature; 0 always takes the most likely token"},
    Flag{"top-k", 0, kInteger, "N", "0", "0..", "draw from the N most likely tokens; 0: off"},
    Flag{"top-p", 0, kNumber, "P", "1", "0..1",
         "draw from the fewest tokens that have this share of the probability"},
    Flag{"min-p", 0, kNumber, "P", "0", "0..1",
         "drop tokens less likely than this share of the best one"},
    Flag{"repeat-penalty", 0, kNumber, "X", "1", "0.01..100",
         "divide the logits of the last 64 tokens by X; 1: off"},
    Flag{"seed", 0, kInteger, "N", "", "0..",
         "of the random draws (default: another one each time)"},
    Flag{"stop", 0, kText, "TEXT", "", "", "text that ends the answer; may be repeated", true},
    Flag{"ignore-eos", 0, kSwitch, "", "", "", "go on after the end-of-text token"},
};

constexpr std::array kAnswer = {
    Flag{"json-schema", 0, kPath, "FILE", "", "",
         "the answer is JSON that this schema accepts; - is standard input"},
    Flag{"grammar", 0, kPath, "FILE", "", "",
         "the answer is a text of this grammar, in llama.cpp's GBNF; - is standard input"},
};

constexpr std::array kCache = {
    Flag{"kv", 0, kSpec, "SPEC", "full", "",
         "what the KV cache keeps: methods stacked with +, see `kvasir methods`"},
    kTypeFlag,
    kMemoryFlag,
    kCtxFlag,
    kChunkFlag,
    kChunkMajorFlag,
    kDeterministicFlag};

constexpr std::array kModel = {
    kModelFlag,
    Flag{"device", 0, kWord, "NAME", "auto", "auto|cpu|cuda", "where the model runs"},
    Flag{"cpu", 0, kWord, "PATH", "", "avx2|avx512|avx512vnni|amx",
         "force the kernels of an instruction set (default: the best of this CPU)"},
    Flag{"threads", 't', kInteger, "N", "", "1..1024", "threads (default: physical cores)"},
};
constexpr std::array kTokenizerModel = {kModelFlag};

constexpr std::array kOutput = {
    Flag{"json", 0, kSwitch, "", "", "", "exactly one JSON document on standard output"},
    Flag{"quiet", 'q', kSwitch, "", "", "", "no progress, warnings or statistics"},
    Flag{"log-level", 0, kWord, "LEVEL", "info", "error|warn|info|debug",
         "what is said on standard error"},
    Flag{"preset", 0, kPath, "FILE", "", "", "flags by name from a TOML file"},
    Flag{"help", 'h', kSwitch, "", "", "", "this page"},
};

constexpr std::array kScore = {
    Flag{"prefix", 0, kInteger, "N", "", "1..",
         "the first N tokens are the prompt, the others are fed one by one (default: all of them "
         "are the prompt)"},
    Flag{"top", 0, kInteger, "K", "0", "0..1000", "add the K most likely tokens of each position"},
    Flag{"against", 0, kSpec, "SPEC", "", "",
         "compare with another spec: KL divergence and top-1 agreement; needs --prefix"},
};
constexpr std::array kScoreInput = {
    Flag{"file", 'f', kPath, "FILE", "", "", "the text; - is standard input"},
    Flag{"prompt", 'p', kText, "TEXT", "", "", "the text itself"}, kIdsFlag};

constexpr std::array kTokenize = {
    Flag{"prompt", 'p', kText, "TEXT", "", "", "the text"},
    Flag{"file", 'f', kPath, "FILE", "", "", "the text from a file; - is standard input"},
    Flag{"no-special", 0, kSwitch, "", "", "", "special tokens written in the text are plain text"},
    Flag{"bos", 0, kSwitch, "", "", "",
         "put the tokens that the model wants around a text (BOS, EOS)"},
    Flag{"decode", 0, kSwitch, "", "", "", "the other way: --ids to text"},
    Flag{"ids", 0, kTokens, "1,2,3", "", "", "token ids to decode"},
    Flag{"jsonl", 0, kPath, "FILE", "", "",
         "one JSON object a line in, one a line out, in order; - is standard input"},
};

constexpr std::array kTemplate = {
    Flag{"template", 0, kPath, "FILE", "", "",
         "a Jinja template (default: the model's own; ChatML where it has none)"},
    Flag{"messages", 0, kPath, "FILE", "", "", "JSON array of {\"role\", \"content\"}; - is stdin"},
    Flag{"tools", 0, kPath, "FILE", "", "", "JSON array of tool definitions"},
    kPromptFlag,
    kSystemFlag,
    Flag{"no-generation-prompt", 0, kSwitch, "", "", "",
         "end after the last message, without the opening of an answer"},
    Flag{"date", 0, kText, "DATE", "", "", "YYYY-MM-DD that strftime_now sees (default: today)"},
    Flag{"jsonl", 0, kPath, "FILE", "", "",
         "one JSON object a line in, one a line out, in order; - is standard input"},
};

constexpr std::array kInspect = {
    Flag{"map", 0, kPath, "FILE", "", "",
         "draw layers x positions of what the cache holds: .png or .html"},
    Flag{"tensor", 0, kText, "NAME", "", "", "shape, type and statistics of a tensor of any GGUF"},
    Flag{"values", 0, kSwitch, "", "", "", "with --tensor: the values, as float32"},
    Flag{"list", 0, kSwitch, "", "", "", "name, type and shape of every tensor"},
    Flag{"find-heads", 0, kPath, "OUT", "", "",
         "write which KV heads retrieve, for razor; auto: where razor looks for it"},
    Flag{"probe", 0, kWord, "TEXT", "block", "block|number",
         "with --find-heads: random tokens four times over, or a number that a text is asked for"},
};

constexpr std::array kMethods = {
    Flag{"matrix", 0, kSwitch, "", "", "", "which methods combine"},
    Flag{"explain", 0, kText, "SPEC", "", "",
         "how a spec is read, what it will hold and read for a prompt"},
    Flag{"prompt", 0, kInteger, "N", "4096", "1..262144", "with --explain: tokens of the prompt"},
};

constexpr std::array kBench = {
    Flag{"prompt", 0, kIntegers, "N,N", "512,2048", "1..", "prompt lengths, in tokens"},
    Flag{"gen", 0, kInteger, "N", "64", "1..", "tokens to generate for each decode figure"},
    Flag{"depth", 0, kIntegers, "N,N", "", "0..",
         "more depths at which to measure decode; 0: an empty cache (default: the prompt "
         "lengths)"},
    Flag{"batch", 0, kIntegers, "N,N", "1", "1..65536",
         "sequences at a time, each with a text of its own"},
    Flag{"threads", 't', kIntegers, "N,N", "", "1..1024",
         "thread counts (default: physical cores)"},
    Flag{"repeat", 0, kInteger, "N", "3", "1..1000", "runs of each figure; the median counts"},
    Flag{"file", 'f', kPath, "FILE", "", "",
         "text to read, repeated as needed (default: random token ids)"},
};
constexpr std::array kBenchServer = {
    Flag{"serve", 0, kText, "URL", "", "",
         "load this server instead, e.g. http://127.0.0.1:8080/v1: --prompt lengths take turns (in "
         "words, about a token each), answers have --gen tokens"},
    Flag{"clients", 0, kInteger, "N", "1", "1..1024",
         "clients that each send a request when their last one is answered"},
    Flag{"rate", 0, kNumber, "R", "", "0.001..100000",
         "requests a second instead, at random (Poisson), whether the server keeps up or not"},
    Flag{"requests", 0, kInteger, "N", "32", "1..1000000", "requests in all"},
    Flag{"agents", 0, kPath, "TRACE.jsonl", "", "",
         "send these requests instead (timestamp, input_length, output_length, hash_ids, and "
         "perhaps session, gap), to --serve or to the server on this machine's port 8080; with "
         "--clients N so many sessions at a time instead of by their times"},
    Flag{"block", 0, kInteger, "N", "512", "1..1048576", "tokens a block of hash_ids"},
    Flag{"speed", 0, kNumber, "X", "1", "0.001..1000000", "of the trace's times and gaps"},
    Flag{"cut", 0, kInteger, "N", "0", "0..16777216", "prompt tokens of a trace's request at most"},
    Flag{"vocab", 0, kInteger, "N", "4000", "257..1000000",
         "the tokens of a trace's prompts are below this"},
    Flag{"seed", 0, kInteger, "N", "1", "0..", "of the texts and arrivals"},
    Flag{"api-key", 0, kText, "KEY", "", "", "sent to the server"},
    Flag{"timeout", 0, kInteger, "S", "600", "1..86400", "seconds that a request may take"},
    Flag{"slo-ttft", 0, kNumber, "S", "", "0..", "goodput: seconds to the first token at most"},
    Flag{"slo-tpot", 0, kNumber, "S", "", "0..", "goodput: seconds a token after it, on average"},
    Flag{"slo-e2e", 0, kNumber, "S", "", "0..", "goodput: seconds to the end"},
};
constexpr std::array kBenchCache = {
    kModelFlag,
    Flag{"device", 0, kWord, "NAME", "auto", "auto|cpu|cuda", "where the model runs"},
    Flag{"cpu", 0, kWord, "PATH", "", "avx2|avx512|avx512vnni|amx",
         "force the kernels of an instruction set (default: the best of this CPU)"},
    Flag{"kv", 0, kSpecs, "SPECS", "full", "", "specs to compare, separated by ;"},
    kTypeFlag,
    kMemoryFlag,
    kCtxFlag,
    kChunkFlag,
    kChunkMajorFlag,
    kDeterministicFlag};

constexpr Flag kReportFlag = {
    "report", 0, kPath, "FILE", "", "", "a page with charts and every sample, in one HTML file"};
constexpr Flag kCsvFlag = {"csv", 0, kPath, "FILE", "", "", "the table as CSV"};
constexpr Flag kMarkdownFlag = {"markdown", 0, kPath, "FILE", "", "", "the table as Markdown"};
constexpr std::array kReport = {kReportFlag, kCsvFlag, kMarkdownFlag};

constexpr std::array kEval = {
    Flag{"task", 0, kText, "NAMES", "", "", "tasks or families of them, separated by commas"},
    Flag{"list", 0, kSwitch, "", "", "", "the tasks there are"},
    Flag{"length", 0, kIntegers, "N,N", "", "64..",
         "tokens of prompt and answer together (default: the task's own)"},
    Flag{"samples", 'n', kInteger, "N", "20", "1..", "samples of each task and length"},
    Flag{"seed", 0, kInteger, "N", "42", "0..", "of the samples"},
    Flag{"query-agnostic", 0, kSwitch, "", "", "",
         "compress the context before the question is known"},
    Flag{"raw", 0, kSwitch, "", "", "", "no chat template: the model continues the text itself"},
    Flag{"batch", 0, kSwitch, "", "", "",
         "specs answer side by side, which is sooner done; no speeds are measured"},
    Flag{"data", 0, kPath, "FOLDER", "", "", "published files of benchmarks, see docs/eval.md"},
    Flag{"file", 'f', kPath, "FILE", "", "", "a text in place of generated prose"},
    Flag{"out", 'o', kPath, "FILE", "", "", "results as JSON lines, as they come"},
    Flag{"resume", 0, kSwitch, "", "", "", "go on with the file of --out"},
    kReportFlag,
    kCsvFlag,
    kMarkdownFlag,
};
constexpr std::array kEvalCache = {
    Flag{"kv", 0, kSpecs, "SPECS", "full", "",
         "specs to compare, separated by ;; differences are to the first"},
    kTypeFlag, kMemoryFlag, kCtxFlag, kChunkFlag};

constexpr std::array kChat = {Flag{"prompt", 'p', kText, "TEXT", "", "", "the first thing to say"},
                              kSystemFlag};

constexpr std::array kServe = {
    Flag{"host", 0, kText, "ADDRESS", "127.0.0.1", "",
         "IP address to listen on; 0.0.0.0: all networks"},
    Flag{"port", 0, kInteger, "N", "8080", "0..65535", "port to listen on; 0: any free one"},
    Flag{"parallel", 0, kInteger, "N", "8", "1..1024", "answers made at a time (slots)"},
    Flag{"queue", 0, kInteger, "N", "256", "0..1000000",
         "requests that may wait; more get status 429"},
    Flag{"step-tokens", 0, kInteger, "N", "256", "1..65536",
         "tokens a pass: one of each answer, the rest pieces of prompts"},
    Flag{"api-key-file", 0, kPath, "FILE", "", "",
         "keys, one a line: KEY [name=…] [admin] [parallel=N] [tokens_per_minute=N]"},
    Flag{"alias", 0, kText, "NAME", "", "", "what the model is called (default: as its file)"},
    Flag{"cors-origin", 0, kText, "ORIGIN", "", "",
         "let pages of this origin ask, or * (default: none)"},
    Flag{"metrics-aliases", 0, kWord, "NAMES", "none", "none|vllm|llamacpp|all",
         "/metrics under other servers' names too"},
    Flag{"max-body", 0, kBytes, "BYTES", "8MiB", "", "largest request"},
    Flag{"max-connections", 0, kInteger, "N", "2048", "1..100000", "open connections"},
    Flag{"drain-seconds", 0, kInteger, "N", "30", "0..3600",
         "how long requests at hand may take after SIGTERM"},
    Flag{"ping-seconds", 0, kInteger, "N", "30", "1..3600",
         "a comment into a stream that has been silent for so long"},
    Flag{"slot-save-path", 0, kText, "FOLDER", "", "",
         "where POST /slots/N?action=save puts its files (default: it does not)"},
    Flag{"log-format", 0, kWord, "FORMAT", "text", "text|json",
         "lines of the request log on standard error"},
};
constexpr std::array kServeCache = {
    Flag{"kv", 0, kSpec, "SPEC", "full", "",
         "what the KV cache keeps where a request does not say"},
    kTypeFlag, kMemoryFlag, kCtxFlag,
    Flag{"deterministic", 0, kSwitch, "", "", "",
         "a cache hit changes no bit: a compressed cache serves its named session only"}};

}  // namespace

extern constinit const FlagGroup kPromptFlags = {"Prompt", kPrompt};
extern constinit const FlagGroup kSamplingFlags = {"Sampling", kSampling};
extern constinit const FlagGroup kAnswerFlags = {"Form of the answer", kAnswer};
extern constinit const FlagGroup kCacheFlags = {"Cache", kCache};
extern constinit const FlagGroup kModelFlags = {"Model", kModel};
extern constinit const FlagGroup kOutputFlags = {"Output", kOutput};
extern constinit const FlagGroup kScoreFlags = {"Scoring", kScore};
extern constinit const FlagGroup kScoreInputFlags = {"Text", kScoreInput};
extern constinit const FlagGroup kTokenizeFlags = {"Text", kTokenize};
extern constinit const FlagGroup kTokenizerModelFlags = {"Model", kTokenizerModel};
extern constinit const FlagGroup kTemplateFlags = {"Conversation", kTemplate};
extern constinit const FlagGroup kInspectFlags = {"What to show", kInspect};
extern constinit const FlagGroup kMethodsFlags = {"What to show", kMethods};
extern constinit const FlagGroup kBenchFlags = {"Measurement", kBench};
extern constinit const FlagGroup kBenchServerFlags = {"Load of a server", kBenchServer};
extern constinit const FlagGroup kBenchCacheFlags = {"Model and cache", kBenchCache};
extern constinit const FlagGroup kEvalFlags = {"Evaluation", kEval};
extern constinit const FlagGroup kEvalCacheFlags = {"Cache", kEvalCache};
extern constinit const FlagGroup kReportFlags = {"Files to write", kReport};
extern constinit const FlagGroup kServeFlags = {"Server", kServe};
extern constinit const FlagGroup kServeCacheFlags = {"Cache", kServeCache};
extern constinit const FlagGroup kChatFlags = {"Conversation", kChat};

}  // namespace kvasir::cli
