#include "interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace kvasir::cli {
namespace {

// What a signal handler can reach, and any thread may ask.
std::atomic<int> interrupted{0}, ends_at_once{1};
static_assert(std::atomic<int>::is_always_lock_free);

void OnSignal(int) {
  if (interrupted != 0 || ends_at_once != 0) {
    constexpr char kMessage[] = "\nkvasir: interrupted\n";
    [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
    _exit(kExitInterrupted);
  }
  interrupted = 1;
}

}  // namespace

void Interrupt::Install() {
  struct sigaction action = {};
  action.sa_handler = &OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // a blocked read of the terminal returns
  sigaction(SIGINT, &action, nullptr);
}

void Interrupt::EndAtOnce(bool at_once) { ends_at_once = at_once ? 1 : 0; }
bool Interrupt::Pending() { return interrupted != 0; }
void Interrupt::Clear() { interrupted = 0; }

}  // namespace kvasir::cli
