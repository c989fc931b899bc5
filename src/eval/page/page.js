// What all parts of the page use: its data, elements, numbers as text, colours.
const data = JSON.parse(document.getElementById("data").textContent);

// el("td", { class: "number" }, "text", child, …): texts become text and never markup.
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  const isThere = (child) => child !== undefined && child !== null;
  element.append(...children.flat(Infinity).filter(isThere));
  return element;
}

function section(id, title, lead, ...children) {
  const part = el("section", { id, "aria-labelledby": `${id}-title` },
    el("h2", { id: `${id}-title` }, title),
    lead ? el("p", { class: "lead" }, lead) : null,
    children);
  document.getElementById("main").append(part);
}

// A box that scrolls by itself, also with the keyboard.
const scrolling = (kind, label, ...children) =>
  el("div", { class: kind, role: "region", tabindex: 0, "aria-label": label }, children);

// A grid of the first `most` cards, with a button for the rest.
function cards(all, most, kind = "grid") {
  const grid = el("div", { class: kind }, all.slice(0, most));
  if (all.length <= most) return grid;
  const showRest = () => {
    grid.append(...all.slice(most));
    more.remove();
  };
  const more = el("p", {},
    el("button", { type: "button", onclick: showRest }, `Show ${all.length - most} more`));
  return [grid, more];
}

const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const rounded = (value, digits = 3) => Number(value.toPrecision(digits));
const specOf = (row) => data.specs[row.spec];
const isScore = (cell) => data.cells[cell].figure === "score";
// Scores are shown out of 100, distances as they are.
const figure = (cell, value) => (isScore(cell) ? (100 * value).toFixed(1) : value.toFixed(4));
const signed = (cell, value) => (value < 0 ? "−" : "+") + figure(cell, Math.abs(value));
const FIGURES = {
  score: "score",
  kl_mean: "KL to full, nats (lower is better)",
  attention_error: "attention error (lower is better)",
};
const figureName = (cell) => FIGURES[data.cells[cell].figure] || data.cells[cell].figure;

const DARK = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function groupBy(list, key) {
  const groups = new Map();
  for (const each of list) {
    const name = key(each);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(each);
  }
  return groups;
}
