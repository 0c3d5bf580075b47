// Where an entry comes from: page.derivation(id, index), the element of the formula that computes it.
//
// {value, parts: [{layer, element, ids, note}], reason}: one part for an entry of a formula; several are
// added, as δ where branches meet, a recurrent gradient over its steps, a penalty.  element: of
// engine/elements.js; ids: symbol -> tensor.  reason: {en, zh} where the page cannot tell, with the value
// if that is known.
"use strict";
((page) => {
  const { document: report } = page;
  const at = chainrule.arrays;
  const { loss } = report;
  const MOST = 3e7; // products of a layer that are computed for one entry: a tenth of a second
  const MOST_READ = 2e5; // nodes read for one entry; through its names, which only outlines need, fewer
  const MOST_THROUGH = 5e3; // 30 ms; through attention it would be millions
  const top = report.graph.layers;
  const layers = new Map(chainrule.layersOf(top).map((layer) => [layer.name, layer]));

  // -- the graph: who reads a tensor, what a layer reads, where a branch ends -----------------------------
  const readers = new Map(); // id -> [{layer}] or [{composite, branch}] of an empty branch
  const inputs = new Map(); // layer -> id
  const joined = new Map(); // join -> the ids that it reads
  const ends = new Map(); // the last layer of a branch -> {composite, branch}

  function follow(chain, ids) {
    for (const layer of chain) {
      inputs.set(layer.name, ids[0]);
      if (layer.several) joined.set(layer.name, ids);
      if (layer.kind !== "composite") add(ids[0], { layer });
      const made = [ids[0]]; // what comes in, and what every branch puts out
      layer.branches?.forEach((inside, branch) => {
        const read = layer.several ? [ids[branch]] : (layer.reads?.[branch] ?? [0]).map((k) => made[k]);
        follow(inside, read);
        made.push(inside.at(-1)?.name ?? read[0]);
        if (layer.reads && branch < layer.branches.length - 1) return; // others read it, and it is not put out
        if (inside.length) ends.set(inside.at(-1).name, { composite: layer, branch });
        else add(read[0], { composite: layer, branch });
      });
      ids = [layer.name];
    }
  }
  function add(id, reader) {
    readers.set(id, [...(readers.get(id) ?? []), reader]);
  }
  follow(top, ["input"]);
  const output = loss.pair ? inputs.get(top.at(-1).name) : top.at(-1).name; // where δ enters the network

  class Unknown extends Error {
    constructor(en, zh) {
      super(en);
      this.reason = { en, zh };
    }
  }

  function numbers(id) {
    const found = page.tensor(id);
    if (!found) {
      throw new Unknown(
        `frozen: the numbers of ${id} are not in this page, for want of room (budget=…)`,
        `已冻结：本页放不下 ${id} 的数值（budget=…）`,
      );
    }
    return found;
  }
  const entryAt = (id, index) => {
    const { shape, data } = numbers(id);
    return data[at.flat(shape, index)];
  };

  // -- formulas of layers ----------------------------------------------------------------------------------
  function idsOf(layer) {
    const { name } = layer;
    const own = { ...layer.parameters, ...layer.given };
    return { ...own, x: inputs.get(name), z: name, a: name, d: `delta:${name}` };
  }

  let kept = { key: null, formula: null }; // of the last layer: an entry beside it asks for the same arrays
  page.onChange(() => {
    kept = { key: null };
  });

  function formulaOf(key, nodes, bindings) {
    if (kept.key !== key) kept = { key, formula: new chainrule.Formula(nodes, bindings()) };
    return kept.formula;
  }

  function tooLarge(layer) {
    const samples = report.tensors.input.shape.at(-1);
    const weights = Object.values(layer.parameters ?? {}).map((id) => at.sizeOf(report.tensors[id].shape));
    return samples * at.sizeOf(layer.shape.slice(0, -1)) * Math.max(0, ...weights) > MOST;
  }

  /** The element of a leaf's formula at an entry, under its symbols' numbers. */
  function ofLeaf(layer, root, index) {
    if (!layer.formulas) {
      throw new Unknown(
        `${layer.title} is computed by code of its own: there is no formula to read`,
        `${layer.title} 由自己的代码计算，没有可读的公式`,
      );
    }
    if (tooLarge(layer)) {
      throw new Unknown(
        "frozen: this layer takes too long to compute in a page",
        "已冻结：这一层在网页里计算太慢",
      );
    }
    const ids = idsOf(layer);
    const { nodes, roots } = layer.formulas;
    const used = new Set(nodes.map((node) => node.symbol));
    const forward = root === "forward";
    const needed = ([name]) => used.has(name) && !(forward && ["d", "z", "a"].includes(name));
    const bound = () => Object.entries(ids).filter(needed).map(([name, id]) => [name, numbers(id)]);
    const formula = formulaOf(`${layer.name} ${forward}`, nodes, () => Object.fromEntries(bound()));
    const element = read(nodes, roots[root], index, formula, {});
    if (!element)
      throw new Unknown(
        "this entry is made of too many others to be shown",
        "这个元素由过多的其他元素组成，无法显示",
      );
    const named = chainrule.entries(element).some((one) => !one.symbol);
    return {
      layer,
      ids,
      root,
      element,
      through: named ? read(nodes, roots[root], index, formula, { through: true, most: MOST_THROUGH }) : null,
    };
  }

  /** An element; null for one that is made of too much to be shown. */
  function read(nodes, root, index, formula, options) {
    try {
      return chainrule.element(nodes, root, index, formula, { most: MOST_READ, ...options });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return null;
    }
  }

  /** A number by itself, as one term: what another card works out. */
  const single = (layer, id, index, note) => ({
    layer,
    ids: { d: id },
    note,
    element: {
      kind: "entry",
      value: entryAt(id, index),
      symbol: ["d", "gradient of output", "array"],
      name: "d",
      index,
    },
  });

  // -- recurrent layers: an entry of a step ----------------------------------------------------------------
  function stepsOf(layer) {
    if (!page.affordable())
      throw new Unknown("frozen: too much to compute in a page", "已冻结：在网页里计算量太大");
    const found = page.passes().steps[layer.name];
    if (!found)
      throw new Unknown(`the steps of ${layer.name} are not in this page`, `本页没有 ${layer.name} 的各步`);
    return found;
  }

  function ofStep(layer, root, step, index) {
    const { nodes, roots } = layer.formulas;
    const ids = idsOf(layer);
    const formula = formulaOf(`${layer.name} ${step.t}`, nodes, () => step.bindings);
    const note = { en: `step t = ${step.t}`, zh: `第 t = ${step.t} 步` };
    return {
      layer,
      ids: { ...ids, x: null, z: null, a: null, d: null }, // of a step, not of the layer
      root,
      note,
      element: chainrule.element(nodes, roots[root], index, formula),
    };
  }

  /** Of the states behind one another: which one a number is of, and where in it. */
  function amongStates(sizes, place) {
    let n = 0;
    while (place >= sizes[n]) place -= sizes[n++];
    return [n, place];
  }

  function ofRecurrent(layer, root, index) {
    const steps = stepsOf(layer);
    if (root.startsWith("gradient:")) {
      const name = root.replace("gradient:", "step_gradient:");
      return steps.map((step) => ofStep(layer, name, step, index));
    }
    const { states, sizes, outputs, sources, ends } = layer.recurrent;
    const stepAt = (t) => steps.find((step) => step.t === t);
    const last = index.at(-1);
    if (root === "delta") {
      if (!sources.length) return [ofStep(layer, "step_delta:x", stepAt(index[0]), index.slice(1))];
      const [, stop, [, features]] = sources[0]; // what it reads lies in a row
      const within = index[0] - stop;
      if (within >= 0) {
        const [n, place] = amongStates(sizes, within);
        return [ofStep(layer, `step_delta:${states[n]}`, steps[0], [place, last])];
      }
      const step = stepAt(Math.floor(index[0] / features));
      return [ofStep(layer, "step_delta:x", step, [index[0] % features, last])];
    }
    if (ends) {
      const shown = layer.shape[0] - sizes.reduce((a, b) => a + b);
      if (index[0] >= shown) {
        const [n, place] = amongStates(sizes, index[0] - shown);
        return [ofStep(layer, `step:${states[n]}`, steps.at(-1), [place, last])];
      }
      index = outputs === "last" ? index : [Math.floor(index[0] / sizes[0]), index[0] % sizes[0], last];
    }
    const step = outputs === "last" ? steps.at(-1) : stepAt(index[0]);
    return [ofStep(layer, `step:${states[0]}`, step, outputs === "last" ? index : index.slice(1))];
  }

  const ofLayer = (layer, root, index) =>
    layer.kind === "recurrent" ? ofRecurrent(layer, root, index) : [ofLeaf(layer, root, index)];

  // -- composites ------------------------------------------------------------------------------------------
  const lastOf = (composite, branch) =>
    composite.branches[branch].at(-1)?.name ?? (joined.get(composite.name)?.[branch] ?? inputs.get(composite.name));
  const sampleOf = (id) => report.tensors[id].shape.slice(0, -1);
  const featuresOf = (composite, id) =>
    composite.join === "row" ? at.sizeOf(sampleOf(id)) : sampleOf(id).at(-1);

  /** Where the features of a branch begin in the concatenation, in a row its numbers. */
  const offsetOf = (composite, branch) =>
    Array.from({ length: branch }, (_, n) => featuresOf(composite, lastOf(composite, n))).reduce((a, b) => a + b, 0);

  const shifted = (index, by) => index.map((i, axis) => (axis === index.length - 2 ? i + by : i));

  const BY_ENTRY = ["product", "maximum", "minimum", "quotient", "power"];
  const notHere = () =>
    new Unknown("values joined entry by entry: they are on the card", "这是若干值逐项的结合：各值见卡片");

  function ofJoin(composite, index) {
    const through = { en: "out of a branch", zh: "来自一个分支" };
    if (composite.reads) return [single(composite, lastOf(composite, composite.branches.length - 1), index, through)];
    if (BY_ENTRY.includes(composite.join)) throw notHere();
    if (composite.join === "sum") {
      return composite.branches.map((_, n) => single(composite, lastOf(composite, n), index, through));
    }
    const branch = composite.branches.findLastIndex((_, n) => offsetOf(composite, n) <= index.at(-2));
    const place = shifted(index, -offsetOf(composite, branch));
    const id = lastOf(composite, branch);
    const own = composite.join === "row" ? [...at.unflat(sampleOf(id), place[0]), place.at(-1)] : place;
    return [single(composite, id, own, through)];
  }

  /** What δ of a composite's output gives a branch: all of it, or its features. */
  function ofShare({ composite, branch }, index) {
    if (BY_ENTRY.includes(composite.join)) throw notHere();
    const shape = sampleOf(lastOf(composite, branch));
    const own = composite.join === "row" ? [at.flat(shape, index.slice(0, -1)), index.at(-1)] : index;
    const place = composite.join === "sum" ? index : shifted(own, offsetOf(composite, branch));
    return single(composite, `delta:${composite.name}`, place, { en: "handed on as it is", zh: "原样传下" });
  }

  // -- loss and penalty ------------------------------------------------------------------------------------
  function ofLoss(index) {
    if (!loss.formulas) throw new Unknown("the loss has no formula in this page", "本页没有损失函数的公式");
    const { nodes, roots } = loss.formulas;
    const last = top.at(-1).name;
    const ids = { a: last, z: inputs.get(last), y: "y" };
    const used = new Set(nodes.map((node) => node.symbol));
    const bindings = Object.fromEntries(
      Object.entries(ids)
        .filter(([name]) => used.has(name))
        .map(([name, id]) => [name, numbers(id)]),
    );
    const inner = chainrule.element(nodes, roots[loss.pair ? "residual" : "gradient"], index, bindings);
    const samples = numbers("y").shape.at(-1);
    const weight = loss.weights ? entryAt(loss.weights, [index.at(-1)]) : 1;
    const scale = {
      kind: "call",
      name: "divide",
      value: weight / samples,
      of: [weight, samples].map((value) => ({ kind: "number", value })),
    };
    const element = { kind: "product", value: scale.value * inner.value, of: [scale, inner] };
    return { layer: null, ids, element, note: { en: "the loss", zh: "损失" } };
  }

  /** What the penalty adds to an entry of a gradient, as a part; none where the parameter is free. */
  function ofPenalty(id, index) {
    const { penalty } = report;
    if (!penalty?.on.includes(id)) return [];
    const constants = Object.entries(penalty.constants).map(([name, value]) => [name, at.scalar(value)]);
    const { nodes, roots } = chainrule.penaltyFormulas(penalty, id);
    const element = chainrule.element(nodes, roots.gradient, index, {
      ...Object.fromEntries(constants),
      W: numbers(id),
    });
    return [{ layer: null, ids: { W: id }, element, note: { en: "the penalty", zh: "惩罚项" } }];
  }

  // -- all together ----------------------------------------------------------------------------------------
  function ofDelta(id, index) {
    const parts = (readers.get(id) ?? [])
      .filter(({ layer }) => !(loss.pair && layer === top.at(-1)))
      .flatMap((reader) => (reader.layer ? ofLayer(reader.layer, "delta", index) : [ofShare(reader, index)]));
    if (ends.has(id)) parts.push(ofShare(ends.get(id), index));
    if (id === output) parts.push(ofLoss(index));
    return parts;
  }

  function partsOf(quantity, index) {
    const [kind, name] = /^(delta|gradient):/.test(quantity) ? quantity.split(/:(.*)/s) : ["", quantity];
    if (kind === "delta") return ofDelta(name, index);
    if (kind === "gradient") {
      const uses = [...layers.values()].flatMap((layer) =>
        Object.entries(layer.parameters ?? {})
          .filter(([, id]) => id === name)
          .flatMap(([own]) => ofLayer(layer, `gradient:${own}`, index)),
      );
      return [...uses, ...ofPenalty(name, index)];
    }
    const layer = layers.get(quantity);
    if (!layer) return [];
    return layer.kind === "composite" ? ofJoin(layer, index) : ofLayer(layer, "forward", index);
  }

  /** The entries of tensors that parts are made of, each once: {id, index, size, silent}.
   *
   *  size: of the product it stands in.  silent: a factor 0 keeps it out, such as a window the pixel did not win.
   */
  page.sources = (parts) => {
    const found = new Map();
    const visit = (element, ids, silent, size) => {
      const own = size ?? (element.kind === "product" ? Math.abs(element.value) : null);
      if (element.kind === "entry") {
        const id = element.symbol && ids[element.symbol[0]];
        const index = element.index ?? [];
        const key = `${id} ${index}`;
        const one = { id, index, size: own ?? Math.abs(element.value), silent };
        if (id && !(found.has(key) && silent)) found.set(key, one);
        return;
      }
      const factors = element.kind === "product" ? element.of : [];
      const none = factors.some((one) => one.kind === "number" && one.value === 0);
      for (const one of element.of ?? []) visit(one, ids, silent || none, own);
    };
    for (const { element, through, ids } of parts) visit(through ?? element, ids, false, null);
    return [...found.values()];
  };

  /** How an entry of a tensor is computed. */
  page.derivation = (quantity, index) => {
    const known = page.tensor(quantity);
    const value = known ? known.data[at.flat(known.shape, index)] : null;
    try {
      const parts = partsOf(quantity, index);
      const sum = parts.reduce((total, { element }) => total + element.value, 0);
      const near =
        value === null || Math.abs(sum - value) <= 1e-9 * (1 + Math.abs(value)) || !Number.isFinite(value);
      if (parts.length && !near) {
        const reason = { en: "a mask or a cut decides this entry", zh: "这个元素由掩码或截断决定" };
        return { value, parts: [], reason };
      }
      return { value: value ?? (parts.length ? sum : null), parts, reason: null };
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      return { value, parts: [], reason: error.reason };
    }
  };
  page.ofPenalty = ofPenalty;
  page.graph = { layers, inputs, readers, output, idsOf };
})(chainrule.page);
