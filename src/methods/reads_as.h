// What a spec says once the names that stand for other specs (`auto`) are written out.
#pragma once

#include "methods/registry.h"

namespace kvasir {

// The spec as it is where it has no such name. `more`: as for Program::Build.
Result<std::string> ReadsAs(std::string_view spec, std::span<const MethodInfo* const> more = {});

}  // namespace kvasir
