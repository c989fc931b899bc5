// Several sessions that read one prompt together: the forward pass runs once, and each session's
// methods then compress a layer of their own. Exact: a first prompt is read with full attention
// whatever the spec, and a layer is compressed only after its last row.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/session.h"

namespace kvasir {

struct GroupMember {
  std::string spec;
  Result<std::unique_ptr<SessionImpl>> session;  // or what went wrong with this one
  double compress_ms = 0;                        // of its methods, all layers
};

struct SessionGroup {
  std::vector<GroupMember> members;  // one a spec, in their order
  double forward_ms = 0;             // of the pass they share
};

// Opens a session a spec and reads `tokens` with all of them. An error of one spec (a method's, or
// no memory) is that member's; the result's is one that no member could be without: bad tokens, an
// interruption. options.kv is not looked at.
Result<SessionGroup> ReadTogether(const std::shared_ptr<LoadedModel>& model,
                                  const SessionOptions& options, std::span<const std::string> specs,
                                  std::span<const int32_t> tokens, const ProgressFn& progress = {});

}  // namespace kvasir
