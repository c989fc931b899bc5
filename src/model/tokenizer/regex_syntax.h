// Patterns of Oniguruma (Ruby's syntax, what tokenizer.json files are written in) put into PCRE2's.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

// The same pattern for PCRE2 with UTF, UCP and MULTILINE. What the two read differently is
// rewritten; an error names the byte and the construct that is not.
// REQUIRES: pattern is valid UTF-8.
Result<std::string> OnigurumaToPcre(std::string_view pattern);

}  // namespace kvasir
