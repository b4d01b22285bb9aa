// Elements made by hand: texts are only ever texts, so nothing that a record or a model says can become markup.

const start = JSON.parse(document.getElementById("start").textContent);
export const { limits, audit } = start;

export function t(key, values = {}) {
  let text = start.texts[key];
  for (const [name, value] of Object.entries(values)) text = text.split(`{${name}}`).join(String(value));
  return text;
}

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A number as people type it, with a decimal point or comma. 7,080 may be thousands: nobody guesses where both can be.
export function number(text, low = -Infinity, high = Infinity) {
  const plain = text.trim();
  const [point, none] = ["$1.$2", "$1$2"].map((mark) => Number(plain.replace(/^([+-]?\d*),(\d+)$/, mark)));
  if (!plain || !/^[+-]?[1-9]\d{0,2},\d{3}$/.test(plain)) return plain ? point : NaN;
  const may = [point, none].filter((one) => one >= low && one <= high);
  return may.length === 1 ? may[0] : NaN;
}

export function place(node, left, width) {
  node.style.left = `${100 * left}%`;
  if (width !== undefined) node.style.width = `${100 * width}%`;
  return node;
}

export function content(stage) {
  return document.querySelector(`#${stage} .content`);
}

// New content of a stage. Who was in it stays where they were, or at its heading where that is gone: never lost to the keyboard.
export function redraw(stage, ...children) {
  const box = content(stage);
  const held = document.activeElement;
  const inside = box.contains(held);
  box.replaceChildren(...children);
  if (inside) (document.getElementById(held.id) ?? document.getElementById(`${stage}-title`)).focus({ preventScroll: true });
}

export function show(stage, yes) {
  document.getElementById(stage).hidden = !yes;
  const link = document.querySelector(`nav [data-stage="${stage}"]`);
  if (yes) link.removeAttribute("aria-disabled");
  else link.setAttribute("aria-disabled", "true");
}

export function say(text) {
  document.getElementById("said").textContent = text;
}

export function list(items, properties = {}) {
  return items.length ? el("ul", properties, items.map((item) => el("li", {}, item))) : null;
}

export function later(milliseconds, work) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
