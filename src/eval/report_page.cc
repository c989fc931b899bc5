// The page: the files of src/eval/page/, Chart.js and the data in one HTML file.
#include "eval/random.h"
#include "eval/report.h"
#include "eval/report_data.h"

namespace kvasir::embedded {
extern const std::string_view kChartJs, kReportHtml, kReportCss, kReportScript;
}  // namespace kvasir::embedded

namespace kvasir::eval {
namespace {

// JSON inside a <script>: no "<" is left that could end it or open a comment.
std::string InScript(const Json& data) {
  const std::string text = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// `page` with every {{name}} replaced; what is put in is not looked at again.
std::string Filled(std::string_view page,
                   const std::map<std::string_view, std::string_view>& parts) {
  std::string out;
  for (size_t open; (open = page.find("{{")) != std::string_view::npos;) {
    const size_t close = page.find("}}", open);
    out += page.substr(0, open);
    out += parts.at(page.substr(open + 2, close - open - 2));
    page.remove_prefix(close + 2);
  }
  return out.append(page);
}

}  // namespace

std::string Report::Html() const {
  const std::string data = InScript(ReportData(*this));
  // Scripts with this word run and no others. Texts of the data cannot hold it: it is their hash.
  const std::string nonce = Hex(HashText(data));
  return Filled(embedded::kReportHtml, {{"nonce", nonce},
                                        {"style", embedded::kReportCss},
                                        {"data", data},
                                        {"library", embedded::kChartJs},
                                        {"script", embedded::kReportScript}});
}

}  // namespace kvasir::eval
