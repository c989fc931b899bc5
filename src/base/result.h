// Result<T>, Fail and KV_CHECK are part of the public headers; inside they go by this name.
#pragma once

#include "kvasir/result.h"  // IWYU pragma: export
