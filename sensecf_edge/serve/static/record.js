// The record: a form made of the model's schema, filled by hand, from an example or from a file.

import { content, el, list, number, say, t } from "./dom.js";
import * as api from "./api.js";

export class Fields {
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    this.inputs = new Map();
    this.base = null;
  }

  draw(ask) {
    const grid = el("div", { class: "fields" }, this.form.fields.map((field, k) => this.field(field, k)));
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    const whole = el("form", { novalidate: true, autocomplete: "off", onsubmit: (event) => { event.preventDefault(); ask(); } },
      this.sources(), grid, this.rate(), this.problem,
      el("div", { class: "row" }, el("button", { class: "main", type: "submit" }, t("ask")),
        el("button", { type: "button", onclick: () => { this.fill({}); this.inputs.values().next().value.focus(); } }, t("clear"))));
    content("record").replaceChildren(this.about(), whole);
  }

  about() {
    const facts = this.form.facts.flatMap(([heading, text]) => [el("dt", {}, heading), el("dd", {}, text)]);
    return el("div", {}, this.form.weak ? el("p", { class: "warning" }, this.form.weak) : null,
      el("details", {}, el("summary", {}, t("about")), el("dl", { class: "facts" }, facts)));
  }

  sources() {
    const { samples } = this.form;
    const choose = el("select", { id: "sample", onchange: () => choose.value !== "" && this.fill(samples[Number(choose.value)].values) },
      el("option", { value: "" }, t("sample_none")), samples.map((s, k) => el("option", { value: String(k) }, t("sample_option", { number: k + 1 }))));
    const file = el("input", { id: "file", type: "file", multiple: true, "aria-describedby": "file-hint",
      onchange: () => { this.read([...file.files]); file.value = ""; } });
    this.told = el("div", { class: "told" });
    return el("div", { class: "sources" },
      samples.length ? el("div", {}, el("label", { for: "sample" }, t("sample")), choose) : null,
      el("div", {}, el("label", { for: "file" }, t("file")), file, el("p", { id: "file-hint", class: "quiet" }, t("file_hint"))), this.told);
  }

  async read(files) {
    if (!files.length) return;
    const name = files.map((file) => file.name).join(", ");
    try {
      const answer = await api.read(this.form.key, files);
      if (answer) this.rows(name, answer.rows);
    } catch (error) {
      this.told.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  rows(name, rows) {
    const days = rows[0].day ? t("file_days", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone }) : "";
    const unused = rows[0].day ? days : rows[0].unused.length ? t("file_unused", { names: rows[0].unused.join(", ") }) : "";
    this.fill(rows[0].values);
    if (rows.length === 1) {
      this.told.replaceChildren(el("p", {}, t("file_read", { name }), " ", unused), list(rows[0].told || []) || "");
    } else {
      const pick = el("select", { id: "row", onchange: () => this.fill(rows[Number(pick.value)].values) },
        rows.map((row, k) => el("option", { value: String(k) }, row.label)));
      this.told.replaceChildren(el("p", {}, t("file_rows", { name, count: rows.length }), " ", unused),
        el("label", { for: "row" }, t("file_row")), pick);
    }
    say(t("file_read", { name }));
  }

  field(field, k) {
    const id = `f${k}`;
    const describe = `${id}-hint ${id}-error`;
    const changed = () => { this.mark(field.name, ""); this.changed(); };
    let input;
    let extra = null;
    if (field.kind === "choice") {
      input = el("select", { id, "aria-describedby": describe, "aria-required": String(!field.optional), onchange: changed },
        el("option", { value: "" }, field.optional ? t("unknown") : t("choose")), field.choices.map((c) => el("option", { value: `=${c}` }, c)));
    } else {
      input = el("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", maxlength: "40",
        "aria-describedby": describe, "aria-required": String(!field.optional), oninput: changed });
      if (field.optional) {
        const box = el("input", { type: "checkbox", id: `${id}-unknown`, checked: true,
          onchange: () => { if (box.checked) input.value = ""; else input.focus(); changed(); } });
        input.addEventListener("input", () => { box.checked = input.value.trim() === ""; });
        input.unknown = box;
        extra = el("label", { class: "unknown", for: `${id}-unknown` }, box, t("unknown"),
          el("span", { class: "unseen" }, `: ${field.title}`));
      }
    }
    this.inputs.set(field.name, input);
    const hint = field.kind === "choice" ? "" : t("allowed", { allowed: field.allowed });
    return el("div", { class: "field" },
      el("label", { for: id }, field.title, field.optional ? null : el("span", { class: "needed" }, ` (${t("required")})`)),
      el("div", { class: "entry" }, input, extra),
      el("p", { class: "quiet", id: `${id}-hint` }, hint), el("p", { class: "problem", id: `${id}-error`, hidden: true }));
  }

  rate() {
    this.base = el("input", { id: "base", type: "text", inputmode: "decimal", autocomplete: "off", "aria-describedby": "base-hint base-error",
      oninput: () => { this.markInput(this.base, ""); this.changed(); } });
    return el("div", { class: "field wide" }, el("label", { for: "base" }, t("base_rate", { unwanted: this.form.unwanted })),
      el("div", { class: "entry" }, this.base), el("p", { class: "quiet", id: "base-hint" }, t("base_rate_hint", { base: this.form.base })),
      el("p", { class: "problem", id: "base-error", hidden: true }));
  }

  fill(values) {
    for (const [name, input] of this.inputs) {
      const value = values[name] ?? null;
      if (input.tagName === "SELECT") {
        const there = [...input.options].some((option) => option.value === `=${value}`);
        if (value !== null && !there) input.append(el("option", { value: `=${value}` }, value));
        input.value = value === null ? "" : `=${value}`;
      } else {
        input.value = value ?? "";
        if (input.unknown) input.unknown.checked = value === null;
      }
      this.mark(name, "");
    }
    this.changed();
  }

  values() {
    const out = {};
    for (const [name, input] of this.inputs) {
      const text = input.tagName === "SELECT" ? input.value.slice(1) : input.value.trim();
      out[name] = input.value.trim() === "" ? null : text;
    }
    return out;
  }

  share() {
    const text = this.base.value.trim().replace(/%$/, "").trim();
    this.markInput(this.base, "");
    if (text === "") return null;
    const share = number(text, 0, 100) / 100;
    if (!(share > 0 && share < 1)) {
      this.markInput(this.base, t("base_rate_bad"));
      this.base.focus();
      return undefined;
    }
    return share;
  }

  mark(name, text) {
    const input = this.inputs.get(name);
    if (input) this.markInput(input, text);
  }

  markInput(input, text) {
    const error = document.getElementById(`${input.id}-error`);
    if (!error) return;
    error.textContent = text;
    error.hidden = !text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  refuse(error) {
    for (const name of this.inputs.keys()) this.mark(name, error.fields[name] || "");
    const unplaced = Object.entries(error.fields).filter(([name]) => !this.inputs.has(name)).map(([, text]) => text);
    this.problem.replaceChildren(error.message, list(unplaced) || "");
    this.problem.hidden = false;
    const first = [...this.inputs].find(([name]) => error.fields[name]);
    if (first) first[1].focus();
  }

  accept() {
    this.problem.hidden = true;
  }
}
