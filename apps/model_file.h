// A model's tokenizer and template without its weights: a fast start.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "context.h"
#include "model/source.h"
#include "model/tokenizer/tokenizer.h"

namespace kvasir::cli {

Result<std::unique_ptr<ModelSource>> OpenModelFile(const Args& args);

// Discarded where the text is no JSON, or nested so deep that copying it could overflow the stack.
nlohmann::ordered_json ParseJson(const std::string& text);

// Calls answer(object) for every line of --jsonl and writes what it returns, one line each. A line
// that is no JSON object ends the work with an error that names the line.
Result<int> AnswerLines(
    Context& context,
    const std::function<nlohmann::ordered_json(const nlohmann::ordered_json&)>& answer);

}  // namespace kvasir::cli
