// Tools as text, for models whose chat template has no place for them.
#pragma once

#include "server/chat.h"

namespace kvasir::server {

// The conversation as the template can show it: where it knows no tools, the system message tells
// of them, calls are texts of the assistant and their results a turn of the user, all in the form
// of Hermes. Otherwise it is as it was.
Conversation WithToolsAsText(const LoadedModel& model, Conversation conversation);

}  // namespace kvasir::server
