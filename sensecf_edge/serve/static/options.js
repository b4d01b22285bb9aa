// Options beside each other, and what is possible for this person.

import { post } from "./api.js";
import { el, later, list, number, place, redraw, say, t, limits as most } from "./dom.js";

export class Limits {
  constructor(form, changed) {
    this.form = form;
    this.changed = later(350, changed);
    this.free = form.fields.filter((field) => field.advised);
    this.values = {};
    this.reset();
  }

  reset() {
    this.freeze = new Set();
    this.bounds = new Map();
    this.costs = new Map();
    this.wish = "";
    this.understood = null;
    this.answers = most.answers;
    this.changes = Math.min(4, this.form.max_changes);
  }

  question() {
    return { freeze: [...this.freeze], bounds: Object.fromEntries(this.bounds), costs: Object.fromEntries(this.costs),
      answers: this.answers, max_changes: this.changes };
  }

  toggle(name) {
    const field = this.form.fields.find((f) => f.name === name);
    if (!this.freeze.delete(name)) {
      this.freeze.add(name);
      this.bounds.delete(name);
    }
    say(t(this.freeze.has(name) ? "frozen_note" : "freed_note", { title: field.title }));
    this.draw();
    this.changed();
  }

  draw() {
    const held = document.activeElement?.id;
    const open = this.box ? this.box.open : false;
    const rows = this.free.map((field, k) => this.row(field, k));
    const made = el("details", { class: "limits", open }, el("summary", {}, t("limits"), this.count()),
      el("p", { class: "quiet" }, t("limits_hint")), this.wishes(),
      el("div", { class: "row" },
        this.number("limit-count", t("limit_count"), this.answers, most.most_answers, (n) => { this.answers = n; }),
        this.number("limit-changes", t("limit_changes"), this.changes, this.form.max_changes, (n) => { this.changes = n; }),
        el("button", { type: "button", id: "limits-reset", onclick: () => { this.reset(); this.draw(); this.changed(); } }, t("limits_reset"))),
      el("ul", { class: "levers" }, rows));
    if (this.box) this.box.replaceWith(made);
    this.box = made;
    if (held) document.getElementById(held)?.focus();
    return made;
  }

  wishes() {
    const said = el("textarea", { id: "wish", rows: "2", maxlength: "2000", autocomplete: "off", oninput: () => { this.wish = said.value; } });
    said.value = this.wish;
    const read = async () => {
      try {
        const found = await post("wish", { model: this.form.key, values: this.values, wish: this.wish });
        if (!found) return;
        this.understood = found;
        say(found.sentences.join(" "));
      } catch (error) {
        this.understood = { sentences: [error.message] };
      }
      this.draw();
    };
    const keep = () => {
      const { freeze, bounds, costs } = this.understood;
      Object.entries(bounds).forEach(([name, ends]) => this.bounds.set(name, ends));
      Object.entries(costs).forEach(([name, cost]) => this.costs.set(name, cost));
      freeze.forEach((name) => { this.freeze.add(name); this.bounds.delete(name); });
      this.understood = null;
      this.draw();
      document.getElementById("wish").focus();
      this.changed();
    };
    return el("form", { class: "wish", onsubmit: (event) => { event.preventDefault(); read(); } },
      el("label", { for: "wish" }, t("wish")), said, el("button", { type: "submit", id: "wish-read" }, t("wish_read")),
      this.understood ? list(this.understood.sentences) : null,
      this.understood?.freeze ? el("button", { type: "button", id: "wish-keep", class: "main", onclick: keep }, t("wish_keep")) : null);
  }

  count() {
    const count = new Set([...this.freeze, ...this.bounds.keys(), ...this.costs.keys()]).size;
    return count ? el("span", { class: "badge" }, String(count)) : null;
  }

  number(id, label, value, highest, set) {
    const input = el("select", { id, onchange: () => { set(Number(input.value)); this.changed(); } },
      Array.from({ length: highest }, (_, k) => el("option", { value: String(k + 1) }, String(k + 1))));
    input.value = String(value);
    return el("div", {}, el("label", { for: id }, label), input);
  }

  row(field, k) {
    const frozen = this.freeze.has(field.name);
    const press = el("button", { type: "button", id: `freeze${k}`, class: "press", "aria-pressed": String(frozen),
      "aria-label": t("freeze_one", { title: field.title }), onclick: () => this.toggle(field.name) }, t("freeze"));
    const hard = el("select", { id: `hard${k}`, "aria-label": t("hard_of", { title: field.title }), disabled: frozen,
      onchange: () => {
        if (hard.value === "1") this.costs.delete(field.name);
        else this.costs.set(field.name, field.cost * Number(hard.value));
        this.changed();
      } }, ["0.5", "1", "3", "10"].map((weight) => el("option", { value: weight }, t(`hard_${weight}`))));
    hard.value = String((this.costs.get(field.name) ?? field.cost) / field.cost);
    return el("li", { class: frozen ? "frozen" : "" },
      el("div", { class: "lever" }, el("span", { class: "name" }, field.title, el("small", {}, ` ${this.standing(field)}`)), press, hard),
      field.kind === "choice" || frozen ? null : this.bound(field, k));
  }

  standing(field) {
    const value = this.values[field.name];
    const now = value === null || value === undefined ? t("unknown") : t("stands", { value });
    return [field.role === "marker" ? t("finding") : "", now].filter(Boolean).join(", ");
  }

