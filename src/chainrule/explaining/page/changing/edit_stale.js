// What is printed and not recomputed says so: after a change it is marked as the numbers before the change.
//
// A worked entry is compared number by number with what its letters stand for now, and gets its new result
// beside it.  Texts and tables with numbers of the batch are marked as they are, and sections that are measurements
// of the network as it was (check, flow, verdict) as a whole.
"use strict";
((page) => {
  const { edit, make, number, say, document: report } = page;
  const at = chainrule.arrays;
  const WHOLE = "#verdict, #network, #check, #flow"; // sections; and what is never marked:
  const NEVER =
    "#dock, #reproduce, #notation, #conventions, #errata, #references, #algorithm, .formula, .worked, figure";
  const NUMBERS = /\d[.]\d\d|\de−?\d/; // not 3.1, which is a section of a text
  const differ = (a, b) => !(Object.is(a, b) || Math.abs(a - b) <= 1e-9 * (Math.abs(a) + Math.abs(b)) + 1e-15);

  const chip = (...text) => make("span", { class: "chip" }, text);
  const past = () => say("before the change", "改动之前的数");

  /** Mark an element, with what is said; or take the mark away. */
  function mark(element, stale, note) {
    const own = element.querySelector(":scope > .chip, :scope > h2 > .chip");
    own?.remove();
    element.classList.toggle("stale", stale);
    if (!element.classList.length) element.removeAttribute("class");
    if (!stale) return;
    const text = note ?? chip(past());
    const head = element.querySelector(":scope > h2");
    if (head) head.append(text);
    else if (element.localName === "p") element.append(text);
    else element.prepend(text);
  }

  // -- entries that are worked out -------------------------------------------------------------------------
  const parts = new Map(); // "card step, quantity, index" -> {element, tensors}
  for (const card of report.cards) {
    for (const part of [...(card.forward ?? []), ...(card.backward ?? [])]) {
      for (const one of part.worked ?? []) {
        const key = [card.layer, part.quantity, one.index].join();
        parts.set(key, { element: one.element, tensors: card.tensors ?? {} });
      }
    }
  }

  /** The number an entry of a symbol is now; undefined where the page cannot say. */
  function present(id, index = []) {
    const tensor = id && page.tensor(id);
    if (!tensor || tensor.shape.length !== index.length) return undefined;
    return tensor.data[at.flat(tensor.shape, index)];
  }

  /** The same, or of "data gradient:…" the gradient without the penalty's share. */
  function current(quantity, index) {
    if (!quantity?.startsWith("data ")) return present(quantity, index);
    const value = present(quantity.slice("data ".length), index);
    const id = quantity.replace(/^data gradient:/, "");
    return value === undefined || !report.penalty?.on.includes(id)
      ? value
      : value - edit.penaltyOf(page.tensor(id), "gradient", id).data[at.flat(report.tensors[id].shape, index)];
  }

  function holds(element, tensors) {
    if (element.kind === "entry" && element.name === chainrule.ONES) return true;
    if (element.kind === "entry" && element.symbol) {
      const [name] = element.symbol;
      const constant = name in tensors ? undefined : report.penalty?.constants[name];
      const value = constant ?? current(tensors[name], element.index);
      return value !== undefined && !differ(value, Number(element.value));
    }
    if (element.kind === "entry") return null; // a named intermediate: the result tells
    return (element.of ?? []).every((part) => holds(part, tensors) !== false);
  }

  function showWorked(block) {
    const { quantity, index } = block.dataset;
    const layer = block.closest("article")?.dataset.layer;
    const found = parts.get([layer, quantity, index].join());
    const place = index ? index.split(",").map(Number) : [];
    const after = quantity ? current(quantity, place) : undefined;
    const result = found && Number(found.element.value);
    const same = found && after !== undefined && !differ(after, result) && holds(found.element, found.tensors);
    const now = after !== undefined && found ? [" · ", say("now", "现在"), make("b", {}, ` ${number(after)}`)] : [];
    mark(block, !same, chip(past(), now));
  }

  // -- texts and tables ------------------------------------------------------------------------------------
  /** Paragraphs, tables and figures with numbers of this batch, outside the sections marked as a whole. */
  function printed() {
    const candidates = document.querySelectorAll("main :is(p, .scroll:has(> table), figure:not(.panel), .finding)");
    return [...candidates].filter((one) => {
      if (one.closest(WHOLE)) return false;
      if (one.localName === "figure") return !live(one);
      if (one.matches("#card-U > header .line")) return edit.moved("eta");
      return !one.closest(NEVER) && NUMBERS.test(one.textContent);
    });
  }

  const shown = new Map(page.figures.map((one) => [one.figure, one]));

  /** Whether a figure follows the changes. */
  function live(figure) {
    const record = shown.get(figure);
    if (!record) return false;
    const drawn = !figure.matches(".chart") || record.picture.entries !== undefined;
    return drawn && page.tensor(record.quantity) !== null;
  }

  /** Signs on a map (winners, ties) that belong to the numbers before. */
  function showMarks({ figure, quantity }) {
    const marks = figure.querySelector('.marks use[href="#mark-winner"], .marks use[href="#mark-tie"]');
    if (!marks) return;
    const now = page.tensor(quantity);
    const old = edit.start().outputs[quantity] ?? chainrule.decode(report)[quantity];
    const moved = now.data.some((value, i) => differ(value, old.data[i]));
    if (figure.matches(".stale") === moved) return;
    mark(figure, moved, chip(say("signs: before the change", "记号：改动之前")));
  }

  let marked = ""; // what of the report is: "", "step" (another η alone changes nothing but it), "all"

  page.onChange(() => {
    const scope = !edit.count() ? "" : Object.keys(page.changes()).length ? "all" : "step";
    const concerned = (block) => scope === "all" || block.closest("#update") !== null;
    if (scope !== marked) {
      document.querySelectorAll("main .stale").forEach((block) => mark(block, false));
      const blocks = scope === "all" ? [...document.querySelectorAll(WHOLE), ...printed()] : printed();
      if (scope) blocks.filter(concerned).forEach((block) => mark(block, true));
    }
    marked = scope;
    if (!scope) return;
    for (const block of [...document.querySelectorAll(".worked")].filter(concerned)) showWorked(block);
    for (const one of page.figures) if (live(one.figure)) showMarks(one);
  });
})(chainrule.page);
