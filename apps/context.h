// Context: what a command is given, and what commands share: finding and loading the model, the
// prompt and the options that flags describe.
#pragma once

#include "args.h"
#include "console.h"
#include "interrupt.h"
#include "kvasir/kvasir.h"

namespace kvasir::cli {

struct Context {
  const Args& args;
  Console& console;
};

// Flags that do not go together, or one that is missing: prints the line, gives the exit code.
template <class... T>
int WrongUsage(const Context& context, fmt::format_string<T...> format, T&&... args) {
  PrintError(fmt::format("{}: {}", context.args.command().name,
                         fmt::format(format, std::forward<T>(args)...)));
  return kExitUsage;
}

// The path of --model, or of the default model; an error says how to get one.
Result<std::string> ModelPath(const Args& args);
// With --cpu, --threads and --device. threads 0: what the flag says.
Result<std::shared_ptr<Model>> LoadModel(Context& context, int threads = 0);
// With --kv-type, --ctx, --kv-memory, --chunk; `spec` where a command runs several.
// `length`: tokens of the whole text, where they are known.
SessionOptions SessionOptionsOf(const Args& args, std::string_view spec, int64_t length = 0);
// Warns where --ctx is beyond what the model was trained for.
void WarnAboutContext(Context& context, const ModelFacts& facts);
GenerateOptions GenerateOptionsOf(const Args& args);

// A file's bytes, or those of standard input where the path is "-"; at most 1 GiB.
Result<std::string> ReadText(const std::string& path);
// The tokens of -p, -f, --ids, --system and --raw.
Result<std::vector<int32_t>> PromptTokens(const Args& args, const Model& model);
// Empty: the flags name a prompt in one way. Else what is wrong.
std::string PromptProblem(const Args& args);

// Feed with a progress bar; stops at Ctrl-C (Interrupt::Pending() is then true, and it fails).
Status FeedPrompt(Context& context, Session& session, std::span<const int32_t> tokens);

}  // namespace kvasir::cli
