// What the page of a report draws, as one JSON document; src/eval/page/ reads it.
#pragma once

#include "eval/report.h"

namespace kvasir::eval {

// {"title", "notes": [{"text", "bad"}], "runs", "specs", "layers_per_line",
//  "cells": [{"label", "group", "variant", "task", "model_name", "length", "figure", …}],
//  "rows": [those of SummaryJson with "cell" and "spec" as indices, "depths", "layers"],
//  "cases": [{"cell", "seed", "index", "tokens", "prompt", "turns"}]: samples, whatever the spec,
//  "samples": [{"case", "spec", "value", "turns", "map", …} or {…, "error"}]}
// Prompts, answers and maps are cut so that each kind stays below about 8 MB.
Json ReportData(const Report& report);

}  // namespace kvasir::eval
