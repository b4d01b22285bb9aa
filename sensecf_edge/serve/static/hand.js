// Try by hand: any value moved, what follows moved along, the risk computed anew.

import * as api from "./api.js";
import { changeRow } from "./options.js";
import { content, el, later, list, number, say, t } from "./dom.js";
import { gauge, scale } from "./now.js";

export class Hand {
  constructor(form, question) {
    this.form = form;
    this.question = question;
    this.ask = later(150, () => this.compute());
  }

  draw(record, cards) {
    this.record = record;
    this.cards = cards;
    this.values = { ...record };
    this.inputs = new Map();
    this.result = el("div", { class: "result", tabindex: "0", role: "region", "aria-label": t("hand_result") });
    this.from = el("span", { class: "row" });
    content("hand").replaceChildren(el("p", {}, t("hand_hint")),
      el("div", { class: "row" }, el("span", { class: "label" }, t("start_from")), this.from),
      el("div", { class: "hand" }, el("ul", { class: "movers" }, this.form.fields.map((field, k) => this.mover(field, k))), this.result));
    this.offer(cards);
    this.compute(true);
  }

  offer(cards) {
    this.cards = cards;
    this.from.replaceChildren(el("button", { type: "button", onclick: () => this.start(-1) }, t("start_record")),
      ...cards.map((c, k) => el("button", { type: "button", onclick: () => this.start(k) }, t("option", { number: k + 1 }))));
  }

  start(k) {
    this.values = { ...this.record };
    if (k >= 0) for (const change of this.cards[k].changes) this.values[change.feature] = change.raw;
    this.refresh();
    this.compute();
  }

  mover(field, k) {
    const id = `m${k}`;
    const back = el("button", { type: "button", class: "small", hidden: true, onclick: () => { this.set(field, this.record[field.name]); this.refresh(); entry.focus(); } }, t("back"));
    let entry;
    let slider = null;
    if (field.kind === "choice") {
      entry = el("select", { id, onchange: () => this.set(field, entry.value === "" ? null : entry.value.slice(1)) },
        field.optional ? el("option", { value: "" }, t("unknown")) : null, field.choices.map((c) => el("option", { value: `=${c}` }, c)));
    } else {
      entry = el("input", { id, type: "text", inputmode: "decimal", class: "short", autocomplete: "off", readonly: field.follows,
        "aria-describedby": `${id}-error`, onchange: () => this.set(field, entry.value.trim() === "" ? null : entry.value.trim()) });
      slider = el("input", { type: "range", min: field.low, max: field.high, step: field.step, "aria-label": t("hand_slider", { title: field.title }),
        disabled: field.follows, oninput: () => { entry.value = slider.value; this.set(field, slider.value); } });
    }
    if (field.kind === "choice" && field.follows) entry.disabled = true;
    this.inputs.set(field.name, { field, entry, slider, back });
    this.refreshOne(field.name);
    return el("li", {}, el("label", { for: id }, field.title, field.follows ? el("small", {}, ` (${t("hand_follows")})`) : null),
      el("div", { class: "mover" }, slider, entry, field.unit ? el("span", { class: "quiet" }, field.unit) : null, back),
      el("p", { class: "problem", id: `${id}-error`, hidden: true }));
  }

  set(field, value) {
    this.values[field.name] = value;
    this.refreshOne(field.name);
    this.ask();
  }

  refresh(values = this.values) {
    for (const name of this.inputs.keys()) this.refreshOne(name, values);
  }

  refreshOne(name, values = this.values) {
    const { field, entry, slider, back } = this.inputs.get(name);
    const value = values[name] ?? null;
    if (field.kind === "choice") entry.value = value === null ? "" : `=${value}`;
    else if (document.activeElement !== entry || value !== entry.value.trim()) entry.value = value ?? "";
    if (slider && document.activeElement !== slider) slider.value = value === null ? String((field.low + field.high) / 2) : String(number(value, field.low, field.high));
    if (slider) {
      slider.classList.toggle("unset", value === null);
      if (value === null) slider.setAttribute("aria-valuetext", t("unknown"));
      else slider.removeAttribute("aria-valuetext");
    }
    const moved = value !== (this.record[name] ?? null);
    back.hidden = !moved || field.follows;
    back.setAttribute("aria-label", t("back_one", { title: field.title, value: this.record[name] ?? t("unknown") }));
    entry.closest("li")?.classList.toggle("moved", moved);
  }

  async compute(quiet) {
    const moved = {};
    for (const field of this.form.fields) {
      if (!field.follows && this.values[field.name] !== this.record[field.name]) moved[field.name] = this.values[field.name] ?? null;
    }
    for (const { entry } of this.inputs.values()) this.error(entry, "");
    try {
      const answer = await api.post("try", { ...this.question(), values: this.record, moved });
      if (answer) this.told(answer, quiet);
    } catch (error) {
      for (const [name, text] of Object.entries(error.fields || {})) if (this.inputs.has(name)) this.error(this.inputs.get(name).entry, text);
      this.result.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  error(entry, text) {
    const place = document.getElementById(`${entry.id}-error`);
    if (!place) return;
    place.textContent = text;
    place.hidden = !text;
    if (text) entry.setAttribute("aria-invalid", "true");
    else entry.removeAttribute("aria-invalid");
  }

  told(answer, quiet) {
    for (const field of this.form.fields) if (field.follows) this.values[field.name] = answer.values[field.name];
    this.refresh();
    const span = answer.texts.low === answer.texts.high ? "" : el("p", {}, t("risk_range", { low: answer.texts.low, high: answer.texts.high }));
    const rules = answer.rules.length ? [el("h3", {}, t("hand_rules")), list(answer.rules, { class: "rules" })]
      : [el("p", { class: "quiet" }, answer.changes.length ? t("hand_fine") : t("hand_same"))];
    this.result.replaceChildren(el("p", { class: "label" }, t("risk_of", { unwanted: this.form.unwanted })),
      el("p", { class: `number ${answer.status}` }, answer.texts.now), span,
      gauge(answer.risk, answer.texts, { wanted: this.form.wanted, base: this.form.base }), scale(answer.texts, ""),
      el("p", { class: "lead" }, answer.predicted), ...rules, answer.typical ? el("p", {}, answer.typical) : "",
      answer.changes.length ? el("h3", {}, t("hand_moved")) : "",
      el("ul", { class: "changes" }, answer.changes.map((change) => changeRow(change, null))));
    if (!quiet) say(`${t("risk_of", { unwanted: this.form.unwanted })}: ${answer.texts.now}`);
  }
}
