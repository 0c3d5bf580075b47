// "Nudge": the difference quotient (J(w+ε) − J(w−ε)) / 2ε beside ∂J/∂w of the formula, for ε = 10⁻¹ … 10⁻¹².
//
// The curve of the error has two sides: truncation, which grows with ε², and rounding, which grows with 1/ε.  At a
// kink neither holds; a kink is where a comparison or a winner in a formula differs between w − ε and w + ε.
"use strict";
((page) => {
  const { dock, edit, make, draw, number, say, words, document: report } = page;
  const at = chainrule.arrays;
  const MOST = 12; // ε = 10^-1 … 10^-MOST
  const CHOOSES = new Set(["greater", "largest_feature", "first_position", "placed_parts"]);
  const leaves = chainrule.layersOf(report.graph.layers).filter((one) => one.kind === "leaf");
  const power = (exponent) =>
    `10${[...String(exponent)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])).join("")}`;

  // -- numbers ---------------------------------------------------------------------------------------------
  let run = null; // {id, index, formula, J, results: exponent -> result}, of the entry and the changes as they are

  function forward({ id, index }, value) {
    const base = page.changes()[id] ?? chainrule.decode(report)[id];
    const data = base.data.slice();
    data[at.flat(base.shape, index)] = value;
    return chainrule.forward(report, { ...page.changes(), [id]: { shape: base.shape, data } });
  }

  /** The comparisons and winners in the formulas of everything, under the bindings of a forward pass. */
  function choices({ bindings }) {
    const found = [];
    const last = bindings[report.graph.layers.at(-1).name];
    const owners = leaves.map((layer) => [layer.name, layer.formulas, bindings[layer.name]]);
    if (last) owners.push([report.loss.class, report.loss.formulas, { a: last.a, z: last.x, y: page.tensor("y") }]);
    for (const [name, formulas, bound] of owners) {
      const formula = new chainrule.Formula(formulas.nodes, bound);
      formulas.nodes.forEach((node, n) => {
        if (formula.free[n].length || !(CHOOSES.has(node.apply) || node.over === "argmax_over")) return;
        found.push([name, formula.value(n).data]);
      });
    }
    return found;
  }

  /** The layers in which a choice differs. */
  function crossed(one, other) {
    const there = choices(other);
    const names = choices(one).filter(([, data], n) => data.some((value, i) => value !== there[n][1][i]));
    return [...new Set(names.map(([name]) => name))];
  }

  function compute(exponent) {
    const epsilon = Number(`1e-${exponent}`);
    const value = edit.value(run.id, run.index);
    const [up, down] = [value + epsilon, value - epsilon].map((w) => forward(run, w));
    const quotient = (up.J - down.J) / (2 * epsilon);
    run.results.set(exponent, {
      epsilon, quotient, error: Math.abs(quotient - run.formula), kinks: crossed(up, down),
      left: (run.J - down.J) / epsilon, right: (up.J - run.J) / epsilon,
    });
  }

  const found = () => (edit.count() ? page.passes() : edit.start());

  /** ∂J/∂w of the formula; null where there is none: of targets, and of ids. */
  function slope({ id, index }) {
    if (id === "y" || (id === "input" && page.takesIds)) return null;
    return page.entryOf(found(), id === "input" ? "delta:input" : `gradient:${id}`, index);
  }

  function begin() {
    const { id, index } = page.chosen();
    const own = { id, index: [...index], results: new Map() };
    run = { ...own, formula: slope(own), J: found().J };
    if (run.formula === null) return show();
    compute(chosen());
    show();
    setTimeout(() => more(run), 0);
  }

  /** The other ε one after another, each in a turn of its own so that the page stays at hand. */
  function more(own) {
    if (own !== run || dock.at !== "nudge") return;
    for (let exponent = 1; exponent <= MOST; exponent++) {
      if (run.results.has(exponent)) continue;
      compute(exponent);
      show();
      setTimeout(() => more(own), 0);
      return;
    }
  }

  /** All at once, for tests. */
  function finish() {
    for (let exponent = 1; exponent <= MOST; exponent++) if (!run.results.has(exponent)) compute(exponent);
    show();
  }

  // -- the picture -----------------------------------------------------------------------------------------
  const [LEFT, TOP, RIGHT, BOTTOM] = [50, 14, 316, 150];

  function picture() {
    const points = [...run.results].map(([exponent, one]) => ({ x: -exponent, ...one }));
    const sizes = points.map(({ error }) => Math.log10(error)).filter(Number.isFinite);
    const low = Math.floor(Math.min(-9, ...sizes));
    const high = Math.ceil(Math.max(low + 4, ...sizes));
    const x = (exponent) => LEFT + ((exponent + MOST) / (MOST - 1)) * (RIGHT - LEFT);
    const y = (size) => BOTTOM - ((Math.max(low, Math.min(high, size)) - low) / (high - low)) * (BOTTOM - TOP);
    const parts = [];
    for (let exponent = -MOST; exponent <= -1; exponent += 1) {
      parts.push(draw("path", { class: "rule", d: `M${x(exponent)} ${TOP}V${BOTTOM}` }));
      if (exponent % 3 === 0 || exponent === -1) {
        parts.push(draw("text", { class: "tick middle", x: x(exponent), y: BOTTOM + 15 }, power(exponent)));
      }
    }
    const step = Math.ceil((high - low) / 5);
    for (let size = low; size <= high; size += step) {
      parts.push(draw("path", { class: "rule", d: `M${LEFT} ${y(size)}H${RIGHT}` }));
      parts.push(draw("text", { class: "tick end", x: LEFT - 6, y: y(size) + 4 }, power(size)));
    }
    parts.push(draw("text", { class: "tick middle", x: (LEFT + RIGHT) / 2, y: BOTTOM + 31 }, "ε"));
    parts.push(...guides(x, y, low, high));
    parts.push(draw("path", { class: "here", d: `M${x(-chosen())} ${TOP}V${BOTTOM}` }));
    const ordered = points.sort((a, b) => a.x - b.x);
    const path = ordered.map((one, n) => `${n ? "L" : "M"}${x(one.x)} ${y(Math.log10(one.error))}`).join("");
    parts.push(draw("path", { class: "line f", d: path }));
    for (const one of ordered) {
      const about = `ε = ${power(one.x)}: ${number(one.error, 3)}`;
      parts.push(draw("circle", {
        class: one.kinks.length ? "point kink" : "point", r: one.x === -chosen() ? 5 : 3.2,
        cx: x(one.x), cy: y(Math.log10(one.error)),
      }, draw("title", {}, about)));
    }
    const label = words("error of the difference quotient against ε, both as powers of ten",
      "差商误差随 ε 的变化，双对数坐标");
    return draw("svg", { class: "errors", viewBox: "0 0 330 188", width: 330, height: 188, role: "img" },
      draw("title", {}, label), parts);
  }

  /** Rounding, about 1.1·10⁻¹⁶ J/ε, and truncation, through the error at the largest ε without a kink. */
  function guides(x, y, low, high) {
    const parts = [];
    const line = (f, name, where) => {
      const ends = [-MOST, -1].map((e) => [e, f(e)]);
      const clipped = ends.map(([e, size], n) => {
        const [other, there] = ends[1 - n];
        const bound = Math.max(low, Math.min(high, size));
        return [size === bound ? e : e + ((bound - size) / (there - size)) * (other - e), bound];
      });
      const path = clipped.map(([e, size]) => `${x(e)} ${y(size)}`).join("L");
      parts.push(draw("path", { class: "guide", d: `M${path}` }));
      const [e, size] = clipped[where];
      const [side, shift] = where ? ["end", -4] : ["start", 5];
      parts.push(draw("text", { class: `tick ${side}`, x: x(e) + shift, y: y(size) + 12 }, name));
    };
    const size = Math.log10(Math.abs(run.J) * 2 ** -53 || 2 ** -53);
    line((e) => size - e, "1/ε", 0);
    const anchor = [1, 2].find((n) => run.results.has(n) && !run.results.get(n).kinks.length);
    const error = anchor && run.results.get(anchor).error;
    if (error > 100 * 10 ** (size + anchor)) line((e) => Math.log10(error) + 2 * (e + anchor), "ε²", 1);
    return parts;
  }

  // -- the tab ---------------------------------------------------------------------------------------------
  const slider = make("input", {
    type: "range", min: 1, max: MOST, step: 1, value: 4, class: "epsilon", "aria-label": "ε",
    input: () => {
      if (!run || run.formula === null) return;
      if (!run.results.has(chosen())) compute(chosen());
      show();
    },
  });
  const chosen = () => MOST + 1 - Number(slider.value); // small ε on the left, as in the picture
  slider.value = MOST + 1 - 4;
  const place = make("div", {});
  const epsilon = make("b", { class: "power" });
  const table = make("tbody", {});
  const kink = make("p", { class: "warning" });
  const plot = make("div", { class: "plot" });

  /** Two numbers with the digits they share set in bold. */
  function shared(own, other) {
    const same = [...own].findIndex((sign, n) => sign !== other[n]);
    const count = same < 0 ? own.length : same;
    return [make("b", {}, own.slice(0, count)), own.slice(count)];
  }

  function show() {
    const name = page.entryTitle(run.id, run.index);
    if (run.formula === null) {
      table.replaceChildren();
      plot.replaceChildren();
      kink.replaceChildren(say("There is no ∂J/∂w of this: choose a weight, a bias or an input.",
        "它没有 ∂J/∂w：请选择权重、偏置或输入。"));
      return;
    }
    const one = run.results.get(chosen());
    const [quotient, formula] = [one.quotient, run.formula].map((value) => number(value, 12));
    const row = (label, ...value) => make("tr", {}, make("th", { scope: "row" }, label), make("td", {}, value));
    epsilon.textContent = `ε = ${power(-chosen())}`;
    table.replaceChildren(
      row(`(${page.loss}(w+ε) − ${page.loss}(w−ε)) / 2ε`, shared(quotient, formula)),
      row(`∂${page.loss}/∂${name}`, shared(formula, quotient)),
      row(say("difference", "相差"), number(one.error, 3)));
    kink.replaceChildren(...aboutKink(one));
    plot.replaceChildren(picture());
  }

  function aboutKink(one) {
    if (!one.kinks.length) return [];
    const names = one.kinks.join(", ");
    const least = run.results.get(MOST);
    const apart = Math.abs(one.left - one.right) > 1e-3 * (Math.abs(one.left) + Math.abs(one.right));
    if (least?.kinks.length && apart) {
      return [say(
        `w lies on a kink of ${names}: the slope is ${number(one.left)} on its left and ${number(one.right)} ` +
          "on its right; the formula takes one side, the quotient the mean of both.",
        `w 正落在 ${names} 的折点上：左侧斜率 ${number(one.left)}，右侧斜率 ${number(one.right)}；公式取其中一侧，差商得到两侧的平均。`)];
    }
    return [say(
      `Between w − ε and w + ε a unit or a winner in ${names} changes sides: J may have a kink there, ` +
        "and the quotient mixes two slopes. A smaller ε stays on one side.",
      `在 w − ε 与 w + ε 之间，${names} 中有单元或胜者换边：J 在那里可能有折点，差商混合了两个斜率。更小的 ε 只在一侧。`)];
  }

  const content = edit.frozen ? page.frozenText() : [
    place,
    make("div", { class: "line" }, make("span", {}, power(-MOST)), slider, make("span", {}, power(-1)), epsilon),
    make("div", { class: "both" },
      make("div", { class: "scroll" }, make("table", {}, table), kink,
        make("p", { class: "hint" }, say(
          "Larger ε: the curve of J bends away from its tangent, and the error grows with ε² (truncation).",
          "ε 更大：J 的曲线偏离切线，误差随 ε² 增大（截断误差）。")),
        make("p", { class: "hint" }, say(
          "Smaller ε: J(w+ε) and J(w−ε) agree in ever more digits; their difference is left with the rounding " +
            "of J, and the error grows with 1/ε.",
          "ε 更小：J(w+ε) 与 J(w−ε) 相同的位数越来越多，相减后只剩 J 的舍入误差，误差随 1/ε 增大。"))),
      plot),
  ];
  const renew = () => dock.at === "nudge" && !edit.frozen && begin();
  dock.tab("nudge", say("Nudge", "微扰"), content, { opened: () => !edit.frozen && (page.pick(place), begin()) });
  page.onSelect(renew);
  page.onChange(renew);
  page.nudge = { finish, results: () => run };
})(chainrule.page);
