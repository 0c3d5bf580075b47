// "Change something": which number, its value by typing or dragging, and what became of J and of the entry chosen.
//
//   page.chosen()          {id, index}: the entry that is changed or nudged
//   pick(where)            puts its choice into an element
//   entryOf(found, id, index), entryTitle(id, index), frozenText(), takesIds
"use strict";
((page) => {
  const { dock, edit, make, number, draw, say, words, document: report } = page;
  const at = chainrule.arrays;
  const MOST = 64; // rows or columns of the little map
  const first = edit.ids.find((id) => id !== "y" && id !== "input") ?? "input";
  const chosen = { id: first, index: null };
  let other = null; // an entry that is selected and computed: shown, not changed

  const shapeOf = (id) => report.tensors[id].shape;
  const takesIds = chainrule.layersOf(report.graph.layers)[0]?.class === "Embedding"; // an input of whole numbers
  const title = (id, index) => `${id}[${page.printed(id, index).join(", ")}]`;

  // -- the entry -------------------------------------------------------------------------------------------
  const NAMES = { input: words("input x", "输入 x"), y: words("target y", "目标 y") }; // samples last
  const picker = make("select", { "aria-label": words("array", "数组"), change: () => choose(picker.value) },
    edit.ids.map((id) => make("option", { value: id }, NAMES[id] ?? id)));
  const fields = make("span", { class: "fields" });

  /** What the axes of an array are called. */
  function axesOf(id) {
    const count = shapeOf(id).length;
    if (!NAMES[id]) return [["k"], ["i", "j"], ["k", "m", "c"], ["k", "m", "n", "c"], ["k", "r", "m", "n", "c"]][count - 1] ?? [];
    const inner = { 1: ["i"], 2: ["t", "i"], 3: ["u", "v", "c"], 4: ["t", "u", "v", "c"] }[count - 1] ?? [];
    return [...inner, say("sample", "样本")];
  }

  /** Where J answers most: the entry with the largest derivative, of the sample in focus; of a target its label. */
  function liveliest(id) {
    const found = edit.start();
    const of = id === "y" ? chainrule.decode(report).y : id === "input" ? found.deltas.input : found.gradients[id];
    if (!of) return shapeOf(id).map(() => 0);
    let best = NAMES[id] ? report.meta.sample : 0;
    const step = NAMES[id] ? shapeOf(id).at(-1) : 1;
    for (let i = best; i < of.data.length; i += step) if (Math.abs(of.data[i]) > Math.abs(of.data[best])) best = i;
    return at.unflat(of.shape, best);
  }

  function choose(id, index = liveliest(id)) {
    other = null;
    Object.assign(chosen, { id, index });
    page.select(id, index);
  }

  function drawFields() {
    if (fields.dataset.of === chosen.id) {
      [...fields.querySelectorAll("input")].forEach((input, axis) => {
        if (input !== document.activeElement) input.value = page.printed(chosen.id, chosen.index)[axis];
      });
      return;
    }
    fields.dataset.of = chosen.id;
    const names = axesOf(chosen.id);
    const first = page.printed(chosen.id, chosen.index.map(() => 0));
    fields.replaceChildren(...shapeOf(chosen.id).map((size, axis) => make("label", {}, names[axis] ?? axis,
      make("input", {
        type: "number", min: first[axis], max: first[axis] + size - 1, value: first[axis] + chosen.index[axis],
        disabled: size === 1,
        input: ({ target }) => {
          const value = Number(target.value) - first[axis];
          if (!Number.isInteger(value) || value < 0 || value >= size || target.value === "") return;
          choose(chosen.id, chosen.index.map((old, n) => (n === axis ? value : old)));
        },
      }))));
  }

  // -- its value -------------------------------------------------------------------------------------------
  let hand = 0; // what is typed or dragged until the hand rests is one step of undo
  function rest() {
    hand += 1;
    edit.settle();
  }

  const typed = make("input", { type: "number", step: "any", class: "value", "aria-label": words("value", "值"),
    input: () => take(typed.value, `typed ${hand}`), change: rest });
  const slider = make("input", { type: "range", class: "slide", "aria-label": words("value", "值"),
    input: () => take(Number(slider.value).toPrecision(3), `slid ${hand}`), change: rest });
  const rate = make("input", { type: "number", step: "any", min: 0, class: "eta",
    "aria-label": words("learning rate η", "学习率 η"),
    input: () => rate.value !== "" && Number(rate.value) >= 0 && edit.step(Number(rate.value), "eta") });

  function take(text, series) {
    const value = takesIds && chosen.id === "input" ? Math.round(Number(text)) : Number(text);
    if (text === "" || !Number.isFinite(value)) return;
    if (takesIds && chosen.id === "input" && (value < 0 || value >= shapeOf(firstParameter())[0])) return;
    edit.set(chosen.id, chosen.index, value, series);
    showValue(series.startsWith("slid") ? typed : slider);
  }

  const firstParameter = () => edit.ids.find((id) => !NAMES[id]);

  /** How far the slider goes: over the whole range of what its array has, and twice its size. */
  function reach() {
    const { min, max } = report.tensors[chosen.id].stats;
    if (chosen.id === "y" && min >= 0 && max <= 1) return [0, 1];
    if (takesIds && chosen.id === "input") return [0, shapeOf(firstParameter())[0] - 1];
    const size = Math.max(Math.abs(min), Math.abs(max)) || 1;
    const value = edit.value(chosen.id, chosen.index);
    const [low, high] = NAMES[chosen.id] ? [Math.min(min, 0), Math.max(max, 0) || 1] : [-2 * size, 2 * size];
    return [Math.min(low, value), Math.max(high, value)];
  }

  function showValue(...elements) {
    const value = edit.value(chosen.id, chosen.index);
    for (const one of elements) {
      if (one === slider) {
        const [low, high] = reach();
        const step = takesIds && chosen.id === "input" ? 1 : (high - low) / 400;
        Object.assign(slider, { min: low, max: high, step });
      }
      if (one !== document.activeElement || Number(one.value) !== value) one.value = value;
    }
  }

  // -- a little map of the array, to point at --------------------------------------------------------------
  const map = make("div", { class: "little" });

  /** The two axes that are shown: the longest ones but the sample's, and it where there is one other only. */
  function mapAxes() {
    const shape = shapeOf(chosen.id);
    if (shape.length === 1) return [null, 0];
    if (NAMES[chosen.id]) return [0, 1];
    return shape.length === 2 ? [0, 1] : [1, 2];
  }

  function drawMap() {
    const [down, across] = mapAxes();
    const shape = shapeOf(chosen.id);
    const [rows, columns] = [down === null ? 1 : shape[down], shape[across]];
    map.replaceChildren();
    if (rows > MOST || columns > MOST || rows * columns < 2) return;
    const size = Math.max(4, Math.min(18, Math.floor(200 / Math.max(rows, columns))));
    const all = shape.length ? at.sizeOf(shape) : 1;
    let largest = 0;
    const values = page.changes()[chosen.id]?.data ?? chainrule.decode(report)[chosen.id].data;
    for (let i = 0; i < all; i++) largest = Math.max(largest, Math.abs(values[i]));
    const cells = [];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = chosen.index.map((old, axis) => (axis === down ? row : axis === across ? column : old));
        const here = index.join() === chosen.index.join();
        const value = edit.value(chosen.id, index);
        const marks = (edit.edited(chosen.id, index) ? " edited" : "") + (here ? " here" : "");
        cells.push(draw("rect", {
          class: `k${page.level(value, largest)}${marks}`, x: column, y: row, width: 1, height: 1,
          click: () => choose(chosen.id, index),
        }, draw("title", {}, `${title(chosen.id, index)} ${page.equals(value)}`)));
      }
    }
    map.append(draw("svg", {
      class: "map gaps", viewBox: `0 0 ${columns} ${rows}`, width: columns * size, height: rows * size,
      role: "img", "aria-label": words("the numbers of this array", "这个数组的数值"),
    }, draw("g", { class: "cells" }, cells)));
  }

  // -- what became of it -----------------------------------------------------------------------------------
  const outcome = make("tbody", {});
  const warning = make("p", { class: "warning" });

  function row(label, before, after) {
    const difference = after - before;
    const signed = Object.is(before, after) ? "0" : `${difference > 0 ? "+" : ""}${number(difference)}`;
    const numbers = [number(before, 8), number(after, 8), signed];
    return make("tr", { class: Object.is(before, after) ? null : "moved" }, make("th", { scope: "row" }, label),
      numbers.map((text) => make("td", {}, text)));
  }

  /** The entry of an array of a result of `passes`, "gradient:…" and "delta:…" among them; null without one. */
  function entryOf(found, id, index) {
    const [kind, name] = /^(delta|gradient):/.test(id) ? id.split(/:(.*)/s) : ["output", id];
    const array = { delta: found.deltas, gradient: found.gradients, output: found.outputs }[kind][name];
    return array ? array.data[at.flat(array.shape, index)] : null;
  }

  function slopeOf(id) {
    return id === "input" ? "delta:input" : id === "y" ? null : `gradient:${id}`;
  }

  function showOutcome() {
    const [before, after] = [edit.start(), edit.now()];
    const rows = [row(page.loss, before.J, after.J), row(say("J after a step", "走一步后的 J"), before.J_after, after.J_after)];
    const { id, index } = chosen;
    rows.push(row(title(id, index), edit.before(id, index), edit.value(id, index)));
    const more = [[slopeOf(id), index, `∂${page.loss}/∂${title(id, index)}`]];
    if (other) more.push([other.quantity, other.index, title(other.quantity, other.index)]);
    for (const [quantity, place, label] of more) {
      const old = quantity && entryOf(before, quantity, place);
      if (old !== null && old !== undefined) rows.push(row(label, old, entryOf(after, quantity, place)));
    }
    outcome.replaceChildren(...rows);
    warning.replaceChildren(...warnings());
  }

  /** What the formulas suppose and the change has broken. */
  function warnings() {
    if (report.loss.class !== "CrossEntropy" || !page.changes().y) return [];
    const y = page.changes().y;
    const samples = y.shape.at(-1);
    const sums = Array.from({ length: samples }, (_, s) =>
      y.data.reduce((sum, value, i) => (i % samples === s ? sum + value : sum), 0));
    const far = y.shape.length === 2 ? sums.findIndex((sum) => Math.abs(sum - 1) > 1e-9) : -1;
    if (far < 0) return [];
    return [say(
      `The targets of sample ${far} add up to ${number(sums[far])}: ` +
        "δ = a − y is the derivative of J only where they add up to 1.",
      `样本 ${far} 的目标之和为 ${number(sums[far])}：只有和为 1 时，δ = a − y 才是 J 的导数。`)];
  }

  function show() {
    drawFields();
    picker.value = chosen.id;
    showValue(typed, slider);
    if (rate !== document.activeElement) rate.value = edit.eta();
    drawMap();
    showOutcome();
  }

  // -- the tab ---------------------------------------------------------------------------------------------
  const head = [["", ""], ["before", "改前"], ["after", "改后"], ["Δ", "Δ"]];
  const line = make("div", { class: "line" }, picker, fields);
  const place = make("div", {});
  const frozen = () => [
    make("p", { class: "frozen" }, say(`Frozen. ${edit.frozen.en}`, `不可改动。${edit.frozen.zh}`)),
    make("p", {}, say("The numbers of this page are those of the report; they cannot be recomputed here.",
      "本页的数值就是报告写成时的数值，不能在这里重新计算。")),
  ];
  const content = edit.frozen ? frozen() : [
    make("p", { class: "hint" }, say(
      "Click any weight, bias or pixel in the report, or choose here; then type or drag.",
      "点击报告中任一权重、偏置或像素，或在这里选择；再输入或拖动。")),
    place,
    make("div", { class: "line" }, typed, slider, make("label", {}, "η", rate)),
    make("div", { class: "both" }, map, make("div", { class: "scroll" }, make("table", { class: "outcome" },
      make("thead", {}, make("tr", {}, head.map(([en, zh]) => make("th", { scope: "col" }, en && say(en, zh))))),
      outcome))),
    warning,
  ];
  dock.tab("change", say("Change something", "改一改"), content, {
    opened: () => !edit.frozen && (pick(place), show()),
  });

  /** The choice of an entry, put where it is wanted now; what tells that a page is frozen. */
  function pick(where) {
    where.append(line);
    chosen.index ??= liveliest(chosen.id);
    drawFields();
    picker.value = chosen.id;
  }
  Object.assign(page, { chosen: () => chosen, pick, entryOf, entryTitle: title, frozenText: frozen, takesIds });

  page.onSelect((selected) => {
    if (edit.frozen || !selected?.index) return;
    const id = selected.quantity.replace(/^gradient:/, "").replace(/^delta:input$/, "input");
    const fits = edit.ids.includes(id) && selected.index.length === shapeOf(id).length;
    if (fits) Object.assign(chosen, { id, index: selected.index });
    const computed = entryOf(edit.start(), selected.quantity, selected.index);
    other = fits || computed === null ? null : selected;
    if (dock.at === "change") show();
    else if (dock.at === "nudge") drawFields();
  });
  page.onChange(() => dock.at === "change" && !edit.frozen && show());
})(chainrule.page);
