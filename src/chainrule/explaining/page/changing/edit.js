// Changes: numbers of the batch and the parameters are edited, taken back, and everything is recomputed.
//
//   page.edit.ids           what may be changed: "input", "y" and the parameters whose numbers are in the page
//   frozen                  null, or {en, zh}: why nothing can be recomputed here
//   set(id, index, value)   change one number; `gesture`: a series of these is one step of undo
//   step(eta), undo(), reset(), settle() (recompute now instead of in a moment)
//   value(id, index), before(id, index), edited(id, index), moved(id), count(), eta(), now(), start(),
//   penaltyOf(W, root, id)
"use strict";
((page) => {
  const { document: report } = page;
  const at = chainrule.arrays;
  // Products in a forward pass, of one sample and of the batch.  All passes make 12 million of them per second: a
  // LeNet of 28x28 pixels takes 30 ms per sample, the largest batch that is allowed about 3 s.
  const [LIMIT, BATCH] = [20e6, 40e6];
  const originals = chainrule.decode(report);
  const ownEta = report.update?.eta ?? 0.1;
  const leaves = chainrule.layersOf(report.graph.layers).filter((layer) => layer.kind !== "composite");
  const parameters = leaves.flatMap((layer) => Object.values(layer.parameters ?? {}));
  const given = leaves.flatMap((layer) => Object.values(layer.given ?? {}));

  // -- what keeps a page from recomputing ------------------------------------------------------------------
  /** How many products one sample takes in a forward pass: every weight once per position. */
  function products() {
    return leaves.reduce((sum, layer) => {
      const shape = layer.kind === "recurrent" ? layer.input_shape : layer.shape;
      const sizes = Object.values(layer.parameters ?? {}).map((id) => at.sizeOf(report.tensors[id].shape));
      return sum + at.sizeOf(shape.slice(0, -1)) * sizes.reduce((a, b) => a + b, 0);
    }, 0);
  }

  function reason() {
    const dark = leaves.find((layer) => !layer.formulas);
    if (dark) {
      return { en: `${dark.title} has no formulas in this page.`, zh: `本页没有 ${dark.title} 的公式。` };
    }
    const needed = ["input", "y", ...parameters, ...given, ...(report.loss.weights ? ["weights"] : [])];
    const absent = needed.find((id) => !originals[id]);
    if (absent) {
      return {
        en: `The numbers of ${absent} did not fit into this page: write explain(…, budget="8MB") for them.`,
        zh: `${absent} 的数值放不进本页：可写 explain(…, budget="8MB")。`,
      };
    }
    if (!report.loss.formulas || (report.penalty && !report.penalty.formulas)) {
      return { en: "The loss has no formulas in this page.", zh: "本页没有损失函数的公式。" };
    }
    const [one, samples] = [products() / 1e6, report.tensors.input.shape.at(-1)];
    if (1e6 * one > LIMIT) {
      return {
        en: `A forward pass takes ${one.toFixed(1)} million products per sample, too many to be redone in a page.`,
        zh: `前向传播每个样本约需 ${one.toFixed(1)} 百万次乘法，在网页里重算太慢。`,
      };
    }
    if (1e6 * one * samples <= BATCH && page.affordable()) return null;
    const all = (one * samples).toFixed(1);
    return {
      en: `A forward pass of ${samples} samples takes ${all} million products, too many to be redone in a page: ` +
        "explain fewer samples.",
      zh: `${samples} 个样本的前向传播约需 ${all} 百万次乘法，在网页里重算太慢：请减少样本。`,
    };
  }

  // -- the edits -------------------------------------------------------------------------------------------
  const history = []; // {id, place, was, is}; id "eta" for the step
  const current = new Map(); // id -> Map(place -> value), of what differs from the report
  let eta = ownEta;
  let gesture = null;
  let waiting = null;
  let cost = 0; // milliseconds of the last recomputation with the picture of it
  let start = null;

  const original = (id, place) => originals[id].data[place];
  const valueAt = (id, place) => current.get(id)?.get(place) ?? original(id, place);

  function put(id, place, value) {
    if (id === "eta") {
      eta = value;
      return;
    }
    const own = current.get(id) ?? new Map();
    if (value === original(id, place)) own.delete(place);
    else own.set(place, value);
    if (own.size) current.set(id, own);
    else current.delete(id);
  }

  function record(id, place, was, is, series) {
    const last = history.at(-1);
    const same = series !== null && series === gesture && last?.id === id && last.place === place;
    gesture = series;
    if (same) last.is = is;
    else if (was !== is) history.push({ id, place, was, is });
    put(id, place, is);
    schedule();
  }

  function changes() {
    return Object.fromEntries([...current].map(([id, own]) => {
      const data = originals[id].data.slice();
      for (const [place, value] of own) data[place] = value;
      return [id, { shape: originals[id].shape, data }];
    }));
  }

  /** Recompute in a moment: what took long waits until the hand rests. */
  function schedule() {
    clearTimeout(waiting);
    waiting = setTimeout(settle, cost < 40 ? 0 : Math.min(3 * cost, 600));
    page.dock.element.classList.toggle("busy", cost >= 40);
  }

  function settle() {
    clearTimeout(waiting);
    if (waiting === null) return;
    waiting = null;
    const begun = performance.now();
    starting();
    page.change(changes());
    cost = performance.now() - begun;
    page.dock.element.classList.remove("busy");
  }

  /** The passes of the report itself, as the page computes them. */
  function starting() {
    start ??= chainrule.passes(report);
    return start;
  }

  /** The passes with the changes, J after the step of this η among them. */
  function now() {
    const found = current.size ? page.passes() : starting();
    if (eta === ownEta) return found;
    const moved = Object.entries(found.gradients).map(([id, slope]) => {
      const theta = page.changes()[id] ?? originals[id];
      return [id, at.zip((a, b) => a - eta * b, theta, slope)];
    });
    const J_after = chainrule.forward(report, { ...page.changes(), ...Object.fromEntries(moved) }).J;
    return { ...found, J_after };
  }

  /** What the penalty adds to the gradient of a parameter ("gradient") or to J ("value"), or would add to that of any
   *  (id null); null without a penalty.
   */
  function penaltyOf(W, root = "gradient", id = null) {
    if (!report.penalty) return null;
    const { nodes, roots } = chainrule.penaltyFormulas(report.penalty, id);
    const constants = Object.entries(report.penalty.constants).map(([name, value]) => [name, at.scalar(value)]);
    return chainrule.evaluate(nodes, roots[root], { ...Object.fromEntries(constants), W });
  }

  const edit = {
    frozen: reason(),
    ids: ["input", "y", ...new Set(parameters)].filter((id) => originals[id]),
    eta: () => eta,
    moved: (id) => (id === "eta" ? eta !== ownEta : current.has(id)),
    count: () => [...current.values()].reduce((sum, own) => sum + own.size, 0) + Number(eta !== ownEta),
    steps: () => history.length,
    value: (id, index) => valueAt(id, at.flat(originals[id].shape, index)),
    before: (id, index) => original(id, at.flat(originals[id].shape, index)),
    edited: (id, index) => current.get(id)?.has(at.flat(report.tensors[id].shape, index)) ?? false,
    changed: () => [...current].flatMap(([id, own]) =>
      [...own.keys()].map((place) => ({ id, index: at.unflat(originals[id].shape, place) }))),
    set(id, index, value, series = null) {
      const place = at.flat(originals[id].shape, index);
      record(id, place, valueAt(id, place), value, series);
    },
    step: (value, series = null) => record("eta", 0, eta, value, series),
    undo() {
      const last = history.pop();
      if (!last) return;
      gesture = null;
      put(last.id, last.place, last.was);
      schedule();
    },
    reset() {
      history.length = 0;
      gesture = null;
      current.clear();
      eta = ownEta;
      schedule();
    },
    settle,
    penaltyOf,
    now,
    start: starting,
  };
  page.edit = edit;
})(chainrule.page);
