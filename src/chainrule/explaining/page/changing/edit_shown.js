// Every number that the report shows of a tensor follows a change: maps, matrices, bars, their tables.
//
// A map keeps its scale, and gets a larger one where a value no longer fits.  What is edited has a frame, what has
// moved with it is marked; the text before stays in its title.  page.level(value, scale): the level of a colour.
"use strict";
((page) => {
  const { edit, number, words } = page;
  const at = chainrule.arrays;
  const LEVELS = 24; // on each side of 0, as in explaining/render/scale.py
  const TINTS = 5; // as in explaining/render/html/figures.py
  const before = new WeakMap(); // the text of an element as the report was written
  let touched = false; // whether anything is changed
  const listed = (text) => (text ? text.split(",").map(Number) : []);
  const largestOf = (values) =>
    values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);

  /** The nearest whole number, a half to the even one, as NumPy rounds. */
  function nearest(x) {
    const low = Math.floor(x);
    const rest = x - low;
    return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
  }

  page.level = (value, scale) => {
    if (!Number.isFinite(value)) return 2 * LEVELS + 1;
    const position = scale > 0 && Number.isFinite(scale) ? value / scale : 0;
    return nearest(Math.max(-1, Math.min(1, position)) * LEVELS) + LEVELS;
  };

  /** A class of a kind in place of the one that is there; "" for none. */
  function turn(element, kind, wanted) {
    const old = [...element.classList].find((name) => kind.test(name)) ?? "";
    if (old === wanted) return;
    if (old) element.classList.remove(old);
    if (wanted) element.classList.add(wanted);
  }

  /** A number in an element; where it is another than at first, that is marked and kept in its title. */
  function write(element, after) {
    if (!before.has(element)) before.set(element, element.textContent);
    const old = before.get(element);
    const text = touched ? after : old; // with all changes taken back, to the letter what was there
    if (element.textContent !== text) element.textContent = text;
    const moved = old !== text;
    if (element.classList.contains("moved") === moved) return;
    element.classList.toggle("moved", moved);
    if (element.localName !== "td") return;
    if (moved) element.title = `${words("before", "改前")} ${old}`;
    else element.removeAttribute("title");
  }

  // -- maps ------------------------------------------------------------------------------------------------
  /** The numbers of a panel in row-major order. */
  function ofPanel(figure, panel, tensor) {
    const axes = listed(figure.dataset.axes);
    const others = listed(panel.dataset.index);
    const strides = at.stridesOf(tensor.shape);
    const rest = [...others];
    const start = strides.reduce((sum, step, axis) => sum + (axes.includes(axis) ? 0 : step * rest.shift()), 0);
    const [rows, columns] = listed(panel.dataset.size);
    const values = new Float64Array(rows * columns);
    for (let i = 0; i < values.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      values[i] = tensor.data[start + row * strides[axes[0]] + column * strides[axes[1]]];
    }
    return values;
  }

  let colours = null;

  /** The colours of the levels as [red, green, blue], from the style sheet. */
  function palette() {
    if (colours) return colours;
    const probes = Array.from({ length: 2 * LEVELS + 1 }, (_, level) => page.draw("rect", { class: `k${level}` }));
    document.querySelector(".sprite").append(...probes); // all at once: each alone costs a layout of the page
    colours = probes.map((probe) => getComputedStyle(probe).fill.match(/\d+/g).map(Number));
    probes.forEach((probe) => probe.remove());
    colours.push([140, 140, 140]);
    return colours;
  }

  function painted(values, [rows, columns], scale) {
    const canvas = page.make("canvas", { width: columns, height: rows });
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    values.forEach((value, i) => image.data.set([...palette()[page.level(value, scale)], 255], 4 * i));
    context.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }

  function map({ figure, quantity }, tensor, same) {
    const panels = [...figure.querySelectorAll(".panel")];
    const values = panels.map((panel) => ofPanel(figure, panel, tensor));
    const scale = Math.max(Number(figure.dataset.scale), ...(same ? [] : values.map(largestOf)));
    panels.forEach((panel, n) => {
      const size = listed(panel.dataset.size);
      const image = panel.querySelector(".cells image");
      if (image) {
        if (!before.has(image)) before.set(image, image.getAttribute("href"));
        image.setAttribute("href", same ? before.get(image) : painted(values[n], size, scale));
      } else {
        const cells = panel.querySelector(".cells").children;
        values[n].forEach((value, i) => turn(cells[i], /^k\d+$/, `k${page.level(value, scale)}`));
      }
      describe(panel.querySelector("svg > title"), values[n], same);
    });
    const ends = figure.querySelectorAll(".legend > span:not(.scale, .quiet)");
    [-scale, scale].forEach((end, n) => ends[n] && write(ends[n], number(end)));
    const tables = figure.querySelectorAll("table.values");
    tables.forEach((table, n) =>
      [...table.querySelectorAll("td")].forEach((td, i) => write(td, number(values[n][i], 3))));
    frame(figure, quantity);
  }

  /** What a map shows, for who cannot see it. */
  function describe(title, values, same) {
    if (!title) return;
    if (!before.has(title)) before.set(title, title.textContent);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const [head] = before.get(title).split(": ");
    const after = words(`after the change from ${number(low)} to ${number(high)}`,
      `改动之后从 ${number(low)} 到 ${number(high)}`);
    title.textContent = same ? before.get(title) : `${head}: ${after}`;
  }

  /** Frames around the entries that were edited. */
  function frame(figure, quantity) {
    figure.querySelectorAll(".edited").forEach((one) => one.classList.remove("edited"));
    for (const { id, index } of edit.changed()) {
      if (id !== quantity) continue;
      for (const cell of page.cells(id, index)) if (figure.contains(cell)) cell.classList.add("edited");
    }
  }

  // -- matrices and bars -----------------------------------------------------------------------------------
  function matrix({ figure, quantity }, tensor) {
    const cells = [...figure.querySelectorAll("td[data-index]")];
    const values = cells.map((td) => tensor.data[at.flat(tensor.shape, listed(td.dataset.index))]);
    const largest = largestOf(values);
    cells.forEach((td, n) => {
      const steps = largest && Number.isFinite(values[n]) ? nearest((Math.abs(values[n]) / largest) * TINTS) : 0;
      const tint = steps ? `${values[n] < 0 ? "n" : "p"}${steps}` : "";
      turn(td, /^([np]\d|broken)$/, Number.isFinite(values[n]) ? tint : "broken");
      write(td, number(values[n]));
    });
    const over = (f, start) => tensor.data.reduce(f, start);
    const stats = [
      over((a, b) => Math.min(a, b), Infinity), over((a, b) => a + b, 0) / tensor.data.length,
      over((a, b) => Math.max(a, b), -Infinity), Math.sqrt(over((a, b) => a + b * b, 0)),
    ];
    figure.querySelectorAll(".stats b").forEach((one, n) => write(one, number(stats[n])));
    frame(figure, quantity);
  }

  const [BAR, NUMBER] = [96, 62]; // explaining/render/svg/maps.py: the width of a group's bars, and of the numbers behind them

  function bars({ figure, picture }, tensor, same) {
    const rects = [...figure.querySelectorAll("rect.bar")];
    const { entries, samples } = picture;
    const values = rects.map(({ dataset: { row, group } }) =>
      tensor.data[at.flat(tensor.shape, [entries[row], samples[group]])]);
    const boxes = () => rects.map((rect) => ["x", "width"].map((name) => rect.getAttribute(name)));
    if (!before.has(figure)) before.set(figure, boxes());
    const largest = largestOf(values) || 1;
    const signed = values.some((value) => value < 0);
    const axes = figure.querySelectorAll("svg .axis");
    rects.forEach((rect, n) => {
      const text = rect.nextElementSibling;
      write(text, number(values[n]));
      turn(rect, /^(plus|minus)$/, values[n] < 0 ? "minus" : "plus");
      const start = Number(text.getAttribute("x")) - BAR - NUMBER;
      const zero = start + (signed ? BAR / 2 : 0);
      const length = Number.isFinite(values[n]) ? (Math.abs(values[n]) / largest) * (signed ? BAR / 2 : BAR) : 0;
      const box = [values[n] < 0 ? zero - length : zero, Math.max(length, 0.5)].map((x) => x.toFixed(1));
      (same ? before.get(figure)[n] : box).forEach((x, i) => rect.setAttribute(["x", "width"][i], x));
      const axis = axes[Number(rect.dataset.group)];
      axis.setAttribute("d", axis.getAttribute("d").replace(/^M[\d.]+/, `M${zero}`));
    });
    const width = 1 + Math.max(0, ...rects.map((rect) => Number(rect.dataset.group)));
    [...figure.querySelectorAll("table.values td")].forEach((td, i) => {
      const place = [entries[Math.floor(i / width)], samples[i % width]];
      write(td, number(tensor.data[at.flat(tensor.shape, place)], 3));
    });
  }

  // -- all of them -----------------------------------------------------------------------------------------
  const WRITERS = { maps: map, matrix, chart: bars };
  page.onChange((changes) => {
    const same = Object.keys(changes).length === 0;
    if (same && !touched) return;
    touched = !same;
    for (const one of page.figures) {
      const kind = one.figure.classList[0];
      const tensor = page.tensor(one.quantity);
      if (tensor && (kind !== "chart" || one.picture.entries)) WRITERS[kind](one, tensor, same);
    }
  });
})(chainrule.page);
