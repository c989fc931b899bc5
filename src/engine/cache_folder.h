// Where models and what was measured of them is kept between runs.
#pragma once

#include <string>

namespace kvasir {

// $XDG_CACHE_HOME/kvasir or ~/.cache/kvasir.
std::string CacheFolder();

}  // namespace kvasir
