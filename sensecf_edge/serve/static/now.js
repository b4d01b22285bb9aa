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
    ...(now.more || []).map((part) => el("div", { class: "basis" }, el("h3", {}, part.title), list(part.lines))),
    el("p", { class: "quiet" }, answer.disclaimer));
}
