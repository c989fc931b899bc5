// kvasir inspect --find-heads: the side file that razor reads.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "console.h"
#include "engine/find_heads.h"
#include "engine/side_file_io.h"
#include "inspect.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ScoresJson(const SideTensor& scores) {
  Json layers = Json::array();
  const int64_t n_heads = scores.shape[1];
  for (auto row = scores.values.begin(); row != scores.values.end(); row += n_heads) {
    layers.push_back(std::vector<float>(row, row + n_heads));
  }
  return layers;
}

// "15.1 0.93, 16.0 0.81, …": the n highest, as layer.head and score.
std::string BestText(const SideTensor& scores, size_t n) {
  std::vector<size_t> ranked;
  for (size_t i = 0; i < scores.values.size(); ++i) {
    if (scores.values[i] >= 0) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](size_t a, size_t b) { return scores.values[a] > scores.values[b]; });
  ranked.resize(std::min(n, ranked.size()));
  std::string text;
  for (const size_t i : ranked) {
    const auto n_heads = static_cast<size_t>(scores.shape[1]);
    text += fmt::format("{}{}.{} {:.3f}", text.empty() ? "" : ", ", i / n_heads, i % n_heads,
                        scores.values[i]);
  }
  return text;
}

// Some models fetch things without heads that answer to a probe: razor would keep any heads whole.
void WarnWhereNoneStandsOut(Console& console, const FoundHeads& found) {
  constexpr double kOften = 10;
  const std::vector<float>& scores = found.file.tensors.at("induction").values;
  const double best = scores.empty() ? 0 : *std::max_element(scores.begin(), scores.end());
  if (best >= kOften * found.even) return;
  console.Warn(fmt::format(
      "no head stands out: the best induction score is {:.4f} where even attention has {:.4f}; "
      "razor will keep heads whole that fetch nothing",
      best, found.even));
}

}  // namespace

Result<int> InspectHeads(Context& context) {
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  auto& loaded = static_cast<LoadedModel&>(*model);
  ProgressBar bar(context.console, "probing");
  ProbeOptions options;
  if (context.args.Text("probe") == "number") options.text = ProbeOptions::Text::kNumber;
  const auto progress = [&](int64_t done, int64_t total) {
    bar.Show(done, total);
    return !Interrupt::Pending();
  };
  KV_ASSIGN_OR_RETURN(FoundHeads found, FindHeads(loaded, options, progress));
  SideFile& file = found.file;
  file.path = context.args.Text("find-heads");
  if (file.path == "auto") file.path = DefaultSideFilePath(file.kind, file.model);
  KV_RETURN_IF_ERROR(WriteSideFile(file));
  WarnWhereNoneStandsOut(context.console, found);
  const SideTensor &induction = file.tensors.at("induction"), &echo = file.tensors.at("echo");
  if (context.console.json()) {
    Json json = {{"path", file.path}, {"model", file.model}};
    for (const auto& [key, text] : file.notes) {
      const Json number = Json::parse(text, nullptr, /*allow_exceptions=*/false);
      json[key] = number.is_discarded() ? Json(text) : number;
    }
    json["induction"] = ScoresJson(induction);
    json["echo"] = ScoresJson(echo);
    context.console.WriteJson(json);
    return kExitDone;
  }
  context.console.Write(fmt::format(
      "{}: how {} KV heads attend to what followed earlier copies of a token, and to the copies\n"
      "(layer.head, share of attention a copy; {}, {} probes)\n\n"
      "induction  {}\necho       {}\n",
      file.path, induction.values.size(), found.about, file.notes.at("seeds"),
      BestText(induction, 10), BestText(echo, 4)));
  return kExitDone;
}

}  // namespace kvasir::cli
