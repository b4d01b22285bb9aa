// Questions to the program. A new question of one kind ends the one before it.

import { t } from "./dom.js";

const running = new Map();

export class Refused extends Error {
  constructor(answer) {
    super(answer.error);
    this.fields = answer.fields || {};
  }
}

async function ask(kind, address, how) {
  running.get(kind)?.abort();
  const control = new AbortController();
  running.set(kind, control);
  let response;
  try {
    response = await fetch(address, { ...how, signal: control.signal, redirect: "error", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw new Refused({ error: t("lost") });
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw new Refused({ error: response.status === 403 ? t("closed") : t("lost") });
  }
  if (running.get(kind) !== control) return null;
  if (!response.ok) throw new Refused(answer);
  return answer;
}

export const form = (key) => ask("model", `/api/model?key=${encodeURIComponent(key)}`, {});

export const post = (what, question) =>
  ask(what, `/api/${what}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(question) });

export function read(model, files) {
  const sent = new FormData();
  sent.append("model", model);
  sent.append("zone", Intl.DateTimeFormat().resolvedOptions().timeZone || "");
  for (const file of files) sent.append("file", file, file.name);
  return ask("read", "/api/read", { method: "POST", body: sent });
}
