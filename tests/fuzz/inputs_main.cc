// Runs a fuzz target without libFuzzer: its corpus, then so many inputs made from it. They are the
// same on every machine, so a failure is a number to run again. `make fuzz` searches in earnest,
// with coverage and sanitizers; this keeps what it found found, in `make test`.
//
//   gguf_inputs CORPUS COUNT [ONLY]
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMostBytes = 1 << 16;
volatile sig_atomic_t g_input = -1;  // which one runs

[[maybe_unused]] void OnCrash(int signal) {  // sanitizers have handlers of their own
  char text[64];
  const int n = std::snprintf(text, sizeof text, "input %d: signal %d\n", int{g_input}, signal);
  if (write(STDERR_FILENO, text, static_cast<size_t>(n)) < 0) _exit(1);
  _exit(1);
}

std::vector<std::string> ReadFolder(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, uint32_t seed) : corpus_(corpus), random_(seed) {}

  std::string Next() {
    std::string input = Any();
    for (size_t n = 1 + Below(4); n > 0; --n) Change(input);
    input.resize(std::min(input.size(), kMostBytes));
    return input;
  }

 private:
  // std::uniform_int_distribution differs between libraries.
  size_t Below(size_t n) { return random_() % n; }
  const std::string& Any() { return corpus_[Below(corpus_.size())]; }

  void Change(std::string& input) {
    const size_t at = Below(input.size() + 1), n = std::min(Below(16), input.size() - at);
    switch (Below(6)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << Below(8)));
        return;
      case 1:  // lengths and counts live at extremes
        if (at < input.size()) input[at] = "\x00\x01\x7f\x80\xff"[Below(5)];
        return;
      case 2:
        input.erase(at, n);
        return;
      case 3:
        input.insert(at, input.substr(at, n));
        return;
      case 4: {
        const std::string& other = Any();
        input.replace(at, n, other.substr(Below(other.size() + 1), Below(64)));
        return;
      }
      default:
        input.resize(at);
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937 random_;
};

void Run(const std::string& input) {
  // Of exactly its size, so that a sanitizer sees a read past the end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s CORPUS COUNT [ONLY]\n", argv[0]);
    return 2;
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which say more themselves
  struct sigaction action {};
  action.sa_handler = OnCrash;
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
#endif
  const std::vector<std::string> corpus = ReadFolder(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no inputs\n", argv[1]);
    return 2;
  }
  const int count = std::atoi(argv[2]), only = argc > 3 ? std::atoi(argv[3]) : -1;
  for (const std::string& input : corpus) Run(input);
  Mutator mutator(corpus, 1);
  for (int i = 0; i < count; ++i) {
    const std::string input = mutator.Next();
    if (only >= 0 && i != only) continue;
    g_input = i;
    Run(input);
  }
  std::printf("%zu inputs of the corpus, %d made from it\n", corpus.size(), count);
}
