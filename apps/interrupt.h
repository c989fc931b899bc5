// Ctrl-C. Work that has printed something is stopped in order: it asks Pending() and leaves by
// itself with code 130. A second Ctrl-C, or one while nothing has been made yet, ends the process
// at once.
#pragma once

namespace kvasir::cli {

inline constexpr int kExitDone = 0, kExitFailed = 1, kExitUsage = 2, kExitInterrupted = 130;

class Interrupt {
 public:
  // From now on SIGINT is ours.
  static void Install();
  // The first Ctrl-C ends the process too, which is so at first, or only asks it to stop.
  static void EndAtOnce(bool at_once);
  static bool Pending();
  static void Clear();  // it has been dealt with
};

}  // namespace kvasir::cli
