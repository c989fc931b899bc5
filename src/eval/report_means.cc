#include "eval/report_means.h"

#include <algorithm>
#include <cmath>

#include "eval/report.h"

namespace kvasir::eval {

double Rounded(double value) { return std::round(value * 1e6) / 1e6; }

double ReportMeans::Mean::Value() const {
  return n > 0 ? Rounded(sum / static_cast<double>(n)) : 0;
}

void ReportMeans::Add(Row row, const Outcome& outcome, const Json& record) {
  tokens_[row.first].Add(static_cast<double>(IntOf(record, "prompt_tokens")));
  AddDepths(row, outcome, record);
  for (const auto& [name, field] : {std::pair("recall", "recall_by_layer"),
                                    std::pair("attention_error", "attention_error_by_layer")}) {
    const Json& values = ListOf(record, field);
    if (values.empty()) continue;
    std::vector<Mean>& means = layers_[row][name];
    means.resize(std::max(means.size(), values.size()));
    for (size_t l = 0; l < values.size(); ++l) {
      if (values[l].is_number()) means[l].Add(values[l].get<double>());
    }
  }
}

// The sample's own depth, or that of each question.
void ReportMeans::AddDepths(Row row, const Outcome& outcome, const Json& record) {
  const auto add = [&](const Json& meta, double score) {
    const auto depth = meta.is_object() ? meta.find("depth") : meta.end();
    if (depth == meta.end() || !depth->is_number()) return false;
    // Depths that were drawn freely are gathered in tenths.
    depths_[row][10 * std::lround(depth->get<double>() / 10)].Add(score);
    return true;
  };
  const auto score = outcome.figures.find("score");
  if (score == outcome.figures.end() || add(outcome.meta, score->second)) return;
  for (const Json& turn : ListOf(record, "turns")) {
    if (turn.is_object() && turn.contains("meta")) add(turn["meta"], NumberOf(turn, "score"));
  }
}

double ReportMeans::PromptTokens(size_t cell) const {
  const auto found = tokens_.find(cell);
  return found == tokens_.end() ? 0 : found->second.Value();
}

Json ReportMeans::Depths(Row row) const {
  Json list = Json::array();
  const auto found = depths_.find(row);
  if (found == depths_.end()) return list;
  for (const auto& [depth, mean] : found->second) list.push_back({depth, mean.Value(), mean.n});
  return list;
}

Json ReportMeans::Layers(Row row) const {
  Json layers = Json::object();
  const auto found = layers_.find(row);
  if (found == layers_.end()) return layers;
  for (const auto& [name, means] : found->second) {
    for (const Mean& mean : means) layers[name].push_back(mean.Value());
  }
  return layers;
}

}  // namespace kvasir::eval
