// The first page of `kvasir serve`: a chat under one KV spec, or one chat under two specs.
import { ask, getJson } from "./client.js";

const byId = (id) => document.getElementById(id);
const KEPT_BINS = 96;
let methods = [];
let panes = [];
let running = null;  // an AbortController while answers are made

function clone(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

function add(parent, tag, className, text) {
  const made = parent.appendChild(document.createElement(tag));
  made.className = className;
  made.textContent = text;
  return made;
}

function sizeOf(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) {
    bytes /= 1000;
    ++unit;
  }
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${units[unit]}`;
}

// One conversation under one spec.
class Pane {
  constructor(spec) {
    this.root = byId("panes").appendChild(clone("pane"));
    this.find = (selector) => this.root.querySelector(selector);
    this.list = this.find(".list");
    this.spec = this.find(".text");
    this.talk = this.find(".talk");
    const name = `Conversation ${panes.length + 1}`;
    this.talk.setAttribute("aria-label", name);
    this.root.setAttribute("aria-label", name);
    const families = new Map();
    for (const method of methods) {
      const family = families.get(method.family) ?? document.createElement("optgroup");
      family.label = method.family;
      families.set(method.family, family);
      family.append(new Option(method.name, method.example));
    }
    this.list.append(...families.values());
    this.list.addEventListener("change", () => this.choose(this.list.value));
    this.spec.addEventListener("input", () => this.choose(this.spec.value, false));
    this.find(".spec").addEventListener("submit", (event) => event.preventDefault());
    this.choose(spec);
    this.clear();
  }

  choose(spec, write = true) {
    if (write) this.spec.value = spec;
    const named = spec.split("+").map((part) => part.split(":")[0].trim())
      .map((name) => methods.find((method) => method.name === name)).filter(Boolean);
    const listed = methods.find((method) => method.example === spec) ?? named.at(-1);
    this.list.selectedIndex = [...this.list.options].findIndex((o) => o.text === listed?.name);
    this.find(".about").textContent = named.map((method) =>
      `${method.name}: ${method.summary}${method.paper ? ` (${method.paper})` : ""}`).join(". ");
  }

  clear() {
    this.messages = [];
    this.session = crypto.getRandomValues(new Uint32Array(3)).join("-");
    this.talk.replaceChildren();
  }

  scroll() {
    this.talk.scrollTop = this.talk.scrollHeight;
  }

  async say(content, options, signal) {
    this.messages.push({ role: "user", content });
    add(this.talk, "div", "message user", options.shown);
    const answer = add(this.talk, "div", "message assistant", "");
    const figures = this.talk.appendChild(clone("figures"));
    const show = (selector, text) => { figures.querySelector(selector).textContent = text; };
    this.scroll();
    const start = performance.now();
    let first = 0, n = 0;
    try {
      const end = await ask({
        messages: this.messages, max_tokens: options.maxTokens, temperature: options.temperature,
        seed: options.seed, stream: true, kv: { spec: this.spec.value, session: this.session, map: KEPT_BINS },
      }, options.key, signal, (text) => {
        const now = performance.now();
        first ||= now;
        ++n;
        answer.textContent += text;
        show(".first", `${Math.round(first - start)} ms`);
        if (n > 1) show(".rate", ((n - 1) * 1000 / (now - first)).toFixed(1));
        this.scroll();
      });
      this.messages.push({ role: "assistant", content: answer.textContent });
      this.report(figures, show, end);
    } catch (error) {
      // What was not answered is not part of the conversation.
      this.messages.pop();
      if (error.name === "AbortError") {
        show(".note", "stopped");
      } else {
        answer.className = "message error";
        answer.textContent = error.message;
        figures.remove();
      }
    }
    this.scroll();
  }

  report(figures, show, { kv, timings, finish }) {
    if (timings?.predicted_n > 1) {
      show(".rate", ((timings.predicted_n - 1) * 1000 / timings.predicted_ms).toFixed(1));
    }
    if (timings?.first_token_ms) show(".first", `${Math.round(timings.first_token_ms)} ms`);
    if (!kv) return;
    const share = kv.entries_full ? kv.entries / kv.entries_full : 1;
    show(".bytes", `${sizeOf(kv.bytes)} of ${sizeOf(kv.bytes_full)}`);
    show(".kept", `${(100 * share).toFixed(share > 0.995 ? 0 : 1)} %`);
    show(".reused", String((kv.reused_tokens?.prefix ?? 0) + (kv.reused_tokens?.restored ?? 0)));
    show(".note", [finish === "length" ? "cut off at the most tokens" : "", ...(kv.warnings ?? [])]
      .filter(Boolean).join("; "));
    const map = figures.querySelector(".map");
    map.hidden = !kv.kept_map?.length;
    map.title = "What of the text the cache holds, from its beginning to its end; dark: in all heads";
    map.setAttribute("aria-label", `${map.title}: ` +
      (kv.kept_map ?? []).map((part) => `${Math.round(100 * part)} %`).join(", "));
    for (const part of kv.kept_map ?? []) {
      add(map, "i", "", "").style.backgroundColor = `rgba(var(--kept), ${part})`;
    }
  }
}

function setPanes() {
  const both = byId("both").checked;
  byId("turns-label").hidden = !both;
  while (panes.length > (both ? 2 : 1)) panes.pop().root.remove();
  while (panes.length < (both ? 2 : 1)) {
    panes.push(new Pane(panes.length ? "renumber + streaming:budget=1024" : "full"));
    // The other spec answers the same questions from here on, so both begin anew.
    for (const pane of panes) pane.clear();
  }
}

function setRunning(controller) {
  running = controller;
  byId("send").hidden = running !== null;
  byId("stop").hidden = running === null;
  for (const control of document.querySelectorAll("header input, header button, .spec select, .spec input")) {
    control.disabled = running !== null;
  }
}

async function send() {
  const message = byId("message");
  const text = message.value.trim();
  if (!text || running || !panes.length) return;
  const file = byId("file").files[0];
  const content = file ? `${await file.text()}\n\n${text}` : text;
  const options = {
    shown: file ? `[${file.name}, ${sizeOf(file.size)}]\n${text}` : text,
    maxTokens: byId("max-tokens").valueAsNumber || 256,
    temperature: byId("temperature").valueAsNumber || 0,
    seed: byId("seed").valueAsNumber || 0,
    key: byId("key").value,
  };
  byId("file").value = "";
  message.value = "";
  const controller = new AbortController();
  setRunning(controller);
  if (byId("turns").checked) {
    for (const pane of panes) await pane.say(content, options, controller.signal);
  } else {
    await Promise.all(panes.map((pane) => pane.say(content, options, controller.signal)));
  }
  setRunning(null);
  message.focus();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
byId("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
byId("stop").addEventListener("click", () => running?.abort());
byId("clear").addEventListener("click", () => panes.forEach((pane) => pane.clear()));
byId("both").addEventListener("change", setPanes);

try {
  const [listed, models] = await Promise.all([getJson("v1/kv/methods"), getJson("v1/models")]);
  methods = listed.data;
  byId("model").textContent = models.data[0].id;
  setPanes();
  byId("message").focus();
} catch (error) {
  add(byId("panes"), "p", "message error", error.message);
}
