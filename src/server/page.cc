#include "server/page.h"

#include <algorithm>
#include <array>

namespace kvasir {

namespace embedded {  // src/server/page/, by cmake/embed.cmake
extern const std::string_view page_html, page_css, page_js, page_client_js;
}  // namespace embedded

namespace server {

const PageFile* FindPageFile(std::string_view path) {
  constexpr std::string_view kScript = "text/javascript; charset=utf-8";
  static const std::array files = {
      PageFile{"/", "text/html; charset=utf-8", embedded::page_html},
      PageFile{"/page.css", "text/css; charset=utf-8", embedded::page_css},
      PageFile{"/page.js", kScript, embedded::page_js},
      PageFile{"/client.js", kScript, embedded::page_client_js},
  };
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace server
}  // namespace kvasir
