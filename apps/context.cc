#include "context.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>

namespace kvasir::cli {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;

uint64_t SeedOf(const Args& args) {
  if (args.Given("seed")) return static_cast<uint64_t>(args.Int("seed"));
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// The user's message: the file first, then the prompt.
Result<std::string> PromptText(const Args& args, std::string_view between) {
  std::string text;
  if (args.Given("file")) {
    KV_ASSIGN_OR_RETURN(text, ReadText(args.Text("file")));
  }
  if (!args.Given("prompt")) return text;
  if (args.Given("file") && !between.empty()) {
    while (text.ends_with('\n')) text.pop_back();
    text += between;
  }
  return text + args.Text("prompt");
}

}  // namespace

Result<std::string> ModelPath(const Args& args) {
  const bool names_one = args.command().operand == "[MODEL]" && !args.operands().empty();
  if (names_one) return args.operands()[0];
  if (args.Given("model")) return args.Text("model");
  std::string path = DefaultModelPath();
  std::error_code error;
  if (std::filesystem::exists(path, error)) return path;
  return Fail("no model: give one with -m PATH, or install the default one with `make model`");
}

Result<std::shared_ptr<Model>> LoadModel(Context& context, int threads) {
  const Args& args = context.args;
  if (args.Text("device") == "cuda") {
    return Fail("--device cuda: this build has no CUDA; write --device cpu");
  }
  KV_ASSIGN_OR_RETURN(const std::string path, ModelPath(args));
  if (threads == 0) threads = static_cast<int>(args.Int("threads"));
  const auto start = std::chrono::steady_clock::now();
  auto model = Model::Load({.path = path, .cpu = args.Text("cpu"), .threads = threads});
  KV_RETURN_IF_ERROR(model);
  Interrupt::EndAtOnce(false);  // who loads a model asks Pending()
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const ModelFacts& facts = (*model)->facts();
  context.console.Debug(fmt::format("{} loaded in {:.2f} s: {}, {} threads, {} kernels", path,
                                    seconds.count(), facts.architecture, facts.threads, facts.cpu));
  return model;
}

SessionOptions SessionOptionsOf(const Args& args, std::string_view spec, int64_t length) {
  SessionOptions options;
  options.kv = spec;
  options.kv_type = args.Text("kv-type");
  options.ctx = args.Int("ctx");
  options.length = length;
  options.kv_memory = args.Bytes("kv-memory");
  options.chunk = static_cast<int>(std::min<int64_t>(args.Int("chunk"), 1 << 20));
  options.chunk_major = args.On("chunk-major");
  return options;
}

void WarnAboutContext(Context& context, const ModelFacts& facts) {
  const int64_t asked = context.args.Int("ctx");
  if (asked <= facts.n_ctx_train) return;
  context.console.Warn(
      fmt::format("--ctx {} is beyond the {} tokens that the model was trained for; what lies "
                  "beyond them may make no sense",
                  asked, facts.n_ctx_train));
}

GenerateOptions GenerateOptionsOf(const Args& args) {
  GenerateOptions options;
  options.n_tokens = args.Int("max-tokens");
  options.stop = args.Texts("stop");
  options.ignore_eos = args.On("ignore-eos");
  options.sampling = {.temperature = static_cast<float>(args.Number("temp")),
                      .top_k = static_cast<int>(std::min<int64_t>(args.Int("top-k"), 1 << 30)),
                      .top_p = static_cast<float>(args.Number("top-p")),
                      .min_p = static_cast<float>(args.Number("min-p")),
                      .repeat_penalty = static_cast<float>(args.Number("repeat-penalty")),
                      .seed = SeedOf(args)};
  return options;
}

Result<std::string> ReadText(const std::string& path) {
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };
  const std::string name = path == "-" ? "standard input" : path;
  std::unique_ptr<std::FILE, Closer> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (!file) return Fail("{}: {}", name, std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const size_t n = std::fread(buffer, 1, sizeof(buffer), file.get());
    text.append(buffer, n);
    if (Interrupt::Pending()) return Fail("interrupted while reading {}", name);
    if (text.size() > kMaxTextBytes) return Fail("{}: more than 1 GiB of text", name);
    if (n == 0) break;
  }
  if (std::ferror(file.get()) != 0) return Fail("{}: {}", name, std::strerror(errno));
  return text;
}

std::string PromptProblem(const Args& args) {
  const bool text = args.Given("prompt") || args.Given("file");
  if (!text && !args.Given("ids")) {
    return "nothing to read: give -p TEXT, -f FILE (- is standard input) or --ids 1,2,3";
  }
  if (text && args.Given("ids")) return "--ids stands alone: leave out -p and -f";
  const bool plain = args.Given("ids") || args.On("raw");
  if (plain && args.Given("system")) {
    return "--system needs the chat template: leave out --raw and --ids";
  }
  return "";
}

Result<std::vector<int32_t>> PromptTokens(const Args& args, const Model& model) {
  if (args.Given("ids")) return args.Tokens("ids");
  if (args.On("raw")) {
    KV_ASSIGN_OR_RETURN(const std::string text, PromptText(args, ""));
    return model.Tokenize(text);
  }
  std::vector<Message> messages;
  if (args.Given("system")) messages.push_back({"system", args.Text("system")});
  KV_ASSIGN_OR_RETURN(std::string text, PromptText(args, "\n\n"));
  messages.push_back({"user", std::move(text)});
  KV_ASSIGN_OR_RETURN(const std::string rendered, model.RenderChat(messages));
  return TokenizeRendered(model, rendered);
}

Status FeedPrompt(Context& context, Session& session, std::span<const int32_t> tokens) {
  ProgressBar bar(context.console, "reading");
  return session.Feed(tokens, [&](int64_t done, int64_t total) {
    bar.Show(done, total);
    return !Interrupt::Pending();
  });
}

}  // namespace kvasir::cli