  bound(field, k) {
    const [low, high] = this.bounds.get(field.name) || [field.low, field.high];
    const ends = [low, high];
    const told = el("span", { class: "quiet" });
    const track = el("span", { class: "between" });
    const parts = ["bound_low", "bound_high"].map((key, at) => {
      const label = t(key, { title: field.title });
      const slider = el("input", { type: "range", id: `bound${k}-${at}-slider`, min: field.low, max: field.high, step: field.step, "aria-label": label,
        oninput: () => set(at, Number(slider.value)) });
      const entry = el("input", { type: "text", inputmode: "decimal", id: `bound${k}-${at}`, class: "short", autocomplete: "off", "aria-label": label,
        onchange: () => { const n = number(entry.value, field.low, field.high); if (Number.isFinite(n)) set(at, n); else refresh(t("no_number")); } });
      slider.value = String(ends[at]);
      return { slider, entry };
    });
    const refresh = (problem = "") => {
      const width = field.high - field.low;
      place(track, (ends[0] - field.low) / width, (ends[1] - ends[0]) / width);
      parts.forEach(({ slider, entry }, at) => { slider.value = String(ends[at]); entry.value = String(ends[at]); });
      told.textContent = [field.unit, problem].filter(Boolean).join(". ");
      if (problem) say(problem);
    };
    const set = (at, value) => {
      const clipped = Math.min(field.high, Math.max(field.low, value));
      ends[at] = at === 0 ? Math.min(clipped, ends[1]) : Math.max(clipped, ends[0]);
      if (ends[0] <= field.low && ends[1] >= field.high) this.bounds.delete(field.name);
      else this.bounds.set(field.name, [...ends]);
      refresh();
      this.changed();
    };
    refresh();
    return el("div", { class: "bound" }, parts[0].entry, el("div", { class: "double" }, track, parts[0].slider, parts[1].slider), parts[1].entry, told);
  }
}

function bar(change) {
  const { bar: b } = change;
  const [from, to] = [Math.min(b.before, b.after), Math.max(b.before, b.after)];
  return el("div", { class: "change-bar" },
    el("div", { class: "bar", role: "img", "aria-label": t("bar", { before: change.before, after: change.after, range: b.range }) },
      place(el("span", { class: "usual" }), b.low, b.high - b.low), place(el("span", { class: "way" }), from, to - from),
      place(el("span", { class: "before" }), b.before), place(el("span", { class: "after" }), b.after)),
    el("p", { class: "quiet" }, b.range));
}

export function changeRow(change, limits) {
  const free = limits && limits.free.some((field) => field.name === change.feature);
  return el("li", {},
    el("div", { class: "change" }, el("span", { class: "name" }, change.title, change.follows ? el("small", {}, ` (${t("follows")})`) : null),
      el("span", { class: "values" }, el("span", { class: "was" }, el("span", { class: "unseen" }, `${t("from")} `), change.before), " → ",
        el("strong", {}, el("span", { class: "unseen" }, `${t("to")} `), change.after), change.unit ? ` ${change.unit}` : ""),
      change.by ? el("span", { class: "by quiet" }, change.by) : null),
    change.bar ? bar(change) : null,
    free ? el("button", { type: "button", class: "small", "aria-label": t("freeze_one", { title: change.title }),
      onclick: () => limits.toggle(change.feature) }, t("freeze")) : null);
}

function changes(rows, limits) {
  const parts = [];
  let heading = "";
  for (const row of rows) {
    if (row.heading !== heading) {
      heading = row.heading;
      parts.push(el("h4", {}, heading), el("ul", { class: "changes" }));
    }
    parts[parts.length - 1].append(changeRow(row, limits));
  }
  return parts;
}

function card(held, k, limits, tryFrom) {
  const rows = [...held.changes].sort((a, b) => (a.role > b.role) - (a.role < b.role));
  return el("article", { class: "card", "aria-labelledby": `card${k}` },
    el("h3", { id: `card${k}` }, held.title, held.best.map((best) => el("span", { class: "best" }, best))),
    el("p", { class: "number" }, held.risk_text), el("p", {}, `${held.headline}.`), ...changes(rows, limits), list(held.figures, { class: "figures" }),
    el("p", { class: "kept" }, held.kept.length ? t("kept", { names: held.kept.join(", ") }) : t("kept_all")),
    held.frozen.length ? el("p", { class: "kept" }, t("kept_frozen", { names: held.frozen.join(", ") })) : null,
    list(held.given_up, { class: "given-up" }),
    el("button", { type: "button", "aria-label": t("try_this_one", { number: k + 1 }), onclick: () => tryFrom(k) }, t("try_this")));
}

function easing(held) {
  if (!held.lines.length) return held.nothing ? el("p", { class: "outside" }, held.nothing) : "";
  return el("section", { class: "outside", "aria-label": t("outside") }, el("h3", {}, t("outside")), el("p", {}, held.head), list(held.lines));
}

export function drawOptions(answer, limits, tryFrom) {
  const none = answer.status === "already" ? el("p", { class: "lead" }, t("options_none"))
    : answer.cards.length ? "" : el("div", {}, el("p", { class: "lead" }, answer.none || t("options_depends")),
      answer.refusals.length ? el("details", {}, el("summary", {}, t("refusals")), list(answer.refusals.map(([count, why]) => `${count} × ${why}`))) : "",
      answer.advice ? el("p", {}, answer.advice) : "");
  redraw("options", answer.options ? el("p", {}, answer.options) : "", none,
    el("div", { class: "cards" }, answer.cards.map((c, k) => card(c, k, limits, tryFrom))), answer.proof ? el("p", { class: "quiet" }, answer.proof) : "",
    easing(answer.easing), limits.draw());
}
