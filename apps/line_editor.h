// Lines from the user: with editing and history on a terminal, as they are from anything else.
#pragma once

#include <memory>
#include <string>

namespace kvasir::cli {

class LineEditor {
 public:
  enum class Got { kLine, kInterrupted, kEnd };

  virtual ~LineEditor() = default;
  virtual Got Read(std::string& line) = 0;
  virtual bool is_terminal() const = 0;

  // The prompt goes to standard error: standard output carries answers only.
  static std::unique_ptr<LineEditor> Make(std::string prompt);
};

// $XDG_STATE_HOME/kvasir/history or ~/.local/state/kvasir/history.
std::string HistoryPath();

}  // namespace kvasir::cli
