// Steps: F1 … FL, L, BL … B1, U by ← and →, by a slider in the side, and by the address.
//
// #step=B3&el=8,3,5&q=…&n=ng&lang=zh: el is an entry of the step's quantity, without a sample that in
// focus; q another quantity; lang the language.  Formulas are written in one notation: for another, n says
// how to get such a page.
"use strict";
((page) => {
  const { make, say, words, document: report } = page;
  const FORMER = { seed000: "tutorial" }; // names of notations
  const NOTATIONS = ["tutorial", "ufldl", "ng", "matrix", "nielsen"];
  const own = document.documentElement.dataset;
  const rank = ({ dataset: { step } }) => {
    const number = Number(step.slice(1));
    return { F: number, L: 1e6, B: 2e6 - number, U: 3e6 }[step[0]] ?? 4e6;
  };
  const steps = [...document.querySelectorAll("article.card[data-step]")].sort((a, b) => rank(a) - rank(b));
  const links = new Map(
    [...document.querySelectorAll("nav a[data-step]")].map((link) => [link.dataset.step, link]),
  );
  let at = -1;
  let asked = {}; // what the address says of notation, kept in it

  // -- the bar in the side ---------------------------------------------------------------------------------
  const button = (sign, by, en, zh) =>
    make(
      "button",
      { type: "button", "aria-label": words(en, zh), title: words(en, zh), click: () => go(at + by) },
      sign,
    );
  const slider = make("input", {
    type: "range",
    min: 0,
    max: Math.max(steps.length - 1, 0),
    value: 0,
    "aria-label": words("step", "步骤"),
    input: () => go(Number(slider.value)),
  });
  const name = make("output", { class: "name" }, say(`${steps.length} steps`, `共 ${steps.length} 步`));
  const bar = make(
    "div",
    { class: "stepper", role: "group", "aria-label": words("Steps", "步骤") },
    button("←", -1, "step before", "上一步"),
    slider,
    button("→", 1, "next step", "下一步"),
    name,
  );
  const side = document.querySelector("nav.side");
  if (steps.length) side?.insertBefore(bar, side.querySelector("ol"));

  // -- where we are ----------------------------------------------------------------------------------------
  /** The quantity that a step computes. */
  function quantityOf({ dataset: { step, layer } }) {
    if (step[0] === "F") return layer;
    if (step[0] === "B") return `delta:${page.graph.inputs.get(layer)}`;
    if (step === "L") return `delta:${page.graph.output}`;
    return Object.keys(report.tensors).find((id) => id.startsWith("gradient:")) ?? null;
  }

  function show(number, current) {
    const card = steps[number];
    if (!card) return;
    card.classList.toggle("current", current);
    const link = links.get(card.dataset.step);
    if (current) link?.setAttribute("aria-current", "step");
    else link?.removeAttribute("aria-current");
    const { layer } = card.dataset;
    if (layer)
      for (const node of document.querySelectorAll(`.node[data-layer="${CSS.escape(layer)}"]`))
        node.classList.toggle("current", current);
    for (const figure of card.querySelectorAll("figure[data-quantity]"))
      figure.classList.toggle("current", current && figure.dataset.quantity === quantityOf(card));
  }

  function mark(number) {
    show(at, false);
    at = number;
    show(at, true);
    const { step, layer } = steps[at].dataset;
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${step} ${layer ?? ""}`);
    name.replaceChildren(make("b", {}, step), ` ${layer ?? ""}`);
    const link = links.get(step);
    if (link && side.scrollWidth > side.clientWidth) side.scrollLeft = link.offsetLeft - side.clientWidth / 2;
  }

  function go(number) {
    if (number < 0 || number >= steps.length) return;
    mark(number);
    steps[at].scrollIntoView({ block: "start" });
    write();
  }

  // -- the address -----------------------------------------------------------------------------------------
  const language = () => document.querySelector('input[name="language"]:checked')?.value ?? own.language;
  const unusual = () => (language() === "both" || language() === own.language ? null : language());

  function write() {
    const parts = [];
    if (at >= 0) parts.push(["step", steps[at].dataset.step]);
    const { selected } = page;
    if (selected?.index && at >= 0) {
      parts.push(["el", selected.index.join(",")]);
      if (selected.quantity !== quantityOf(steps[at])) parts.push(["q", selected.quantity]);
    }
    parts.push(["n", asked.n], ["lang", unusual()]);
    const text = parts
      .filter(([, value]) => value)
      .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
    const plain = text.join("&").replaceAll("%2C", ",").replaceAll("%3A", ":");
    // A notebook's frame has no address of its own.
    if (location.protocol !== "about:" && text.length) history.replaceState(null, "", `#${plain}`);
  }

  const notice = make("p", { class: "notice", role: "status", hidden: true });
  document.querySelector("header.top")?.append(notice);

  /** What the address asks for and this page does not have. */
  function missing({ n, lang }) {
    const found = [];
    const write = (argument, value) => make("code", {}, `report.html("report.html", ${argument}="${value}")`);
    if (n && n !== own.notation) {
      found.push(
        NOTATIONS.includes(n)
          ? [
              say(
                `This page is written in the notation ${own.notation}; one in ${n} is written by`,
                `本页使用记号 ${own.notation}；用 ${n} 的页面这样生成：`,
              ),
              " ",
              write("notation", n),
            ]
          : [
              say(
                `There is no notation ${n}; there are ${NOTATIONS.join(", ")}.`,
                `没有记号 ${n}；可用的有 ${NOTATIONS.join("、")}。`,
              ),
            ],
      );
    }
    if (lang && lang !== own.language && !own.language.includes("+")) {
      found.push([
        say(
          `This page has one language; one with both is written by`,
          `本页只有一种语言；双语页面这样生成：`,
        ),
        " ",
        write("language", "en+zh"),
      ]);
    }
    return found.map((parts) => make("span", {}, parts, " "));
  }

  /** The index with the sample in focus where it was left out; null where it is none of the tensor. */
  function indexOf(quantity, text) {
    const shape = report.tensors[quantity]?.shape;
    const given = text.split(",").map(Number);
    if (!shape) return null;
    const index = given.length === shape.length - 1 ? [...given, report.meta.sample] : given;
    return index.length === shape.length &&
      index.every((i, axis) => Number.isInteger(i) && i >= 0 && i < shape[axis])
      ? index
      : null;
  }

  function follow() {
    const hash = Object.fromEntries(new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")));
    hash.n = FORMER[hash.n] ?? hash.n;
    asked = { n: hash.n };
    const said = missing(hash);
    notice.replaceChildren(...said);
    notice.hidden = !said.length;
    const wanted = { "en+zh": "both", "zh+en": "both" }[hash.lang] ?? hash.lang;
    const radio = document.querySelector(`input[name="language"][value="${CSS.escape(wanted ?? "")}"]`);
    if (radio) radio.checked = true;
    const number = steps.findIndex((one) => one.dataset.step === hash.step || `#${one.id}` === location.hash);
    if (number < 0) return;
    mark(number);
    if (hash.step) steps[number].scrollIntoView({ block: "start", behavior: "instant" });
    const quantity = hash.q ?? quantityOf(steps[number]);
    const index = hash.el ? indexOf(quantity, hash.el) : null;
    if (!index) return;
    page.explain({ quantity, index }, true);
    page.select(quantity, index);
    const worked = steps[number].querySelector(
      `.worked[data-quantity="${CSS.escape(quantity)}"][data-index="${index}"]`,
    );
    worked?.scrollIntoView({ block: "center", behavior: "instant" });
  }

  function showWorked(selected) {
    for (const one of document.querySelectorAll(".worked.current")) one.classList.remove("current");
    if (!selected?.index) return;
    const found = `.worked[data-quantity="${CSS.escape(selected.quantity)}"][data-index="${selected.index}"]`;
    for (const one of document.querySelectorAll(found)) one.classList.add("current");
  }

  page.onSelect((selected) => {
    showWorked(selected);
    write();
  });
  document.addEventListener("change", ({ target }) => target.matches('input[name="language"]') && write());
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
    if (typing || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey)
      return;
    if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft") go(at - 1);
  });
  addEventListener("hashchange", follow);
  page.ready(follow);
  page.steps = {
    go: (step) => go(steps.findIndex((one) => one.dataset.step === step)),
    order: steps.map((one) => one.dataset.step),
  };
})(chainrule.page);
