// One formatted field: what follows ":" in str.format, or "%" in percent formatting.
#pragma once

#include <string>
#include <string_view>

#include "jinja/heap.h"
#include "jinja/value.h"

namespace kvasir::jinja {

struct FieldSpec {
  char32_t fill = ' ';
  char align = 0;  // < > ^ =, or 0: the type's own
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  Int width = 0;
  char grouping = 0;   // , or _
  Int precision = -1;  // -1: none
  char type = 0;

  static Result<FieldSpec> Parse(std::string_view spec);  // of str.format
};

// The value's text, padded; types other than text and numbers only with an empty spec.
Result<std::string> FormatField(Heap& heap, const Value& value, const FieldSpec& spec);
Result<std::string> FormatText(Heap& heap, std::string_view text, const FieldSpec& spec);
Result<std::string> FormatInt(Heap& heap, Int value, const FieldSpec& spec);
Result<std::string> FormatFloat(Heap& heap, double value, const FieldSpec& spec);

}  // namespace kvasir::jinja
