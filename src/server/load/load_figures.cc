#include "server/load/load_figures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace kvasir::server {
namespace {

using Json = nlohmann::ordered_json;

// Mean time of a token after the first; none: there were no two.
std::optional<double> TimeOfAToken(const StreamedAnswer& answer) {
  if (answer.n_generated < 2 || answer.pieces.size() < 2) return std::nullopt;
  return (answer.pieces.back() - answer.pieces.front()) /
         static_cast<double>(answer.n_generated - 1);
}

bool Within(const StreamedAnswer& answer, const LoadBounds& bounds) {
  const std::optional<double> tpot = TimeOfAToken(answer);
  return answer.ok() && (!bounds.ttft || answer.pieces.front() <= *bounds.ttft) &&
         (!bounds.tpot || !tpot || *tpot <= *bounds.tpot) &&
         (!bounds.e2e || answer.end <= *bounds.e2e);
}

double PerSecond(double n, const LoadFigures& figures) {
  return figures.wall_s > 0 ? n / figures.wall_s : 0;
}

Json SpreadJson(const Spread& spread) {
  if (spread.n == 0)
    return {{"p50", nullptr}, {"p95", nullptr}, {"p99", nullptr}, {"mean", nullptr}, {"n", 0}};
  return {{"p50", spread.p50},
          {"p95", spread.p95},
          {"p99", spread.p99},
          {"mean", spread.mean},
          {"n", spread.n}};
}

std::string SpreadLine(std::string_view name, const Spread& spread) {
  if (spread.n == 0)
    return fmt::format("{:<12}{:>10}{:>10}{:>10}{:>10}\n", name, "-", "-", "-", "-");
  return fmt::format("{:<12}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n", name, 1e3 * spread.p50,
                     1e3 * spread.p95, 1e3 * spread.p99, 1e3 * spread.mean);
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  Spread spread{.n = std::ssize(values)};
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  const auto percentile = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(place);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (values[high] - values[low]) * (place - std::floor(place));
  };
  spread.p50 = percentile(0.50);
  spread.p95 = percentile(0.95);
  spread.p99 = percentile(0.99);
  spread.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return spread;
}

LoadFigures FiguresOf(std::span<const LoadedRequest> requests, const LoadBounds& bounds) {
  LoadFigures figures;
  figures.n_requests = std::ssize(requests);
  figures.bounds = bounds;
  std::vector<double> ttft, inter_token, tpot, e2e;
  double begin = INFINITY, end = 0;
  for (const auto& [due, answer] : requests) {
    begin = std::min(begin, due);
    end = std::max(end, due + answer.end);
    ++figures.by_status[answer.status];
    figures.n_good += Within(answer, bounds) ? 1 : 0;
    if (!answer.ok()) {
      ++figures.n_failed;
      continue;
    }
    figures.prompt_tokens += answer.n_prompt;
    figures.generated_tokens += answer.n_generated;
    ttft.push_back(answer.pieces.front());
    e2e.push_back(answer.end);
    for (size_t i = 1; i < answer.pieces.size(); ++i) {
      inter_token.push_back(answer.pieces[i] - answer.pieces[i - 1]);
    }
    if (const auto each = TimeOfAToken(answer)) tpot.push_back(*each);
  }
  figures.wall_s = requests.empty() ? 0 : end - begin;
  figures.ttft_s = SpreadOf(std::move(ttft));
  figures.inter_token_s = SpreadOf(std::move(inter_token));
  figures.tpot_s = SpreadOf(std::move(tpot));
  figures.e2e_s = SpreadOf(std::move(e2e));
  return figures;
}

nlohmann::ordered_json LoadJson(const LoadFigures& f) {
  const auto bound = [](const std::optional<double>& s) { return s ? Json(*s) : Json(); };
  Json statuses = Json::object();
  for (const auto& [status, n] : f.by_status) statuses[std::to_string(status)] = n;
  const auto n_good = static_cast<double>(f.n_good), n = static_cast<double>(f.n_requests);
  const auto generated = static_cast<double>(f.generated_tokens);
  return {{"requests", f.n_requests},
          {"failed", f.n_failed},
          {"statuses", statuses},
          {"wall_s", f.wall_s},
          {"prompt_tokens", f.prompt_tokens},
          {"generated_tokens", f.generated_tokens},
          {"requests_per_s", PerSecond(n - static_cast<double>(f.n_failed), f)},
          {"generated_tokens_per_s", PerSecond(generated, f)},
          {"total_tokens_per_s", PerSecond(generated + static_cast<double>(f.prompt_tokens), f)},
          {"ttft_s", SpreadJson(f.ttft_s)},
          {"inter_token_s", SpreadJson(f.inter_token_s)},
          {"tpot_s", SpreadJson(f.tpot_s)},
          {"e2e_s", SpreadJson(f.e2e_s)},
          {"slo",
           {{"ttft", bound(f.bounds.ttft)},
            {"tpot", bound(f.bounds.tpot)},
            {"e2e", bound(f.bounds.e2e)}}},
          {"goodput", n > 0 ? n_good / n : 0},
          {"good_requests_per_s", PerSecond(n_good, f)}};
}

std::string LoadText(const LoadFigures& f) {
  const Json json = LoadJson(f);
  const auto number = [&](const char* name) { return json[name].get<double>(); };
  std::string text = fmt::format(
      "{} requests, {} failed, {:.1f} s; {} prompt tokens, {} generated\n"
      "{:.1f} tokens/s in all, {:.1f} generated, {:.2f} requests/s\n\n"
      "{:<12}{:>10}{:>10}{:>10}{:>10}\n",
      f.n_requests, f.n_failed, f.wall_s, f.prompt_tokens, f.generated_tokens,
      number("total_tokens_per_s"), number("generated_tokens_per_s"), number("requests_per_s"),
      "ms", "p50", "p95", "p99", "mean");
  text += SpreadLine("first token", f.ttft_s) + SpreadLine("inter-token", f.inter_token_s) +
          SpreadLine("per token", f.tpot_s) + SpreadLine("end to end", f.e2e_s);
  std::string bounds;
  for (const auto& [name, bound] : json["slo"].items()) {
    if (bound.is_null()) continue;
    bounds +=
        fmt::format("{}{} within {:g} s", bounds.empty() ? "" : ", ", name, bound.get<double>());
  }
  return text + fmt::format("\ngoodput {:.1f} % of the requests, {:.2f} a second ({})\n",
                            100 * number("goodput"), number("good_requests_per_s"),
                            bounds.empty() ? "all that were answered" : bounds);
}

}  // namespace kvasir::server
