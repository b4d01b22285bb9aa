// The page's flow: a model, a record, an answer; a changed record takes its answer away.

import * as api from "./api.js";
import { audit, content, el, redraw, say, show, t } from "./dom.js";
import { Fields } from "./record.js";
import { Limits, drawOptions } from "./options.js";
import { Hand } from "./hand.js";
import { Keep } from "./keep.js";
import { drawNow } from "./now.js";

const STAGES = ["now", "options", "hand", "keep"];
const chooser = document.getElementById("model");
let held = null;

function away(told) {
  STAGES.forEach((stage) => show(stage, false));
  if (held?.answer && told) {
    say(t("changed"));
    held.fields.problem.textContent = t("changed");
    held.fields.problem.hidden = false;
  }
  if (held) {
    held.answer = null;
    held.version += 1;
  }
}

function question() {
  return { model: held.form.key, base_rate: held.share, ...held.limits.question() };
}

async function ask(first) {
  const share = first ? held.fields.share() : held.share;
  if (share === undefined) return;
  const { fields, version } = held;
  held.share = share;
  const values = first ? fields.values() : held.values;
  const whole = { ...question(), values };
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await api.post("explain", whole);
    if (!answer || held.fields !== fields || held.version !== version) return;
    fields.accept();
    Object.assign(held, { answer, values, whole });
    drawAnswer(first);
  } catch (error) {
    if (held.fields !== fields || held.version !== version) return;
    if (first || Object.keys(error.fields || {}).length) {
      away(false);
      fields.refuse(error);
    } else {
      refuseLimits(error);
    }
  } finally {
    document.body.removeAttribute("aria-busy");
  }
}

function drawAnswer(first) {
  const { answer, form, limits } = held;
  const tryFrom = (k) => {
    held.hand.start(k);
    document.getElementById("hand-title").focus();
    document.getElementById("hand").scrollIntoView();
  };
  limits.values = held.values;
  drawNow(answer, form);
  drawOptions(answer, limits, tryFrom);
  if (first) held.hand.draw(held.values, answer.cards);
  else held.hand.offer(answer.cards);
  held.keep.draw(held.whole, answer, note);
  STAGES.forEach((stage) => show(stage, true));
  const best = answer.cards[0];
  say(best ? t("new_options", { count: answer.cards.length, risk: best.risk_text }) : answer.status === "already" ? t("options_none") : t("no_options"));
  if (first) document.getElementById("now-title").focus();
}

function refuseLimits(error) {
  const { cards } = held.answer;
  cards.length = 0;
  show("keep", false);
  redraw("options", el("p", { class: "problem", role: "alert" }, error.message), held.limits.box);
}

async function note(what) {
  if (!audit) return false;
  return Boolean(await api.post("note", { ...what, entry: held.answer.entry }));
}

async function open(key) {
  away(false);
  content("record").replaceChildren(el("p", {}, t("loading")));
  try {
    const form = await api.form(key);
    if (!form) return;
    held = { form, values: null, answer: null, share: null, version: 0 };
    held.fields = new Fields(form, () => away(true));
    held.limits = new Limits(form, () => ask(false));
    held.hand = new Hand(form, question);
    held.keep = new Keep();
    held.fields.draw(() => ask(true));
  } catch (error) {
    content("record").replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
  }
}

history.replaceState(null, "", "/" + location.hash);
chooser.addEventListener("change", () => open(chooser.value));
document.querySelector("nav").addEventListener("click", (event) => {
  const stage = event.target.dataset?.stage;
  if (!stage) return;
  event.preventDefault();
  if (event.target.getAttribute("aria-disabled")) return;
  document.getElementById(stage).scrollIntoView();
  document.getElementById(`${stage}-title`).focus({ preventScroll: true });
});
STAGES.forEach((stage) => show(stage, false));
open(chooser.value);
