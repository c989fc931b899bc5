// strftime without the locale, for strftime_now().
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir::jinja {

// English names; a directive that is not known is an error.
Result<std::string> FormatTime(const std::tm& time, std::string_view format);

}  // namespace kvasir::jinja
