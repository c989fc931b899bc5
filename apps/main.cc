#include <clocale>
#include <csignal>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>

#include "base/memory.h"
#include "commands.h"
#include "context.h"
#include "help.h"
#include "kernels/isa.h"
#include "version.h"

namespace kvasir::cli {
namespace {

int PrintVersion(bool json) {
  nlohmann::ordered_json paths = nlohmann::json::array();
  std::string list;
  for (const Isa isa : AllIsas()) {
    if (!CpuSupports(isa)) continue;
    paths.push_back(IsaName(isa));
    list += fmt::format("{}{}", list.empty() ? "" : ", ", IsaName(isa));
  }
  Console console(LogLevel::kInfo, json);
  if (json) {
    console.WriteJson(
        {{"version", kVersion}, {"compiler", __VERSION__}, {"cpu_paths", paths}, {"cuda", false}});
  } else {
    console.Write(fmt::format("kvasir {}\nbuilt with {}\nCPU paths of this machine: {}\nCUDA: no\n",
                              kVersion, __VERSION__, list));
  }
  return console.Close() ? kExitDone : kExitFailed;
}

int PrintText(std::string_view text) {
  Console console(LogLevel::kInfo, false);
  console.Write(text);
  return console.Close() ? kExitDone : kExitFailed;
}

int Execute(const Command& command, std::span<const std::string> words) {
  const auto args = Args::Parse(command, words);
  if (!args) {
    PrintError(args.error().message);
    return kExitUsage;
  }
  if (args->On("help")) return PrintText(HelpPage(command));
  Console console = Console::For(*args);
  Context context{*args, console};
  const Result<int> code = command.run(context);
  if (!code && Interrupt::Pending()) return kExitInterrupted;
  if (!code) PrintError(code.error().message);
  if (const Status closed = console.Close(); !closed) {
    PrintError(closed.error().message);
    return kExitFailed;
  }
  return code.value_or(kExitFailed);
}

int Main(std::span<const std::string> words) {
  const std::string name = words.empty() ? "" : words[0];
  if (name.empty()) {
    PrintError("which command? `kvasir --help` lists them");
    return kExitUsage;
  }
  if (name == "--help" || name == "-h") return PrintText(HelpOverview());
  if (name == "--version") return PrintVersion(words.size() > 1 && words[1] == "--json");
  const Command* command = FindCommand(name);
  if (command != nullptr) return Execute(*command, words.subspan(1));
  std::vector<std::string_view> names;
  for (const Command& each : Commands()) names.push_back(each.name);
  const std::string near = DidYouMean(name, names);
  PrintError(fmt::format("there is no command '{}'{}", name,
                         near.empty() ? "; `kvasir --help` lists them" : near));
  return kExitUsage;
}

}  // namespace
}  // namespace kvasir::cli

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f then fails as on a full disk
  std::setlocale(LC_CTYPE, "");   // line editing; numbers stay in the C locale
  kvasir::cli::Interrupt::Install();
  try {
    return kvasir::cli::Main(std::vector<std::string>(argv + (argc > 0), argv + argc));
  } catch (const kvasir::OutOfMemory& error) {
    kvasir::cli::PrintError(
        fmt::format("out of memory: {} bytes were asked for, {} are available; a smaller model, "
                    "--ctx, --chunk or --kv budget needs less",
                    error.n_bytes(), kvasir::AvailableMemoryBytes()));
  } catch (const std::bad_alloc&) {
    kvasir::cli::PrintError(fmt::format(
        "out of memory: {} bytes are available; a smaller --ctx, --chunk or --kv budget needs less",
        kvasir::AvailableMemoryBytes()));
  } catch (const std::exception& error) {  // of libraries: our own code throws nothing
    kvasir::cli::PrintError(fmt::format("unexpected: {}", error.what()));
  }
  return kvasir::cli::kExitFailed;
}
