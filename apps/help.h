// Pages made from the flag table: --help, shell completion, the man page.
#pragma once

#include <string>
#include <string_view>

#include "flag.h"

namespace kvasir::cli {

std::string HelpOverview();
std::string HelpPage(const Command& command);
// shell: "bash", "zsh" or "fish".
std::string CompletionScript(std::string_view shell);
std::string ManPage();  // roff, section 1

// Breaks text at spaces to lines of at most `width` characters, each after `indent` spaces; lines
// that begin with a space are left as they are.
std::string Wrap(std::string_view text, size_t width, size_t indent);

}  // namespace kvasir::cli
