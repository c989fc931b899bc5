// Specs as series: a form is a spec without its budget, so that budgets make a curve; forms that are
// chosen have a colour in every chart.
const BUDGET = /\bbudget=([\d.]+)(%|k|M)?/;
const MOST_CHOSEN = 8;

const formOf = (spec) => spec.replace(/budget=[^,+;\s]+/, "").replace(/:,/, ":").replace(/,(?=,|\s|$)/g, "")
  .replace(/:(?=\s|$)/g, "");

// The budget asked for, in percent of the prompt; undefined: the spec has none.
function budgetOf(row) {
  const found = BUDGET.exec(data.specs[row.spec]);
  if (!found) return undefined;
  const n = Number(found[1]) * { k: 1024, M: 1024 ** 2 }[found[2]] || Number(found[1]);
  return found[2] === "%" ? n : 100 * n / data.cells[row.cell].prompt_tokens;
}

const forms = [...new Set(data.specs.map(formOf))];
const withBudget = new Set(data.specs.filter((spec) => BUDGET.test(spec)).map(formOf));

// Where there are many: `full`, and those with a budget that score best on average.
function bestForms() {
  const rowsOf = groupBy(data.rows.filter((row) => row.n > 0), (row) => formOf(data.specs[row.spec]));
  const mean = (rows) => rows.reduce((sum, row) => sum + (isScore(row.cell) ? row.mean : -row.mean), 0) / rows.length;
  const ranked = [...rowsOf].map(([form, rows]) => [form === "full" ? Infinity : withBudget.has(form) * 1000 + mean(rows), form]);
  return ranked.sort((a, b) => b[0] - a[0]).slice(0, MOST_CHOSEN).map(([, form]) => form);
}

const SHAPES = ["circle", "rect", "triangle", "rectRot"];
const chosen = forms.length <= MOST_CHOSEN ? [...forms] : bestForms();

// Colour and shape of a form; undefined: it is not chosen and stays grey.
function styleOf(form) {
  const index = chosen.indexOf(form);
  if (index < 0) return undefined;
  const colours = colour("--series").split(" ");
  const round = Math.floor(index / colours.length);
  return { colour: colours[index % colours.length], shape: SHAPES[(index + round) % SHAPES.length] };
}

// Buttons that choose forms; one press redraws all charts.
function formChips(redraw) {
  const chips = el("fieldset", { class: "chips" }, el("legend", {}, "Specs in colour"));
  const paint = () => {
    for (const chip of chips.querySelectorAll("button")) {
      const style = styleOf(chip.dataset.form);
      chip.setAttribute("aria-pressed", String(Boolean(style)));
      chip.firstChild.style.background = chip.firstChild.style.borderColor = style ? style.colour : "";
    }
  };
  for (const form of forms) {
    chips.append(el("button", { type: "button", class: "chip", "data-form": form, onclick: () => {
      const index = chosen.indexOf(form);
      if (index < 0) chosen.push(form); else chosen.splice(index, 1);
      paint();
      redraw();
    } }, el("i"), el("code", {}, form)));
  }
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  return chips;
}
