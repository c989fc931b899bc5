// Constraints of answers: a grammar's matcher over the tokens of a model.
#pragma once

#include <memory>

#include "engine/batch_request.h"
#include "engine/loaded_model.h"
#include "grammar/matcher.h"

namespace kvasir {

std::unique_ptr<TokenConstraint> MakeConstraint(const LoadedModel& model,
                                                std::shared_ptr<const grammar::Grammar> grammar);

}  // namespace kvasir
