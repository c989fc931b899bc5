// Published data as JSON lines, with errors that name file, line and field.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "eval/sample.h"

namespace kvasir::eval {

// A line of a file. Getters fail with "path line 12: 'context' is missing or no text".
class Record {
 public:
  Record(Json json, std::string place) : json_(std::move(json)), place_(std::move(place)) {}

  const Json& json() const { return json_; }
  bool Has(const char* name) const { return json_.contains(name) && !json_[name].is_null(); }
  Result<std::string> Text(const char* name) const;
  // A list of texts; a text alone is a list of one, numbers are written out.
  Result<std::vector<std::string>> Texts(const char* name) const;
  // A list of objects, each as a record of its own.
  Result<std::vector<Record>> Objects(const char* name) const;
  tl::unexpected<Error> Wrong(const char* name, const char* expected) const;

 private:
  Json json_;
  std::string place_;
};

// Lines of one JSON object each; blank lines are skipped. An error where there is none.
Result<std::vector<Record>> ReadRecords(const std::string& path);

}  // namespace kvasir::eval
