// What the model says of the record as it is.

import { content, el, list, place, t } from "./dom.js";

export function gauge(risk, texts, names) {
  const range = risk.high - risk.low > 1e-9;
  const spoken = t("gauge", { now: texts.now, wanted: names.wanted, threshold: texts.threshold, base: names.base });
  return el("div", { class: "gauge", role: "img", "aria-label": spoken },
    place(el("span", { class: "good" }), 0, risk.threshold),
    range ? place(el("span", { class: "range" }), risk.low, risk.high - risk.low) : null,
    place(el("span", { class: "line" }), risk.threshold),
    risk.base_rate === undefined ? null : place(el("span", { class: "base" }), risk.base_rate),
    place(el("span", { class: `mark ${risk.now <= risk.threshold ? "in" : "out"}` }), risk.now));
}

export function scale(texts, base) {
  return el("p", { class: "scale quiet" }, el("span", {}, "0 %"),
    el("span", { class: "key line-key" }, t("gauge_line", { threshold: texts.threshold })),
    base ? el("span", { class: "key base-key" }, base) : null, el("span", {}, "100 %"));
}

function basis(held) {
  const { why } = held;
  const parts = why ? why.parts.map((part) => el("li", {}, el("span", {}, part.text),
    el("span", { class: "adds", "aria-hidden": "true" }, place(el("span", { class: part.share > 0 ? "up" : "down" }),
      part.share > 0 ? 0.5 : 0.5 + part.share / 2, Math.abs(part.share) / 2)), el("strong", {}, part.adds))) : [];
  const first = parts.slice(0, 6);
  const rest = parts.slice(6);
  return el("div", { class: "basis" }, el("h3", {}, t("basis")),
    why ? el("div", {}, el("p", {}, why.start), el("ul", { class: "why" }, first),
      rest.length ? el("details", {}, el("summary", {}, t("basis_more", { count: rest.length })), el("ul", { class: "why" }, rest)) : null,
      el("p", { class: "quiet" }, why.error)) : null,
    el("p", {}, held.likeness), ...(held.groups.length ? held.groups : [t("basis_no_groups")]).map((line) => el("p", { class: "quiet" }, line)),
    held.next.length ? el("div", {}, el("h3", {}, t("basis_next")), list(held.next)) : null);
}

export function drawNow(answer, form) {
  const { now } = answer;
  const base = now.base;
  const names = { wanted: form.wanted, base };
  const range = now.texts.low === now.texts.high ? null : el("p", { class: "span" }, t("risk_range", { low: now.texts.low, high: now.texts.high }));
  const [first, ...others] = now.lines;
  content("now").replaceChildren(
    el("div", { class: "big" }, el("p", { class: "label" }, t("risk_of", { unwanted: now.unwanted })),
      el("p", { class: "number" }, now.texts.now), range),
    gauge(now.risk, now.texts, names), scale(now.texts, base),
    el("p", { class: "lead" }, first), ...others.map((line) => el("p", {}, line)),
    now.deciding ? el("p", { class: "warning" }, now.deciding) : "",
    now.notes.length ? el("div", { class: "notes" }, el("h3", {}, t("what_weakens")), list(now.notes)) : "",
    basis(answer.basis),
    el("p", { class: "quiet" }, answer.disclaimer));
}
