// Specs as series: a form is a spec without its budget, so that budgets make a curve. Forms that
// are chosen have a colour in every chart.
const BUDGET = /\bbudget=([\d.]+)(%|k|M)?/;
const MOST_CHOSEN = 8;

// "snapkv:window=16,budget=20%" -> "snapkv:window=16"
const formOf = (spec) => spec.replace(/budget=[^,+;\s]+/, "")
  .replace(/:,/, ":").replace(/,(?=,|\s|$)/g, "").replace(/:(?=\s|$)/g, "");
const formOfRow = (row) => formOf(specOf(row));

// The budget asked for, in percent of the prompt; undefined: the spec has none.
function budgetOf(row) {
  const found = BUDGET.exec(specOf(row));
  if (!found) return undefined;
  const n = Number(found[1]) * ({ k: 1024, M: 1024 ** 2 }[found[2]] || 1);
  return found[2] === "%" ? n : 100 * n / data.cells[row.cell].prompt_tokens;
}

const forms = [...new Set(data.specs.map(formOf))];

// Where there are many: `full`, and those with a budget that score best on average.
function bestForms() {
  const withBudget = new Set(data.specs.filter((spec) => BUDGET.test(spec)).map(formOf));
  const worth = (row) => (isScore(row.cell) ? row.mean : -row.mean);
  const rank = ([form, rows]) => {
    if (form === "full") return Infinity;
    const mean = rows.reduce((sum, row) => sum + worth(row), 0) / rows.length;
    return withBudget.has(form) ? mean + 1e6 : mean;
  };
  const groups = groupBy(data.rows.filter((row) => row.n > 0), formOfRow);
  const ranked = [...groups].map((group) => [rank(group), group[0]]);
  ranked.sort(([a], [b]) => b - a);
  return ranked.slice(0, MOST_CHOSEN).map(([, form]) => form);
}

const SHAPES = ["circle", "rect", "triangle", "rectRot"];
const chosen = forms.length <= MOST_CHOSEN ? [...forms] : bestForms();

// Colour and shape of a form; undefined: it is not chosen and stays grey.
function styleOf(form) {
  const index = chosen.indexOf(form);
  if (index < 0) return undefined;
  const colours = colour("--series").split(" ");
  const round = Math.floor(index / colours.length);
  return {
    colour: colours[index % colours.length],
    shape: SHAPES[(index + round) % SHAPES.length],
  };
}
const isChosen = (row) => chosen.includes(formOfRow(row));

// Buttons that choose forms; each press redraws the charts.
function formChips(redraw) {
  const chips = el("fieldset", { class: "chips" }, el("legend", {}, "Specs in colour"));
  const paint = () => {
    for (const chip of chips.querySelectorAll("button")) {
      const style = styleOf(chip.dataset.form);
      const dot = chip.firstChild.style;
      chip.setAttribute("aria-pressed", String(Boolean(style)));
      dot.background = dot.borderColor = style ? style.colour : "";
    }
  };
  const toggle = (form) => {
    const index = chosen.indexOf(form);
    if (index < 0) chosen.push(form);
    else chosen.splice(index, 1);
    paint();
    redraw();
  };
  for (const form of forms) {
    const attributes = { type: "button", class: "chip", "data-form": form };
    chips.append(el("button", { ...attributes, onclick: () => toggle(form) },
      el("i"), el("code", {}, form)));
  }
  paint();
  DARK.addEventListener("change", paint);
  return chips;
}
