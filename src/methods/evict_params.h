// Parameters that most evictors have.
#pragma once

#include "methods/spec.h"

namespace kvasir {

inline constexpr ParamInfo kBudgetParam = {"budget", ParamKind::kBudget, "1024", "",
                                           "entries a KV head keeps, or a share of the prompt"};

constexpr ParamInfo WhenParam(std::string_view fallback) {
  return {"when", ParamKind::kWord, fallback, "prompt|always",
          "act at the prompt's end only, or after each generated token too"};
}

}  // namespace kvasir
