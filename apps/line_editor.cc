#include "line_editor.h"

#include <histedit.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "interrupt.h"

namespace kvasir::cli {
namespace {

constexpr int kHistoryLines = 1000;

class PlainLines final : public LineEditor {
 public:
  Got Read(std::string& line) override {
    if (Interrupt::Pending()) return Got::kInterrupted;
    if (std::getline(std::cin, line)) {
      if (line.ends_with('\r')) line.pop_back();
      return Got::kLine;
    }
    return Interrupt::Pending() ? Got::kInterrupted : Got::kEnd;
  }
  bool is_terminal() const override { return false; }
};

// Keys come as they are. libedit shows its prompt before it sets the terminal up, and a Ctrl-C or
// Ctrl-D between the two would be lost.
class PlainKeys {
 public:
  PlainKeys() {
    tcgetattr(STDIN_FILENO, &before_);
    struct termios mode = before_;
    mode.c_lflag &= ~static_cast<tcflag_t>(ISIG | ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
  }
  ~PlainKeys() { tcsetattr(STDIN_FILENO, TCSADRAIN, &before_); }
  PlainKeys(const PlainKeys&) = delete;
  PlainKeys& operator=(const PlainKeys&) = delete;

 private:
  struct termios before_ = {};
};

// libedit. While a line is edited Ctrl-C is a key and no signal, so that the terminal is never left
// in raw mode.
class TerminalLines final : public LineEditor {
 public:
  explicit TerminalLines(std::string prompt)
      : prompt_(std::move(prompt)),
        edit_(el_init("kvasir", stdin, stderr, stderr)),
        history_(history_init()),
        history_path_(HistoryPath()) {
    history(history_, &event_, H_SETSIZE, kHistoryLines);
    history(history_, &event_, H_SETUNIQUE, 1);
    history(history_, &event_, H_LOAD, history_path_.c_str());
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &Prompt);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_SETTY, "-d", "-isig", nullptr);
    el_set(edit_, EL_ADDFN, "kvasir-interrupt", "leaves the line", &OnInterrupt);
    el_set(edit_, EL_BIND, "^C", "kvasir-interrupt", nullptr);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  ~TerminalLines() override {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(history_path_).parent_path(), error);
    if (!error) history(history_, &event_, H_SAVE, history_path_.c_str());  // readable by us alone
    history_end(history_);
    el_end(edit_);
  }
  TerminalLines(const TerminalLines&) = delete;
  TerminalLines& operator=(const TerminalLines&) = delete;

  Got Read(std::string& line) override {
    interrupted_ = false;
    int n = 0;
    const PlainKeys keys;
    const char* text = el_gets(edit_, &n);
    if (interrupted_ || text == nullptr || n <= 0) {
      std::fputc('\n', stderr);
      return interrupted_ ? Got::kInterrupted : Got::kEnd;
    }
    line.assign(text, static_cast<size_t>(n));
    while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) {
      history(history_, &event_, H_ENTER, line.c_str());
    }
    return Got::kLine;
  }
  bool is_terminal() const override { return true; }

 private:
  static TerminalLines& Of(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return *static_cast<TerminalLines*>(self);
  }
  static const char* Prompt(EditLine* edit) { return Of(edit).prompt_.c_str(); }
  static unsigned char OnInterrupt(EditLine* edit, int) {
    Of(edit).interrupted_ = true;
    return CC_EOF;
  }

  const std::string prompt_;
  EditLine* const edit_;
  History* const history_;
  const std::string history_path_;
  HistEvent event_ = {};
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineEditor> LineEditor::Make(std::string prompt) {
  if (isatty(STDIN_FILENO) == 0) return std::make_unique<PlainLines>();
  return std::make_unique<TerminalLines>(std::move(prompt));
}

std::string HistoryPath() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::string(state) + "/kvasir/history";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/state/kvasir/history";
}

}  // namespace kvasir::cli
