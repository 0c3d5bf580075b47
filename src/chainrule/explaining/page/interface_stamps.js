// δ through a convolution in two ways: gather, the δ of the output under the rotated kernel; scatter, every δ stamps the
// kernel onto the input.  Both end in the same number, which is printed.
//
// One axis or two, with strides, paddings, dilations and groups: entry (u) of the input meets the offset m of window i
// where u = s·i + d·m − p.  One axis is a map of one row.
"use strict";
((page) => {
  const { make, draw, say, words, number, document: report } = page;
  const at = chainrule.arrays;
  const MOST_CELLS = 64 * 64;
  const FRAMES = 120; // of a whole passage
  const PAUSE = 45; // milliseconds between them

  /** The grid of a layer whose δ is placed by a kernel: a convolution; null for another. */
  function gridOf(layer) {
    const { nodes, roots } = layer.formulas ?? { nodes: [] };
    const placed = nodes.find((node) => node.apply === "place");
    const kernel = nodes.some((node) => node.apply === "kernel_at");
    return placed && kernel && roots.delta !== undefined && layer.parameters?.W ? placed.with.grid : null;
  }

  // -- the arithmetic --------------------------------------------------------------------------------------
  /** A convolution with the numbers of one sample. */
  class Stamps {
    constructor(layer, grid, sample) {
      Object.assign(this, { layer, grid, sample });
      const [input, output] = [layer.input_shape, layer.shape];
      this.axes = grid.kernel.length;
      this.size = input.slice(0, this.axes); // of the input, of the output
      this.windows = output.slice(0, this.axes);
      this.channels = input.at(-1);
      this.kernels = output.at(-1);
      this.pads = chainrule.grids.pads(grid, this.size);
      const [d, W] = [page.tensor(`delta:${layer.name}`), page.tensor(layer.parameters.W)];
      this.frozen = !d ? `delta:${layer.name}` : !W ? layer.parameters.W : null;
      Object.assign(this, { d, W });
      this.width = W ? W.shape.at(-1) : this.channels; // input channels of a group
      this.groups = this.channels / this.width;
      this.taps = this.every(grid.kernel);
    }

    every(size) {
      return Array.from({ length: at.sizeOf(size) }, (_, n) => at.unflat(size, n));
    }

    /** The kernels that read a channel: those of its group. */
    kernelsOf(channel) {
      const each = this.kernels / this.groups;
      const first = Math.floor(channel / this.width) * each;
      return Array.from({ length: each }, (_, n) => first + n);
    }

    delta(window, k) {
      return this.d.data[at.flat(this.d.shape, [...window, k, this.sample])];
    }

    weight(k, tap, channel) {
      return this.W.data[at.flat(this.W.shape, [k, ...tap, channel % this.width])];
    }

    /** Where a place of the spread δ has a window; null in its holes and beyond it. */
    windowAt(spread) {
      const window = spread.map((q, axis) => q / this.grid.stride[axis]);
      return window.every((i, axis) => Number.isInteger(i) && i >= 0 && i < this.windows[axis]) ? window : null;
    }

    /** The place in the spread δ that lies under a tap for an entry of the input. */
    under(place, tap) {
      return place.map((u, axis) => u + this.pads[axis][0] - this.grid.dilation[axis] * tap[axis]);
    }

    /** The terms of an entry from one kernel: what lies under its taps. */
    gather(place, channel, k) {
      return this.taps.flatMap((tap) => {
        const window = this.windowAt(this.under(place, tap));
        if (!window) return [];
        const [w, d] = [this.weight(k, tap, channel), this.delta(window, k)];
        return [{ tap, window, w, d, value: w * d }];
      });
    }

    gathered(place, channel) {
      return this.kernelsOf(channel).reduce((sum, k) => sum + this.gather(place, channel, k).reduce((part, one) => part + one.value, 0), 0);
    }

    /** The δ's in the order in which they stamp. */
    order(channel) {
      return this.kernelsOf(channel).flatMap((k) => this.every(this.windows).map((window) => ({ window, k })));
    }

    /** The places of the input a window lies on, with their taps. */
    reached(window) {
      return this.taps.map((tap) => ({
        tap, place: window.map((i, axis) => this.grid.stride[axis] * i + this.grid.dilation[axis] * tap[axis] - this.pads[axis][0]),
      })).filter(({ place }) => place.every((u, axis) => u >= 0 && u < this.size[axis]));
    }

    /** w·δ of one δ, added onto a canvas of a channel. */
    stamp(canvas, channel, { window, k }) {
      const d = this.delta(window, k);
      for (const { tap, place } of this.reached(window)) canvas[at.flat(this.size, place)] += this.weight(k, tap, channel) * d;
    }
  }

  // -- pictures --------------------------------------------------------------------------------------------
  const flatSize = (size) => (size.length === 1 ? [1, size[0]] : size);
  const flatPlace = (place) => (place.length === 1 ? [0, place[0]] : place);
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);

  function map(values, size, scale, title, name, width = 190) {
    const [rows, columns] = flatSize(size);
    const drawn = page.drawMap([...values], [rows, columns], scale, Math.max(3, Math.min(20, width / Math.max(rows, columns))));
    return make("figure", { class: `panel ${name}` }, drawn, make("figcaption", {}, title));
  }
  const mapIn = (figure) => figure.querySelector(".map");

  // -- one card --------------------------------------------------------------------------------------------
  function widget(article, layer, grid) {
    const reads = page.graph.inputs.get(layer.name);
    const state = { view: null, place: null, channel: 0, k: 0, count: 0 };
    const views = {
      gather: make("button", { type: "button", "aria-pressed": "false", "data-view": "gather", click: () => turn("gather") }, say("gather", "汇集")),
      scatter: make("button", { type: "button", "aria-pressed": "false", "data-view": "scatter", click: () => turn("scatter") }, say("scatter", "散布")),
    };
    const content = make("div", { class: "content", hidden: true });
    const element = make("section", { class: "row stamps", "data-layer": layer.name, "aria-label": words("δ in two ways", "δ 的两种算法") },
      make("p", { class: "switches" }, say("δ of the input in two ways:", "输入的 δ 有两种算法："), " ", views.gather, " ", views.scatter), content);
    let stamps = null;
    let playing = null;

    function start() {
      stamps = new Stamps(layer, grid, report.meta.sample);
      if (stamps.frozen || state.place) return;
      const canvas = whole();
      const best = canvas.reduce((most, value, i) => (Math.abs(value) > Math.abs(canvas[most]) ? i : most), 0);
      state.place = at.unflat(stamps.size, best);
      const share = (k) => Math.abs(stamps.gather(state.place, state.channel, k).reduce((sum, one) => sum + one.value, 0));
      state.k = stamps.kernelsOf(state.channel).reduce((most, k) => (share(k) > share(most) ? k : most));
    }

    function whole(count = Infinity) {
      const canvas = new Float64Array(at.sizeOf(stamps.size));
      for (const one of stamps.order(state.channel).slice(0, count)) stamps.stamp(canvas, state.channel, one);
      return canvas;
    }

    function turn(view) {
      stop();
      state.view = state.view === view ? null : view;
      for (const [name, button] of Object.entries(views)) button.setAttribute("aria-pressed", String(name === state.view));
      content.hidden = state.view === null;
      show();
    }

    function show() {
      if (!state.view) return;
      start();
      if (stamps.frozen) {
        const said = say(`frozen: the numbers of ${stamps.frozen} are not in this page`, `已冻结：本页没有 ${stamps.frozen} 的数值`);
        content.replaceChildren(make("p", { class: "reason" }, said));
        return;
      }
      if (state.view === "gather") showGather();
      else showScatter();
    }

    // -- what both share: the entry, its channel -----------------------------------------------------------
    const entryText = () => `[${[...state.place, state.channel].join(", ")}]`;

    function chooser(label, count, value, chosen) {
      if (count.length < 2) return null;
      const options = count.map((n) => make("option", { value: n, selected: n === value }, String(n)));
      return make("label", {}, label, " ", make("select", { change: ({ target }) => chosen(Number(target.value)) }, options));
    }

    const channels = () => chooser(say("input channel c", "输入通道 c"), Array.from({ length: stamps.channels }, (_, c) => c), state.channel, (c) => {
      state.channel = c;
      if (!stamps.kernelsOf(c).includes(state.k)) state.k = stamps.kernelsOf(c)[0];
      show();
    });

    /** The map of the input's δ; a click or arrows choose an entry of it. */
    function inputMap(values, scale) {
      const figure = map(values, stamps.size, scale, [say("δ at the input", "输入处的 δ"), ` c = ${state.channel}`], "input");
      const drawn = mapIn(figure);
      page.outline(drawn, [flatPlace(state.place)], "target");
      drawn.setAttribute("tabindex", 0);
      drawn.addEventListener("click", (event) => {
        const box = drawn.getBoundingClientRect();
        const [rows, columns] = flatSize(stamps.size);
        const place = [Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns)];
        choose(stamps.axes === 1 ? [place[1]] : place);
      });
      drawn.addEventListener("keydown", (event) => {
        const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!by) return;
        event.preventDefault();
        choose(state.place.map((u, axis) => u + by[stamps.axes === 1 ? 1 : axis]));
        content.querySelector(".input .map").focus();
      });
      return figure;
    }

    function choose(place) {
      state.place = place.map((u, axis) => Math.min(Math.max(u, 0), stamps.size[axis] - 1));
      show();
    }

    const letter = () => page.math.math(page.letter(`delta:${reads}`, [...state.place, state.channel], layer.name));
    const result = (value, said) => make("p", { class: "result" }, said, " ", letter(), " = ", make("b", { class: "number" }, number(value)));

    // -- gather --------------------------------------------------------------------------------------------
    function showGather() {
      const { place, channel, k } = state;
      const low = stamps.size.map((_, axis) => stamps.pads[axis][0] - grid.dilation[axis] * (grid.kernel[axis] - 1));
      const size = stamps.size.map((length, axis) => length - 1 + stamps.pads[axis][0] - low[axis] + 1);
      const places = stamps.every(size).map((one) => one.map((q, axis) => q + low[axis]));
      const spread = places.map((one) => stamps.windowAt(one));
      const values = spread.map((window) => (window ? stamps.delta(window, k) : 0));
      const local = (q) => flatPlace(q.map((one, axis) => one - low[axis]));
      const kernel = stamps.every(grid.kernel).map((tap) => stamps.weight(k, tap.map((m, axis) => grid.kernel[axis] - 1 - m), channel));
      const delta = map(values, size, largest(values), [say("δ of the output, spread and padded", "输出的 δ，撑开并补边"), ` k = ${k}`], "spread");
      [...delta.querySelectorAll(".cells rect")].forEach((cell, n) => spread[n] ?? cell.setAttribute("class", "hole"));
      page.outline(mapIn(delta), stamps.taps.map((tap) => local(stamps.under(place, tap))), "source");
      const turned = map(kernel, grid.kernel, largest(kernel), say("the kernel, rotated by 180°", "核，旋转 180°"), "kernel", 84);
      const canvas = whole();
      const own = stamps.gather(place, channel, k);
      const rest = stamps.gathered(place, channel) - own.reduce((sum, one) => sum + one.value, 0);
      const terms = own.map((one) => ({
        what: () => page.math.math(page.math.row(weightOf(one.tap), times(), deltaOf(one.window))),
        factors: `${number(one.w)} · ${number(one.d)}`, value: one.value,
      }));
      const others = stamps.kernelsOf(channel).length - 1;
      const more = { what: () => say(`through ${others} other kernel${others > 1 ? "s" : ""}`, `经其余 ${others} 个核`), factors: "", value: rest };
      const total = stamps.gathered(place, channel);
      const line = make("p", { class: "line" }, channels(), " ", chooser(say("kernel k", "核 k"), stamps.kernelsOf(channel), k, (n) => { state.k = n; show(); }));
      content.replaceChildren(line, make("div", { class: "panels" }, delta, turned, inputMap(canvas, largest(canvas))),
        make("div", { class: "sum" }, page.terms(terms, total, others ? [more] : [])), result(total, say("gathered:", "汇集得：")));
    }

    const times = () => page.math.tag("mo", "·");
    const weightOf = (tap) => page.letter(layer.parameters.W, [state.k, ...tap, state.channel % stamps.width], layer.name, "W");
    const deltaOf = (window, k = state.k) => page.letter(`delta:${layer.name}`, [...window, k], layer.name, "d");

    // -- scatter -------------------------------------------------------------------------------------------
    function showScatter() {
      const order = stamps.order(state.channel);
      const final = whole();
      state.count = Math.min(state.count, order.length);
      const slider = make("input", { type: "range", min: 0, max: order.length, value: state.count, "aria-label": words("how many δ have stamped", "已盖了几个 δ"),
        input: () => {
          const count = Number(slider.value);
          stop();
          state.count = count;
          frame();
        } });
      const play = make("button", { type: "button", class: "play", click: () => (playing ? stop() : run(order)) });
      const stage = make("div", { class: "panels" });
      const said = make("div", { class: "sum" });
      const end = make("div");
      content.replaceChildren(make("p", { class: "line" }, channels(), " ", play, " ", slider), stage, said, end);

      function frame() {
        slider.value = state.count;
        play.replaceChildren(playing ? say("pause", "暂停") : say("play", "播放"));
        const canvas = whole(state.count);
        const last = order[state.count - 1];
        stage.replaceChildren(...pictures(order, last), inputMap(canvas, largest(final)));
        if (last) {
          const drawn = mapIn(stage.querySelector(".input"));
          page.outline(drawn, stamps.reached(last.window).map(({ place }) => flatPlace(place)), "source");
        }
        const sofar = canvas[at.flat(stamps.size, state.place)];
        said.replaceChildren(make("p", {}, ...telling(order, last)));
        const done = state.count === order.length;
        end.replaceChildren(result(sofar, done ? say("scattered:", "散布得：") : say("so far:", "目前：")));
        const total = stamps.gathered(state.place, state.channel);
        if (done) end.append(make("p", { class: "same quiet" }, say(`gathered: ${number(total)}, the same`, `汇集得 ${number(total)}，相同`)));
      }
      content.frame = frame;
      frame();
    }

    function pictures(order, last) {
      const k = last?.k ?? order[0].k;
      const windows = stamps.every(stamps.windows);
      const values = windows.map((window) => stamps.delta(window, k));
      const delta = map(values, stamps.windows, largest(values), [say("δ of the output", "输出的 δ"), ` k = ${k}`], "output");
      if (last) page.outline(mapIn(delta), [flatPlace(last.window)], "source");
      const d = last ? stamps.delta(last.window, k) : 0;
      const weights = stamps.taps.map((tap) => stamps.weight(k, tap, state.channel));
      const stamped = last ? weights.map((w) => w * d) : weights;
      const most = largest(values) * largest(weights);
      return [delta, map(stamped, grid.kernel, last ? most : largest(weights), last ? say("its stamp w·δ", "它盖的章 w·δ") : say("the kernel w", "核 w"), "kernel", 84)];
    }

    function telling(order, last) {
      const count = say(`${state.count} of ${order.length} have stamped.`, `${order.length} 个中已盖 ${state.count} 个。`);
      if (!last) return [count];
      const hit = stamps.reached(last.window).find(({ place }) => String(place) === String(state.place));
      const d = stamps.delta(last.window, last.k);
      const what = [count, " ", page.math.math(deltaOf(last.window, last.k)), ` = ${number(d)}`, make("br")];
      if (!hit) return [...what, say(`It does not reach ${entryText()}.`, `它够不到 ${entryText()}。`)];
      const w = stamps.weight(last.k, hit.tap, state.channel);
      return [...what, say(`It adds to ${entryText()}:`, `它给 ${entryText()} 加上：`), ` ${number(w)} · ${number(d)} = ${number(w * d)}`];
    }

    function run(order) {
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (still) state.count = order.length;
      else {
        if (state.count === order.length) state.count = 0;
        const step = Math.max(1, Math.ceil(order.length / FRAMES));
        playing = setInterval(() => {
          state.count = Math.min(state.count + step, order.length);
          if (state.count === order.length) stop();
          content.frame();
        }, PAUSE);
      }
      content.frame();
    }

    function stop() {
      clearInterval(playing);
      playing = null;
      if (state.view === "scatter" && content.frame) content.frame();
    }

    page.onChange(() => show());
    const worked = [...article.querySelectorAll(`.worked[data-quantity="delta:${CSS.escape(reads)}"]`)].at(-1);
    const place = worked?.closest(".row");
    if (place) place.after(element);
    else article.append(element);
    return { layer, state, turn, element, choose };
  }

  page.stamps = new Map();
  for (const article of document.querySelectorAll("article.card.backward[data-layer]")) {
    const layer = page.graph.layers.get(article.dataset.layer);
    const grid = layer && gridOf(layer);
    if (!grid || grid.kernel.length > 2) continue;
    const cells = at.sizeOf(layer.input_shape.slice(0, grid.kernel.length));
    if (cells <= MOST_CELLS) page.stamps.set(layer.name, widget(article, layer, grid));
  }
})(chainrule.page);
