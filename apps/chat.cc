// kvasir chat: a conversation in the terminal, or a script of one message a line.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "conversation.h"
#include "line_editor.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kHelp =
    "/kv SPEC     change what the cache keeps; the next turn reads the conversation again\n"
    "/stats       tokens, bytes of the cache, memory\n"
    "/reset       a new conversation\n"
    "/save FILE   keep the whole state, the cache included\n"
    "/load FILE   restore it\n"
    "/quit        leave (Ctrl-D, or Ctrl-C twice)\n"
    "A message that begins with a slash is written with two. Ctrl-C stops an answer.\n";

class Chat {
 public:
  Chat(Context& context, Conversation conversation, LineEditor& lines)
      : context_(context), conversation_(std::move(conversation)), lines_(lines) {}

  Result<int> Run() {
    if (context_.args.Given("prompt")) KV_RETURN_IF_ERROR(Message(context_.args.Text("prompt")));
    // Interrupts in a row: one stops an answer or leaves a line, two leave.
    int n_interrupts = Interrupt::Pending() ? 1 : 0;
    while (!leave_) {
      if (lines_.is_terminal()) Interrupt::Clear();
      std::string line;
      const LineEditor::Got got = lines_.Read(line);
      if (got == LineEditor::Got::kEnd) break;
      if (got == LineEditor::Got::kInterrupted) {
        if (!lines_.is_terminal() || ++n_interrupts == 2) return Finish(kExitInterrupted);
        Say("Ctrl-C again leaves");
        continue;
      }
      n_interrupts = 0;
      KV_RETURN_IF_ERROR(Line(line));
      if (Interrupt::Pending()) n_interrupts = 1;
    }
    return Finish(Interrupt::Pending() ? kExitInterrupted : kExitDone);
  }

 private:
  void Say(std::string_view text) const { fmt::print(stderr, "{}\n", text); }

  Result<int> Finish(int code) {
    if (context_.console.json()) {
      context_.console.WriteJson({{"turns", turns_}, {"kv", KvJson(conversation_.session().kv())}});
    }
    return code;
  }

  // A person can try again; a script must not go on.
  Status Failed(const Error& error) const {
    if (!lines_.is_terminal()) return tl::unexpected<Error>(error);
    PrintError(error.message);
    return {};
  }

  Status Line(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return {};
    if (line.starts_with("//")) return Message(line.substr(1));
    if (line.starts_with('/')) return Command(line);
    return Message(line);
  }

  Status Message(const std::string& text) {
    const auto turn = conversation_.Say(text);
    if (!context_.console.json()) context_.console.Write("\n");
    if (!turn && Interrupt::Pending()) return {};  // while it was read
    if (!turn) return Failed(turn.error());
    const Generation& answer = turn->answer;
    if (context_.console.json()) {
      turns_.push_back({{"user", turn->user},
                        {"text", answer.text},
                        {"prompt_tokens", turn->n_read},
                        {"generated_tokens", answer.ids.size()},
                        {"stop_reason", answer.stop_reason},
                        {"ttft_ms", turn->read_ms + answer.first_token_ms},
                        {"decode_tok_s", answer.decode_tok_s}});
    } else if (lines_.is_terminal()) {
      context_.console.Statistics(
          fmt::format("[read {} tokens in {:.0f} ms, said {} at {:.1f} tokens/s, KV {}]\n",
                      turn->n_read, turn->read_ms, answer.ids.size(), answer.decode_tok_s,
                      BytesText(conversation_.session().kv().bytes)));
    }
    if (answer.context_full) {
      context_.console.Warn(
          fmt::format("the context of {} tokens is full; /reset begins anew, --ctx N gives more "
                      "room",
                      conversation_.session().ctx()));
    }
    return {};
  }

  Status Command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(1, space == std::string::npos ? space : space - 1);
    std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    while (rest.starts_with(' ')) rest.erase(0, 1);
    while (rest.ends_with(' ')) rest.pop_back();
    if (name == "help") {
      Say(kHelp.substr(0, kHelp.size() - 1));
    } else if (name == "quit" || name == "exit") {
      leave_ = true;
    } else if (name == "reset") {
      conversation_.Reset();
    } else if (name == "stats") {
      ShowStatistics();
    } else if (name == "kv" || name == "save" || name == "load") {
      return WithArgument(name, rest);
    } else {
      constexpr std::string_view kNames[] = {"kv",   "stats", "reset", "save",
                                             "load", "help",  "quit"};
      return Failed({fmt::format("there is no command '/{}'{}; /help lists them", name,
                                 DidYouMean(name, kNames, "/"))});
    }
    return {};
  }

  Status WithArgument(const std::string& name, const std::string& argument) {
    if (argument.empty() && name == "kv") {
      Say(conversation_.spec());
      return {};
    }
    if (argument.empty()) return Failed({fmt::format("/{} FILE: which file?", name)});
    const Status done = name == "kv"     ? conversation_.SetSpec(argument)
                        : name == "save" ? conversation_.Save(argument)
                                         : conversation_.Load(argument);
    if (!done) return Failed(done.error());
    if (lines_.is_terminal()) {
      Say(name == "kv" ? fmt::format("the cache is now: {}", argument)
                       : fmt::format("{} {}", name == "save" ? "saved to" : "loaded", argument));
    }
    return {};
  }

  void ShowStatistics() const {
    const Session& session = conversation_.session();
    const KvReport kv = session.kv();
    Say(fmt::format("tokens    {} of {}\nKV cache  {}  [{}]\nmemory    {} peak RSS",
                    session.tokens().size(), session.ctx(), KvLine(kv), SpecText(kv),
                    BytesText(PeakRssBytes())));
  }

  Context& context_;
  Conversation conversation_;
  LineEditor& lines_;
  Json turns_ = Json::array();
  bool leave_ = false;
};

}  // namespace

Result<int> ChatCommand(Context& context) {
  KV_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());
  KV_ASSIGN_OR_RETURN(Conversation conversation, Conversation::Open(context, model));
  const std::unique_ptr<LineEditor> lines = LineEditor::Make("> ");
  if (lines->is_terminal()) {
    context.console.Info(fmt::format("{}; /help lists the commands", model->facts().name));
  }
  return Chat(context, std::move(conversation), *lines).Run();
}

}  // namespace kvasir::cli
