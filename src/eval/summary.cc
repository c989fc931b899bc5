#include "eval/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvasir::eval {
namespace {

using SampleId = std::pair<uint64_t, int64_t>;  // seed and index

struct Samples {
  std::map<SampleId, double> values;
  std::map<std::string, std::pair<double, int64_t>> sums;
  std::vector<std::pair<double, int64_t>> turns;
  std::map<int64_t, std::pair<double, int64_t>> depths;
  int64_t n_failed = 0;
};

void AddOutcome(const Outcome& outcome, const std::string& figure, Samples& samples) {
  if (!outcome.error.empty()) {
    ++samples.n_failed;
    return;
  }
  const SampleId id = {outcome.seed, outcome.index};
  for (const auto& [name, value] : outcome.figures) {
    auto& [sum, n] = samples.sums[name];
    sum += value;
    ++n;
    if (name == figure) samples.values[id] = value;
  }
  const auto depth = outcome.meta.find("depth");
  if (samples.values.contains(id) && depth != outcome.meta.end() && depth->is_number()) {
    auto& [sum, n] = samples.depths[depth->get<int64_t>()];
    sum += samples.values[id];
    ++n;
  }
  samples.turns.resize(std::max(samples.turns.size(), outcome.turn_scores.size()));
  for (size_t t = 0; t < outcome.turn_scores.size(); ++t) {
    samples.turns[t].first += outcome.turn_scores[t];
    ++samples.turns[t].second;
  }
}

std::vector<double> Values(const std::map<SampleId, double>& by_id) {
  std::vector<double> values;
  for (const auto& [id, value] : by_id) values.push_back(value);
  return values;
}

SummaryRow RowOf(const CellFacts& cell, const std::string& spec, const Samples& samples) {
  SummaryRow row;
  row.cell = cell;
  row.spec = spec;
  row.n = std::ssize(samples.values);
  row.n_failed = samples.n_failed;
  row.value = MeanOf(Values(samples.values), row.cell.figure == "score");
  for (const auto& [name, sum] : samples.sums) {
    row.means[name] = sum.first / static_cast<double>(sum.second);
  }
  for (const auto& [depth, sum] : samples.depths) {
    row.by_depth[depth] = sum.first / static_cast<double>(sum.second);
  }
  if (samples.turns.size() > 1) {
    for (const auto& [sum, n] : samples.turns) {
      row.by_turn.push_back(sum / static_cast<double>(std::max<int64_t>(n, 1)));
    }
  }
  return row;
}

void AddDifference(const Samples& first, const Samples& samples, SummaryRow& row) {
  std::vector<double> a, b;
  for (const auto& [id, value] : samples.values) {
    const auto other = first.values.find(id);
    if (other == first.values.end()) continue;
    a.push_back(value);
    b.push_back(other->second);
  }
  row.n_pairs = std::ssize(a);
  if (!a.empty()) row.difference = PairedDifference(a, b);
}

// Scores are shown out of 100, distances as they are.
std::string Number(const SummaryRow& row, double value, bool sign = false) {
  const bool score = row.cell.figure == "score";
  if (sign) return score ? fmt::format("{:+.1f}", 100 * value) : fmt::format("{:+.4f}", value);
  return score ? fmt::format("{:.1f}", 100 * value) : fmt::format("{:.4f}", value);
}

std::string Interval(const SummaryRow& row, const Estimate& estimate, bool sign = false) {
  return fmt::format("{} .. {}", Number(row, estimate.low, sign), Number(row, estimate.high, sign));
}

std::string MeanText(const SummaryRow& row, const char* name, double scale, int digits) {
  const auto found = row.means.find(name);
  return found == row.means.end() ? "" : fmt::format("{:.{}f}", scale * found->second, digits);
}

const std::vector<std::string> kColumns = {"task",   "length",  "spec",       "n",         "failed",
                                           "value",  "95 %",    "difference", "95 %",      "KV %",
                                           "recall", "TTFT ms", "tok/s",      "MB a token"};

std::vector<std::string> CellsOf(const SummaryRow& row) {
  const bool has = row.n > 0;
  return {row.cell.task,
          row.cell.length > 0 ? std::to_string(row.cell.length) : "",
          row.spec,
          std::to_string(row.n),
          row.n_failed > 0 ? std::to_string(row.n_failed) : "",
          has ? Number(row, row.value.mean) : "",
          has ? Interval(row, row.value) : "",
          row.difference ? Number(row, row.difference->mean, true) : "",
          row.difference ? Interval(row, *row.difference, true) : "",
          MeanText(row, "kv_share", 100, 1),
          MeanText(row, "recall", 100, 0),
          MeanText(row, "ttft_ms", 1, 0),
          MeanText(row, "decode_tok_s", 1, 1),
          MeanText(row, "read_bytes_per_token", 1e-6, 1)};
}

// What the values are, and what stood in for data: a line each.
std::vector<std::string> NotesOf(const Summary& summary) {
  std::vector<std::string> notes;
  std::set<std::string> seen;
  for (const SummaryRow& row : summary.rows) {
    if (row.cell.figure != "score" && seen.insert(row.cell.task).second) {
      notes.push_back(fmt::format("{}: the value is {}{}, lower is better", row.cell.task,
                                  row.cell.figure, row.cell.figure == "kl_mean" ? " in nats" : ""));
    }
    if (!row.cell.stand_in.empty() && seen.insert(row.cell.task + row.cell.stand_in).second) {
      notes.push_back(fmt::format("{}: {}", row.cell.task, row.cell.stand_in));
    }
    if (!row.by_depth.empty()) {
      std::string depths;
      for (const auto& [depth, score] : row.by_depth) {
        depths += fmt::format(" {} %: {:.0f}", depth, 100 * score);
      }
      notes.push_back(
          fmt::format("{} {} {}: by depth{}", row.cell.task, row.cell.length, row.spec, depths));
    }
    if (!row.by_turn.empty()) {
      std::string turns;
      for (const double score : row.by_turn) turns += fmt::format(" {:.1f}", 100 * score);
      notes.push_back(
          fmt::format("{} {} {}: by question{}", row.cell.task, row.cell.length, row.spec, turns));
    }
  }
  return notes;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Summary Summarise(std::span<const CellFacts> cells, std::span<const std::string> specs,
                  std::span<const Outcome* const> outcomes) {
  Summary summary;
  for (const CellFacts& cell : cells) {
    std::map<std::string, Samples> by_spec;
    for (const Outcome* outcome : outcomes) {
      if (outcome->cell.SameCell(cell)) AddOutcome(*outcome, cell.figure, by_spec[outcome->spec]);
    }
    for (const std::string& spec : specs) {
      SummaryRow row = RowOf(cell, spec, by_spec[spec]);
      if (spec != specs[0]) AddDifference(by_spec[specs[0]], by_spec[spec], row);
      summary.rows.push_back(std::move(row));
    }
  }
  return summary;
}

std::string SummaryText(const Summary& summary) {
  std::vector<std::vector<std::string>> table = {kColumns};
  for (const SummaryRow& row : summary.rows) table.push_back(CellsOf(row));
  std::vector<size_t> widths(kColumns.size());
  for (const auto& line : table) {
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  }
  std::string text;
  for (const auto& line : table) {
    std::string out;
    for (size_t c = 0; c < line.size(); ++c) {
      const bool left = c == 0 || c == 2;
      out += left ? fmt::format("{:<{}}  ", line[c], widths[c])
                  : fmt::format("{:>{}}  ", line[c], widths[c]);
    }
    out.resize(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  for (const std::string& note : NotesOf(summary)) text += note + "\n";
  return text;
}

std::string SummaryMarkdown(const Summary& summary) {
  std::string text, rule;
  const auto add = [&](const std::vector<std::string>& line) {
    text += "|";
    for (const std::string& cell : line) text += " " + cell + " |";
    text += "\n";
  };
  add(kColumns);
  for (size_t c = 0; c < kColumns.size(); ++c) rule += c == 0 || c == 2 ? "| --- " : "| ---: ";
  text += rule + "|\n";
  for (const SummaryRow& row : summary.rows) {
    std::vector<std::string> line = CellsOf(row);
    line[2] = "`" + line[2] + "`";
    add(line);
  }
  for (const std::string& note : NotesOf(summary)) text += "\n- " + note;
  return text + (NotesOf(summary).empty() ? "" : "\n");
}

std::string SummaryCsv(const Summary& summary) {
  std::string text =
      "task,length,spec,figure,n,failed,mean,low,high,difference,difference_low,difference_high,"
      "pairs,kv_share,entry_share,recall,ttft_ms,decode_tok_s,read_bytes_per_token,stand_in\n";
  for (const SummaryRow& row : summary.rows) {
    std::vector<std::string> cells = {CsvField(row.cell.task), std::to_string(row.cell.length),
                                      CsvField(row.spec),      row.cell.figure,
                                      std::to_string(row.n),   std::to_string(row.n_failed)};
    for (const double value : {row.value.mean, row.value.low, row.value.high}) {
      cells.push_back(row.n > 0 ? fmt::format("{}", value) : "");
    }
    const Estimate none, &difference = row.difference ? *row.difference : none;
    for (const double value : {difference.mean, difference.low, difference.high}) {
      cells.push_back(row.difference ? fmt::format("{}", value) : "");
    }
    cells.push_back(std::to_string(row.n_pairs));
    for (const char* name :
         {"kv_share", "entry_share", "recall", "ttft_ms", "decode_tok_s", "read_bytes_per_token"}) {
      const auto found = row.means.find(name);
      cells.push_back(found == row.means.end() ? "" : fmt::format("{}", found->second));
    }
    cells.push_back(CsvField(row.cell.stand_in));
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
}

Json SummaryJson(const Summary& summary) {
  Json rows = Json::array();
  for (const SummaryRow& row : summary.rows) {
    Json json = {{"task", row.cell.task},
                 {"length", row.cell.length},
                 {"spec", row.spec},
                 {"figure", row.cell.figure},
                 {"n", row.n},
                 {"failed", row.n_failed},
                 {"mean", row.value.mean},
                 {"low", row.value.low},
                 {"high", row.value.high}};
    if (row.difference) {
      json["difference"] = {{"mean", row.difference->mean},
                            {"low", row.difference->low},
                            {"high", row.difference->high},
                            {"pairs", row.n_pairs}};
    }
    if (!row.by_turn.empty()) json["by_turn"] = row.by_turn;
    for (const auto& [depth, score] : row.by_depth) {
      json["by_depth"].push_back({{"depth", depth}, {"mean", score}});
    }
    json["means"] = row.means;
    if (!row.cell.stand_in.empty()) json["stand_in"] = row.cell.stand_in;
    rows.push_back(std::move(json));
  }
  return rows;
}

}  // namespace kvasir::eval
