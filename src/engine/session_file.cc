#include "engine/session.h"

namespace kvasir {

Status SessionImpl::Save(const std::string& path) const { return Fail("{}: not yet", path); }
Status SessionImpl::Load(const std::string& path) { return Fail("{}: not yet", path); }

}  // namespace kvasir
