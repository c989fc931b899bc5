// The picture as one self-contained page: a canvas that tells what lies under the pointer.
#include <nlohmann/json.hpp>

#include "inspect.h"

namespace kvasir::cli {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

// [[first, n, first, n, …] a head]: positions as runs of neighbours.
nlohmann::json RunsJson(const CacheMap& map) {
  nlohmann::json rows = nlohmann::json::array();
  for (const std::vector<int32_t>& held : map.positions) {
    std::vector<int32_t> runs;
    for (size_t i = 0; i < held.size();) {
      size_t end = i + 1;
      while (end < held.size() && held[end] == held[end - 1] + 1) ++end;
      runs.push_back(held[i]);
      runs.push_back(static_cast<int32_t>(end - i));
      i = end;
    }
    rows.push_back(std::move(runs));
  }
  return rows;
}

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kvasir: what the cache holds</title>
<style>
:root { --paper: #fff; --ink: #1c2733; --soft: #5b6b7b; --gone: #eef1f5; --kept: #1452a0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12181f; --ink: #e4ebf2; --soft: #93a4b5; --gone: #202a35; --kept: #6fb1ff; }
}
body { margin: 2rem; background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.2rem; margin: 0; } p { color: var(--soft); margin: .3rem 0 1rem; }
code { font-size: .95em; } canvas { width: 100%; display: block; cursor: crosshair; }
#at { min-height: 1.5em; color: var(--ink); font-variant-numeric: tabular-nums; }
</style></head><body>
)";

constexpr std::string_view kScript = R"(
const canvas = document.getElementById('map'), at = document.getElementById('at');
const rows = data.rows.length, gap = 3;
const held = data.rows.map(runs => runs.reduce((sum, x, i) => i % 2 ? sum + x : sum, 0));
let height = 0;
function top(row) { return row * height + Math.floor(row / data.heads) * gap; }
function draw() {
  const style = getComputedStyle(document.documentElement), scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  height = Math.max(3, Math.min(16, Math.floor(800 / rows)));
  const total = top(rows - 1) + height;
  canvas.width = width * scale; canvas.height = total * scale;
  canvas.style.height = total + 'px';
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  data.rows.forEach((runs, row) => {
    pen.fillStyle = style.getPropertyValue('--gone');
    pen.fillRect(0, top(row), width, height - 1);
    pen.fillStyle = style.getPropertyValue('--kept');
    for (let i = 0; i < runs.length; i += 2) {
      const x = width * runs[i] / data.tokens;
      pen.fillRect(x, top(row), Math.max(0.6, width * runs[i + 1] / data.tokens), height - 1);
    }
  });
}
canvas.addEventListener('mousemove', event => {
  const box = canvas.getBoundingClientRect(), y = event.clientY - box.top;
  let row = 0;
  while (row + 1 < rows && top(row + 1) <= y) ++row;
  const position = Math.floor((event.clientX - box.left) / box.width * data.tokens);
  const runs = data.rows[row];
  let kept = false;
  for (let i = 0; i < runs.length; i += 2)
    kept = kept || (position >= runs[i] && position < runs[i] + runs[i + 1]);
  at.textContent = 'layer ' + Math.floor(row / data.heads) + ', KV head ' + row % data.heads +
    ', position ' + position + ': ' + (kept ? 'held' : 'gone') + '; this head holds ' + held[row] +
    ' of ' + data.tokens;
});
addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
draw();
</script></body></html>
)";

}  // namespace

std::string MapHtml(const CacheMap& map) {
  const nlohmann::json data = {
      {"tokens", map.n_tokens}, {"heads", map.n_kv_heads}, {"rows", RunsJson(map)}};
  std::string page(kHead);
  page += fmt::format(
      "<h1>{}</h1>\n<p><code>{}</code> after a prompt of {} tokens. A row is a KV head, a gap "
      "separates layers; what is coloured is held.</p>\n"
      "<canvas id=\"map\" role=\"img\" aria-label=\"Positions held by each head\"></canvas>\n"
      "<p id=\"at\">Point at the picture.</p>\n",
      Escaped(map.title), Escaped(map.spec), map.n_tokens);
  page += "<script>\nconst data = " + data.dump() + ";";
  return page + std::string(kScript);
}

}  // namespace kvasir::cli
