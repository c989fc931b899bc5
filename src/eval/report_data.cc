#include "eval/report_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "eval/excerpt.h"
#include "eval/report_means.h"

namespace kvasir::eval {
namespace {

constexpr size_t kBytesOfAKind = 8 << 20;  // all prompts, all answers, all maps

std::set<std::string> WordsOf(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

// "scope=context": how these settings differ from those of the same task elsewhere in the report.
std::string VariantOf(const CellFacts& cell, std::span<const CellFacts> cells) {
  std::set<std::string> own = WordsOf(cell.settings), shared = own;
  for (const CellFacts& other : cells) {
    if (other.task != cell.task) continue;
    const std::set<std::string> words = WordsOf(other.settings);
    std::erase_if(shared, [&](const std::string& word) { return !words.contains(word); });
  }
  std::erase_if(own, [&](const std::string& word) { return shared.contains(word); });
  return fmt::format("{}", fmt::join(own, " "));
}

// "8,192"
std::string Thousands(int64_t n) {
  std::string digits = std::to_string(n);
  for (auto at = std::ssize(digits) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::vector<std::string> TextsOf(const Json& record, const char* name) {
  std::vector<std::string> texts;
  for (const Json& text : ListOf(record, name)) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

class DataMaker {
 public:
  explicit DataMaker(const Report& report)
      : report_(report), cells_(report.Cells()), specs_(report.Specs()) {
    std::set<std::string> prompts;
    for (const Report::Sample& sample : report.samples()) prompts.insert(sample.prompt);
    const size_t n_samples = std::max<size_t>(report.samples().size(), 1);
    const size_t n_prompts = std::max<size_t>(prompts.size(), 1);
    prompt_bytes_ = std::clamp<size_t>(kBytesOfAKind / n_prompts, 900, 40000);
    answer_bytes_ = std::clamp<size_t>(kBytesOfAKind / n_samples, 200, 4000);
    map_bytes_ = kBytesOfAKind / n_samples;
  }

  Json Make() {
    Json cases = Json::array(), samples = Json::array();
    for (const Report::Sample& sample : report_.samples()) AddSample(sample, cases, samples);
    Json notes = Json::array();
    for (const Report::Note& note : report_.Notes()) {
      notes.push_back({{"text", note.text}, {"bad", note.is_bad}});
    }
    return {
        {"title", Title()}, {"notes", std::move(notes)},           {"runs", Runs()},
        {"specs", specs_},  {"layers_per_line", layers_per_line_}, {"cells", Cells()},
        {"rows", Rows()},   {"cases", std::move(cases)},           {"samples", std::move(samples)}};
  }

 private:
  using Row = ReportMeans::Row;

  std::string ModelName(const std::string& fingerprint) const {
    for (const Json& run : report_.runs()) {
      const auto model = run.find("model");
      if (model == run.end() || TextOf(*model, "fingerprint") != fingerprint) continue;
      return TextOf(*model, "name");
    }
    return fingerprint;
  }

  std::string Title() const {
    std::vector<std::string> names;
    for (const CellFacts& cell : cells_) {
      std::string name = ModelName(cell.model);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names.empty() ? "No results" : fmt::format("{}", fmt::join(names, ", "));
  }

  // Those whose build made some of the samples.
  Json Runs() const {
    std::set<std::string> builds;
    for (const Report::Sample& sample : report_.samples()) builds.insert(sample.build);
    Json runs = Json::array();
    for (const Json& run : report_.runs()) {
      if (!run.contains("build") || builds.contains(TextOf(run, "build"))) runs.push_back(run);
    }
    return runs;
  }

  size_t CellOf(const CellFacts& cell) const {
    const auto same = [&](const CellFacts& each) { return each.SameCell(cell); };
    return static_cast<size_t>(std::find_if(cells_.begin(), cells_.end(), same) - cells_.begin());
  }

  size_t SpecOf(const std::string& spec) const {
    return static_cast<size_t>(std::find(specs_.begin(), specs_.end(), spec) - specs_.begin());
  }

  Json Cells() const {
    const bool several = std::any_of(cells_.begin(), cells_.end(), [&](const CellFacts& cell) {
      return cell.model != cells_[0].model;
    });
    Json cells = Json::array();
    for (size_t c = 0; c < cells_.size(); ++c) {
      const CellFacts& cell = cells_[c];
      const std::string variant = VariantOf(cell, cells_);
      std::string group = cell.task;
      if (several) group += " · " + ModelName(cell.model);
      if (!variant.empty()) group += " · " + variant;
      Json json = {{"label", cell.length > 0 ? group + " · " + Thousands(cell.length) : group},
                   {"group", group},
                   {"variant", variant},
                   {"task", cell.task},
                   {"model_name", ModelName(cell.model)},
                   {"length", cell.length},
                   {"figure", cell.figure}};
      json["prompt_tokens"] = means_.PromptTokens(c);
      for (const Json& run : report_.runs()) {
        for (const Json& task : ListOf(run, "tasks")) {
          if (TextOf(task, "name") != cell.task) continue;
          json["summary"] = TextOf(task, "summary");
          json["metric"] = TextOf(task, "metric");
        }
      }
      cells.push_back(std::move(json));
    }
    return cells;
  }

  Json Rows() const {
    const Summary summary = report_.Rows();
    Json rows = SummaryJson(summary);
    for (size_t r = 0; r < rows.size(); ++r) {
      const Row at = {CellOf(summary.rows[r].cell), SpecOf(summary.rows[r].spec)};
      Json& row = rows[r];
      for (const char* name : {"task", "length", "figure", "stand_in", "by_depth"}) row.erase(name);
      row["cell"] = at.first;
      row["spec"] = at.second;
      if (Json depths = means_.Depths(at); !depths.empty()) row["depths"] = std::move(depths);
      if (Json layers = means_.Layers(at); !layers.empty()) row["layers"] = std::move(layers);
    }
    return rows;
  }

  void AddSample(const Report::Sample& sample, Json& cases, Json& samples) {
    const Outcome& outcome = sample.outcome;
    const Json record = Json::parse(sample.line);
    const Row at = {CellOf(outcome.cell), SpecOf(outcome.spec)};
    const auto [found, is_new] =
        case_.emplace(std::tuple(at.first, outcome.seed, outcome.index), cases.size());
    if (is_new) {
      cases.push_back({{"cell", at.first}, {"seed", outcome.seed}, {"index", outcome.index}});
    }
    // A spec that failed knows neither the questions nor the tokens.
    Json& of_case = cases[found->second];
    if (!of_case.contains("turns") || of_case["turns"].empty()) FillCase(sample, record, of_case);
    Json json = {{"case", found->second}, {"spec", at.second}};
    if (!outcome.error.empty()) {
      json["error"] = outcome.error;
      samples.push_back(std::move(json));
      return;
    }
    means_.Add(at, outcome, record);
    const auto value = outcome.figures.find(cells_[at.first].figure);
    if (value != outcome.figures.end()) json["value"] = Rounded(value->second);
    const auto share = outcome.figures.find("entry_share");
    if (share != outcome.figures.end()) json["share"] = Rounded(share->second);
    for (const Json& turn : ListOf(record, "turns")) {
      json["turns"].push_back({{"prediction", Clip(TextOf(turn, "prediction"), answer_bytes_)},
                               {"score", NumberOf(turn, "score")}});
    }
    if (!json.contains("turns") && record.contains("figures")) json["figures"] = record["figures"];
    if (record.contains("kept")) AddMap(record["kept"], json);
    samples.push_back(std::move(json));
  }

  void FillCase(const Report::Sample& sample, const Json& record, Json& of_case) {
    std::vector<std::string> answers;
    Json turns = Json::array();
    for (const Json& turn : ListOf(record, "turns")) {
      const std::vector<std::string> right = TextsOf(turn, "answers");
      answers.insert(answers.end(), right.begin(), right.end());
      turns.push_back(
          {{"question", Clip(TextOf(turn, "question"), answer_bytes_)}, {"answers", right}});
    }
    of_case["tokens"] = IntOf(record, "prompt_tokens");
    of_case["turns"] = std::move(turns);
    const auto prompt = report_.prompts().find(sample.prompt);
    of_case["prompt"] =
        Excerpt(prompt == report_.prompts().end() ? "" : prompt->second, answers, prompt_bytes_);
  }

  void AddMap(const Json& kept, Json& json) {
    const std::vector<std::string> lines = TextsOf(kept, "map");
    if (lines.empty()) return;
    const size_t n_lines = std::clamp<size_t>(map_bytes_ / (lines[0].size() + 3), 1, lines.size());
    const size_t n_each = (lines.size() + n_lines - 1) / n_lines;
    layers_per_line_ = std::max(layers_per_line_, n_each);
    json["map"] = CoarseMap(lines, n_each);
  }

  const Report& report_;
  const std::vector<CellFacts> cells_;
  const std::vector<std::string> specs_;
  size_t prompt_bytes_ = 0, answer_bytes_ = 0, map_bytes_ = 0, layers_per_line_ = 1;
  std::map<std::tuple<size_t, uint64_t, int64_t>, size_t> case_;
  ReportMeans means_;
};

}  // namespace

Json ReportData(const Report& report) { return DataMaker(report).Make(); }

}  // namespace kvasir::eval
