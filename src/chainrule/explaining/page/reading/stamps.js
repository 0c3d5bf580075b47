// δ through a convolution in two ways: gather, the δ of the output under the rotated kernel; scatter, every
// δ stamps the kernel onto the input.  Both end in the same number, which is printed.  One axis is a map of
// one row.
"use strict";
((page) => {
  const { Convolution, make, say, words, number, document: report } = page;
  const at = chainrule.arrays;
  const MOST_CELLS = 64 * 64;
  const FRAMES = 120; // of a whole passage
  const PAUSE = 45; // milliseconds between them
  const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  // -- pictures --------------------------------------------------------------------------------------------
  const flatSize = (size) => (size.length === 1 ? [1, size[0]] : size);
  const flatPlace = (place) => (place.length === 1 ? [0, place[0]] : place);
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
  const times = () => page.math.tag("mo", "·");

  /** A map with its caption; scale: what has the darkest colour. */
  function picture(values, size, caption, name, { scale = largest(values), width = 190 } = {}) {
    const [rows, columns] = flatSize(size);
    const map = page.drawMap(
      [...values],
      [rows, columns],
      scale,
      Math.max(3, Math.min(20, width / Math.max(rows, columns))),
    );
    return make("figure", { class: `panel ${name}` }, map, make("figcaption", {}, caption));
  }
  const mapIn = (figure) => figure.querySelector(".map");

  // -- one card --------------------------------------------------------------------------------------------
  class Stamps {
    constructor(layer, grid) {
      Object.assign(this, {
        layer,
        grid,
        view: null,
        place: null,
        channel: 0,
        k: 0,
        count: 0,
        playing: null,
      });
      this.reads = page.graph.inputs.get(layer.name);
      const button = (view, en, zh) =>
        make(
          "button",
          { type: "button", "aria-pressed": "false", "data-view": view, click: () => this.turn(view) },
          say(en, zh),
        );
      this.buttons = {
        gather: button("gather", "gather", "汇集"),
        scatter: button("scatter", "scatter", "散布"),
      };
      this.content = make("div", { class: "content", hidden: true });
      const label = words("δ in two ways", "δ 的两种算法");
      this.element = make(
        "section",
        { class: "row stamps", "data-layer": layer.name, "aria-label": label },
        make(
          "p",
          { class: "switches" },
          say("δ of the input in two ways:", "输入的 δ 有两种算法："),
          " ",
          Object.values(this.buttons).flatMap((one) => [one, " "]),
        ),
        this.content,
      );
      page.onChange(() => this.show());
    }

    turn(view) {
      this.stop();
      this.view = this.view === view ? null : view;
      for (const [name, button] of Object.entries(this.buttons))
        button.setAttribute("aria-pressed", String(name === this.view));
      this.content.hidden = this.view === null;
      this.show();
    }

    show() {
      this.frame = null;
      if (!this.view) return;
      this.sums = new Convolution(this.layer, this.grid, report.meta.sample);
      const { frozen } = this.sums;
      if (frozen) {
        const said = say(
          `frozen: the numbers of ${frozen} are not in this page`,
          `已冻结：本页没有 ${frozen} 的数值`,
        );
        this.content.replaceChildren(make("p", { class: "reason" }, said));
        return;
      }
      if (!this.place) this.begin();
      if (this.view === "gather") this.showGather();
      else this.showScatter();
    }

    /** At the entry with the largest δ, and the kernel that gives it most. */
    begin() {
      const { sums, channel } = this;
      const canvas = sums.canvas(channel).map(Math.abs);
      this.place = at.unflat(sums.size, canvas.indexOf(largest(canvas)));
      const share = (k) => Math.abs(sums.gathered(this.place, channel, [k]));
      this.k = sums.kernelsOf(channel).reduce((most, k) => (share(k) > share(most) ? k : most));
    }

    // -- what both share: the entry and its channel --------------------------------------------------------
    chooser(label, numbers, value, chosen) {
      if (numbers.length < 2) return null;
      const options = numbers.map((n) => make("option", { value: n, selected: n === value }, String(n)));
      const pick = ({ target }) => {
        chosen(Number(target.value));
        this.show();
      };
      return make("label", {}, label, " ", make("select", { change: pick }, options));
    }

    channels() {
      const all = Array.from({ length: this.sums.channels }, (_, c) => c);
      return this.chooser(say("input channel c", "输入通道 c"), all, this.channel, (c) => {
        this.channel = c;
        const kernels = this.sums.kernelsOf(c);
        if (!kernels.includes(this.k)) [this.k] = kernels;
      });
    }

    /** The map of the input's δ; a click or arrows choose an entry of it. */
    inputMap(values, scale) {
      const { sums } = this;
      const figure = picture(
        values,
        sums.size,
        [say("δ at the input", "输入处的 δ"), ` c = ${this.channel}`],
        "input",
        { scale },
      );
      const map = mapIn(figure);
      page.outline(map, [flatPlace(this.place)], "target");
      map.setAttribute("tabindex", 0);
      map.addEventListener("click", (event) => {
        const box = map.getBoundingClientRect();
        const [rows, columns] = flatSize(sums.size);
        const place = [
          ((event.clientY - box.top) / box.height) * rows,
          ((event.clientX - box.left) / box.width) * columns,
        ];
        this.choose(place.map(Math.floor).slice(-sums.axes));
      });
      map.addEventListener("keydown", (event) => {
        if (!(event.key in MOVES)) return;
        event.preventDefault();
        const by = MOVES[event.key].slice(-sums.axes);
        this.choose(this.place.map((u, axis) => u + by[axis]));
        this.content.querySelector(".input .map").focus();
      });
      return figure;
    }

    choose(place) {
      this.place = place.map((u, axis) => Math.min(Math.max(u, 0), this.sums.size[axis] - 1));
      this.show();
    }

    result(value, said) {
      const letter = page.letter(`delta:${this.reads}`, [...this.place, this.channel], this.layer.name);
      return make(
        "p",
        { class: "result" },
        said,
        " ",
        page.math.math(letter),
        ` ${page.equality(number(value), value)} `,
        make("b", { class: "number" }, number(value)),
      );
    }

    weightOf(k, tap) {
      return page.letter(
        this.layer.parameters.W,
        [k, ...tap, this.channel % this.sums.width],
        this.layer.name,
        "W",
      );
    }

    deltaOf(k, window) {
      return page.letter(`delta:${this.layer.name}`, [...window, k], this.layer.name, "d");
    }

    // -- gather --------------------------------------------------------------------------------------------
    showGather() {
      const { sums, place, channel, k, grid } = this;
      const rotated = sums.taps.map((tap) =>
        sums.weight(
          k,
          tap.map((m, axis) => grid.kernel[axis] - 1 - m),
          channel,
        ),
      );
      const kernel = picture(
        rotated,
        grid.kernel,
        [say("the kernel, rotated by 180°", "核，旋转 180°")],
        "kernel",
        { width: 84 },
      );
      const kernels = this.chooser(say("kernel k", "核 k"), sums.kernelsOf(channel), k, (n) => {
        this.k = n;
      });
      const canvas = sums.canvas(channel);
      const total = sums.gathered(place, channel);
      this.content.replaceChildren(
        make("p", { class: "line" }, this.channels(), " ", kernels),
        make("div", { class: "panels" }, this.spreadMap(), kernel, this.inputMap(canvas, largest(canvas))),
        make("div", { class: "sum" }, this.terms(total)),
        this.result(total, say("gathered:", "汇集得：")),
      );
    }

    /** δ of the output with holes for the stride and a border, the kernel on it. */
    spreadMap() {
      const { sums, k } = this;
      const { low, size } = sums.spread();
      const windows = sums.every(size).map((place) => sums.windowAt(place.map((q, axis) => q + low[axis])));
      const values = windows.map((window) => (window ? sums.delta(window, k) : 0));
      const figure = picture(
        values,
        size,
        [say("δ of the output, spread and padded", "输出的 δ，撑开并补边"), ` k = ${k}`],
        "spread",
      );
      [...figure.querySelectorAll(".cells rect")].forEach(
        (cell, n) => windows[n] ?? cell.setAttribute("class", "hole"),
      );
      const under = sums.taps.map((tap) => sums.under(this.place, tap).map((q, axis) => q - low[axis]));
      page.outline(mapIn(figure), under.map(flatPlace), "source");
      return figure;
    }

    terms(total) {
      const { sums, place, channel, k } = this;
      const own = sums.gather(place, channel, k).map(({ tap, window, w, d, value }) => ({
        what: () => page.math.math(page.math.row(this.weightOf(k, tap), times(), this.deltaOf(k, window))),
        factors: `${number(w)} · ${number(d)}`,
        value,
      }));
      const others = sums.kernelsOf(channel).filter((one) => one !== k);
      const more = {
        what: () =>
          say(
            `through ${others.length} other kernel${others.length > 1 ? "s" : ""}`,
            `经其余 ${others.length} 个核`,
          ),
        factors: "",
        value: sums.gathered(place, channel, others),
      };
      return page.terms(own, total, others.length ? [more] : []);
    }

    // -- scatter -------------------------------------------------------------------------------------------
    showScatter() {
      const { sums, channel } = this;
      this.order = sums.order(channel);
      this.count = Math.min(this.count, this.order.length);
      const slider = make("input", {
        type: "range",
        min: 0,
        max: this.order.length,
        value: this.count,
        "aria-label": words("how many δ have stamped", "已盖了几个 δ"),
      });
      slider.addEventListener("input", () => {
        const count = Number(slider.value);
        this.stop();
        this.count = count;
        this.frame();
      });
      const play = make("button", {
        type: "button",
        class: "play",
        click: () => (this.playing ? this.stop() : this.run()),
      });
      const [stage, said, end] = [
        make("div", { class: "panels" }),
        make("div", { class: "sum" }),
        make("div"),
      ];
      const scale = largest(sums.canvas(channel));
      this.content.replaceChildren(
        make("p", { class: "line" }, this.channels(), " ", play, " ", slider),
        stage,
        said,
        end,
      );
      this.frame = () => {
        slider.value = this.count;
        play.replaceChildren(this.playing ? say("pause", "暂停") : say("play", "播放"));
        const canvas = sums.canvas(channel, this.count);
        const last = this.order[this.count - 1] ?? null;
        const input = this.inputMap(canvas, scale);
        if (last)
          page.outline(
            mapIn(input),
            sums.reached(last.window).map(({ place }) => flatPlace(place)),
            "source",
          );
        stage.replaceChildren(...this.stampMaps(last), input);
        said.replaceChildren(make("p", {}, this.telling(last)));
        end.replaceChildren(...this.sofar(canvas[at.flat(sums.size, this.place)]));
      };
      this.frame();
    }

    /** δ of the output with the one that stamps, and its stamp. */
    stampMaps(last) {
      const { sums, channel } = this;
      const k = last?.k ?? this.order[0].k;
      const values = sums.every(sums.windows).map((window) => sums.delta(window, k));
      const delta = picture(
        values,
        sums.windows,
        [say("δ of the output", "输出的 δ"), ` k = ${k}`],
        "output",
      );
      if (last) page.outline(mapIn(delta), [flatPlace(last.window)], "source");
      const weights = sums.taps.map((tap) => sums.weight(k, tap, channel));
      const [d, caption] = last
        ? [sums.delta(last.window, k), say("its stamp w·δ", "它盖的章 w·δ")]
        : [1, say("the kernel w", "核 w")];
      const scale = largest(weights) * (last ? largest(values) : 1);
      return [
        delta,
        picture(
          weights.map((w) => w * d),
          this.grid.kernel,
          [caption],
          "kernel",
          { scale, width: 84 },
        ),
      ];
    }

    /** What the last stamp does at the entry. */
    telling(last) {
      const { sums, count, order } = this;
      const told = [
        say(`${count} of ${order.length} have stamped.`, `${order.length} 个中已盖 ${count} 个。`),
      ];
      if (!last) return told;
      const entry = `[${[...this.place, this.channel].join(", ")}]`;
      const d = sums.delta(last.window, last.k);
      told.push(" ", page.math.math(this.deltaOf(last.k, last.window)), ` ${page.equals(d)}`, make("br"));
      const hit = sums.reached(last.window).find(({ place }) => String(place) === String(this.place));
      if (!hit) return [...told, say(`It does not reach ${entry}.`, `它够不到 ${entry}。`)];
      const w = sums.weight(last.k, hit.tap, this.channel);
      const product = { kind: "product", value: w * d, of: [w, d].map((value) => ({ kind: "entry", value })) };
      return [
        ...told,
        say(`It adds to ${entry}:`, `它给 ${entry} 加上：`),
        ` ${number(w)} · ${number(d)} ${page.line(product).gives} ${number(w * d)}`,
      ];
    }

    sofar(value) {
      if (this.count < this.order.length) return [this.result(value, say("so far:", "目前："))];
      const total = number(this.sums.gathered(this.place, this.channel));
      return [
        this.result(value, say("scattered:", "散布得：")),
        make("p", { class: "same quiet" }, say(`gathered: ${total}`, `汇集得：${total}`)),
      ];
    }

    run() {
      const { length } = this.order;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.count = length;
      else {
        if (this.count === length) this.count = 0;
        this.playing = setInterval(() => {
          this.count = Math.min(this.count + Math.max(1, Math.ceil(length / FRAMES)), length);
          if (this.count === length) this.stop();
          else this.frame();
        }, PAUSE);
      }
      this.frame();
    }

    stop() {
      clearInterval(this.playing);
      this.playing = null;
      this.frame?.();
    }
  }

  // -- cards -----------------------------------------------------------------------------------------------
  page.stamps = new Map();
  for (const article of document.querySelectorAll("article.card.backward[data-layer]")) {
    const layer = page.graph.layers.get(article.dataset.layer);
    const grid = layer ? Convolution.gridOf(layer) : null;
    if (!grid || grid.kernel.length > 2) continue;
    if (at.sizeOf(layer.input_shape.slice(0, grid.kernel.length)) > MOST_CELLS) continue;
    const stamps = new Stamps(layer, grid);
    const worked = [
      ...article.querySelectorAll(`.worked[data-quantity="${CSS.escape(`delta:${stamps.reads}`)}"]`),
    ].at(-1);
    const row = worked?.closest(".row");
    if (row) row.after(stamps.element);
    else article.append(stamps.element);
    page.stamps.set(layer.name, stamps);
  }
})(chainrule.page);
