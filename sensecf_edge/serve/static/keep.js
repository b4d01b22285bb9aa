// Keep: on paper, as a file, and what was decided.

import { audit, content, el, say, t } from "./dom.js";

function send(kind, question) {
  const paper = document.getElementById("paper");
  const form = el("form", { method: "post", action: "/keep", target: "paper", hidden: true },
    el("input", { type: "hidden", name: "as", value: kind }), el("input", { type: "hidden", name: "question", value: JSON.stringify(question) }));
  if (kind === "print") {
    paper.addEventListener("load", () => {
      paper.contentWindow.focus();
      paper.contentWindow.print();
    }, { once: true });
  }
  document.body.append(form);
  form.submit();
  form.remove();
}

export class Keep {
  constructor() {
    this.notes = [];
  }

  draw(question, { cards, letter }, note) {
    content("keep").replaceChildren(
      el("div", { class: "row" }, ["print", "save_html", "save_json", "save_fhir"].map((what) => el("button", { type: "button", class: what === "print" ? "main" : "",
        onclick: () => send(what.replace("save_", ""), question) }, t(what)))),
      el("p", { class: "quiet" }, t("keep_hint")),
      el("details", {}, el("summary", {}, t("letter")), el("p", { class: "letter" }, letter)),
      cards.length ? this.decided(cards, note) : el("p", { class: "quiet" }, t("note_nothing")),
      this.notes.length && !cards.length ? this.noted() : "");
  }

  noted() {
    return el("ul", { class: "noted" }, this.notes.map((line) => el("li", {}, line)));
  }

  decided(cards, note) {
    const about = el("select", { id: "note-about" }, el("option", { value: "" }, t("note_all")),
      cards.map((c, k) => el("option", { value: String(k + 1) }, t("option", { number: k + 1 }))));
    const verdict = el("fieldset", { class: "row" }, el("legend", {}, t("note")),
      ["accepted", "refused"].map((v) => el("label", {}, el("input", { type: "radio", name: "verdict", value: v }), t(`note_${v}`))));
    const reason = el("textarea", { id: "note-reason", rows: "2", maxlength: "500", autocomplete: "off" });
    const problem = el("p", { class: "problem", role: "alert", hidden: true });
    const lines = this.noted();
    const add = async () => {
      const chosen = verdict.querySelector("input:checked");
      problem.hidden = Boolean(chosen);
      if (!chosen) {
        problem.textContent = t("note_choose");
        verdict.querySelector("input").focus();
        return;
      }
      const words = { time: new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }), verdict: t(`note_${chosen.value}`),
        about: about.value ? t("option", { number: about.value }) : t("note_all"), reason: reason.value.trim() };
      try {
        const logged = await note({ option: about.value ? Number(about.value) : null, accepted: chosen.value === "accepted", reason: words.reason });
        const line = t("note_line", words).trim();
        this.notes.push(line);
        lines.append(el("li", {}, line));
        reason.value = "";
        say(t(logged ? "note_logged" : "noted"));
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
    };
    return el("form", { class: "note", novalidate: true, onsubmit: (event) => { event.preventDefault(); add(); } }, verdict,
      el("div", {}, el("label", { for: "note-about" }, t("note_option")), about), el("div", {}, el("label", { for: "note-reason" }, t("note_reason")), reason), problem,
      el("button", { type: "submit" }, t("note_add")), el("p", { class: "quiet" }, t(audit ? "note_hint_logged" : "note_hint")), lines);
  }
}
