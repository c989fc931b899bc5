#include <algorithm>
#include <array>

#include "commands.h"
#include "flag.h"

namespace kvasir::cli {
namespace {

using Groups = const FlagGroup*;

constexpr std::array<Groups, 6> kRunGroups = {&kPromptFlags, &kSamplingFlags, &kAnswerFlags,
                                              &kCacheFlags,  &kModelFlags,    &kOutputFlags};
constexpr std::array<Groups, 5> kChatGroups = {&kChatFlags, &kSamplingFlags, &kCacheFlags,
                                               &kModelFlags, &kOutputFlags};
constexpr std::array<Groups, 5> kScoreGroups = {&kScoreInputFlags, &kScoreFlags, &kCacheFlags,
                                                &kModelFlags, &kOutputFlags};
constexpr std::array<Groups, 3> kTokenizeGroups = {&kTokenizeFlags, &kTokenizerModelFlags,
                                                   &kOutputFlags};
constexpr std::array<Groups, 3> kTemplateGroups = {&kTemplateFlags, &kTokenizerModelFlags,
                                                   &kOutputFlags};
constexpr std::array<Groups, 5> kInspectGroups = {&kInspectFlags, &kPromptFlags, &kCacheFlags,
                                                  &kModelFlags, &kOutputFlags};
constexpr std::array<Groups, 3> kMethodsGroups = {&kMethodsFlags, &kTokenizerModelFlags,
                                                  &kOutputFlags};
constexpr std::array<Groups, 4> kBenchGroups = {&kBenchFlags, &kBenchCacheFlags, &kBenchServerFlags,
                                                &kOutputFlags};
constexpr std::array<Groups, 4> kEvalGroups = {&kEvalFlags, &kEvalCacheFlags, &kModelFlags,
                                               &kOutputFlags};
constexpr std::array<Groups, 2> kReportGroups = {&kReportFlags, &kOutputFlags};
constexpr std::array<Groups, 4> kServeGroups = {&kServeFlags, &kServeCacheFlags, &kModelFlags,
                                                &kOutputFlags};
constexpr std::array<Groups, 1> kOutputGroups = {&kOutputFlags};

constexpr std::array kCommands = {
    Command{"run", "reads a prompt and continues it", "",
            "Reads the file of -f and the prompt of -p (in this order, as one user message of the "
            "model's chat template; --raw: as plain text) and writes what the model says to "
            "standard output as it is made. Statistics end on standard error: speed of both "
            "phases, time to the first token, bytes of the KV cache now and as `full` would need "
            "them.\nSampling is greedy unless --temp is above 0.",
            "kvasir run -p \"Why is the sky blue?\" -n 64\n"
            "kvasir run -f book.txt -p \"Who is the narrator?\" --kv \"snapkv:budget=1024\" --json",
            kRunGroups, &RunCommand},
    Command{"chat", "talks in the terminal, with history and line editing", "",
            "Each line is a message; the cache is kept, so that a turn reads only what is new. "
            "Commands: /kv SPEC changes what the cache keeps, /stats shows the figures, /reset "
            "starts anew, /save FILE and /load FILE keep and restore the whole state, the cache "
            "included, /help. Ctrl-C stops the answer, twice leaves; so does Ctrl-D.\nWhere "
            "standard input is no terminal, it is read as a script: one message a line.",
            "kvasir chat --kv \"snapkv:budget=1024\" --temp 0.7 --top-p 0.9", kChatGroups,
            &ChatCommand},
    Command{"score", "log-probabilities of a text, token by token", "",
            "Teacher-forced log-probabilities. The first --prefix tokens are the prompt, which the "
            "methods of --kv compress; the others are fed one by one as if they had been "
            "generated. Without --prefix the log-probabilities come from one pass over the whole "
            "text, and no method acts. --against compares two specs on the same tokens. The text "
            "is taken as it is, without a chat template.",
            "kvasir score -p \"The sky is blue because of the way light scatters.\" --json\n"
            "kvasir score -f book.txt --prefix 2000 --kv \"snapkv:budget=20%\" --against full",
            kScoreGroups, &ScoreCommand},
    Command{"tokenize", "text to token ids and back", "",
            "Prints the ids and pieces of a text, or with --decode the text of ids. No weights are "
            "loaded. --jsonl works through a file: {\"text\", \"parse_special\"?} becomes "
            "{\"ids\"}, {\"ids\"} becomes {\"text\"}.",
            "kvasir tokenize -p \"Hello world\"\n"
            "kvasir tokenize --decode --ids 19556,905\n"
            "echo '{\"text\": \"Hello\"}' | kvasir tokenize --jsonl -",
            kTokenizeGroups, &TokenizeCommand},
    Command{"template", "a conversation as the model's chat template writes it", "",
            "Renders messages with the model's own Jinja template, or that of --template. No "
            "weights are loaded. --jsonl works through a file: {\"template\"?, \"messages\", "
            "\"tools\"?, \"add_generation_prompt\"?, other variables} becomes {\"text\"} or "
            "{\"error\"}.",
            "kvasir template -p \"Hello\" --system \"Be brief.\"", kTemplateGroups,
            &TemplateCommand},
    Command{
        "inspect", "facts of a model, of its tensors, of what a cache keeps", "[MODEL]",
        "Without a prompt: architecture, sizes, quantisation, tokenizer, KV bytes a token and "
        "what fits in this machine's memory. With a prompt (-p, -f, --ids): what the cache "
        "holds of it under --kv, for every layer and KV head; --map draws it. --tensor and "
        "--list read any GGUF file, whatever its architecture. --find-heads reads random tokens "
        "four times over and notes which KV heads find earlier copies: razor needs that file.",
        "kvasir inspect\n"
        "kvasir inspect -p \"A long text\" --kv \"streaming:budget=16\" --map cache.html\n"
        "kvasir inspect --tensor token_embd.weight --json",
        kInspectGroups, &InspectCommand},
    Command{"methods", "what --kv can do: methods, parameters, combinations", "[NAME]",
            "Without a name: the table of all methods. With one: its parameters with defaults and "
            "ranges. --matrix: which combine. --explain SPEC: how a spec is read, and what it "
            "holds and reads for a prompt of --prompt tokens (entries are found by running the "
            "methods on a cache of that length with random attention).",
            "kvasir methods snapkv\n"
            "kvasir methods --explain \"renumber + streaming:budget=20%\" --prompt 8k",
            kMethodsGroups, &MethodsCommand},
    Command{
        "bench", "speed of prefill and decode, beside what the machine allows", "",
        "Measures every spec at every prompt length, alternating between specs so that drift "
        "hits all alike; the median of --repeat counts. floor_tok_s is what the machine's "
        "measured read bandwidth (decode: over as many bytes as a token reads) or peak arithmetic "
        "(prefill) would allow at the same number of threads.\nWith --serve URL it loads a server "
        "of "
        "OpenAI's interface and tells percentiles of the times to the first token, between tokens "
        "and to the end, tokens a second, and goodput: the share of requests within all --slo-…. "
        "Times count from when a request was due.",
        "kvasir bench --prompt 512 --gen 32 --kv \"full; snapkv:budget=256\" --batch 1,4\n"
        "kvasir bench --serve http://127.0.0.1:8080/v1 --clients 4 --prompt 256",
        kBenchGroups, &BenchCommand},
    Command{"eval", "quality of specs on the same samples, with intervals", "",
            "Runs every spec of --kv on the same samples of every task, in the same order, and "
            "prints means with 95 % intervals and paired differences to the first spec. Results "
            "go to --out as they come; --resume goes on with a file, and what it holds is not "
            "computed again. The methods compress context and question; --query-agnostic: the "
            "context alone, as they cannot know what will be asked. See docs/eval.md.",
            "kvasir eval --list\n"
            "kvasir eval --task board_noise --length 1k --samples 4 --kv \"full; "
            "snapkv:budget=20%,window=16\"",
            kEvalGroups, &EvalCommand},
    Command{"report", "tables and a page from the results of eval", "RESULTS...",
            "Reads result files that `kvasir eval --out` made, of one model or several, and prints "
            "the table over all their samples; where a sample is there twice, the last one counts. "
            "--report writes one page that opens from disk without a network: curves, heat maps, "
            "a table to sort, every sample with its answers.",
            "kvasir eval --task board_noise --length 1k --samples 2 --out r.jsonl\n"
            "kvasir report r.jsonl --report r.html",
            kReportGroups, &ReportCommand},
    Command{"serve", "an HTTP server that OpenAI's clients speak to", "",
            "Serves /v1/chat/completions, /v1/completions and what goes with them, with continuous "
            "batching; each request may name its own spec in a field `kv`. SIGTERM lets the "
            "requests at hand end and takes no others. See docs/serve.md.",
            "kvasir serve --port 8080 --kv \"snapkv:budget=1024\" --kv-memory 2GiB", kServeGroups,
            &ServeCommand},
    Command{"completion", "a completion script for a shell", "[SHELL]",
            "Prints the script for bash, zsh or fish, made from the same table as --help.",
            "source <(kvasir completion bash)\nkvasir completion fish | source", kOutputGroups,
            &CompletionCommand},
    Command{"man", "the manual page", "", "Prints the manual page in roff.",
            "kvasir man | man -l -", kOutputGroups, &ManCommand},
    Command{"help", "this overview, or the page of a command", "[COMMAND]", "The same as --help.",
            "kvasir help run", kOutputGroups, &HelpCommand},
};

}  // namespace

std::span<const Command> Commands() { return kCommands; }

const Command* FindCommand(std::string_view name) {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const Command& each) { return each.name == name; });
  return found == kCommands.end() ? nullptr : &*found;
}

}  // namespace kvasir::cli
