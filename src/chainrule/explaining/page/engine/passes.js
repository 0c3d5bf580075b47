// The engine of the page: from a document to the same passes that made it, in float64.
//
// decode(document) gives the arrays; evaluate(nodes, root, bindings) a formula's value; passes(document,
// changes) everything anew: forward, J, δ, gradients, and the step θ - η ∇.  A formula or an array that is not
// in the document ends the computation, and the result says what it was ("frozen").
"use strict";

(function (chainrule) {
  const at = chainrule.arrays;
  const { array, put, reshaped, scalar, sum, zip } = at;

  // -- formulas --------------------------------------------------------------------------------------------
  /** Evaluates the nodes of one table (formulas/exchange.py) under bindings, every one once per offset. */
  class Formula {
    constructor(nodes, bindings) {
      this.nodes = nodes;
      this.bindings = bindings;
      this.memory = nodes.map(() => new Map());
      this.free = freeIndices(nodes);
    }

    /** The value of a node; offsets: the values of the indices of the reductions around it. */
    value(number, offsets = {}) {
      const key = this.free[number].map((name) => offsets[name]).join();
      const values = this.memory[number];
      if (!values.has(key)) values.set(key, this.computed(this.nodes[number], offsets));
      return values.get(key);
    }

    computed(node, offsets) {
      if ("number" in node) return scalar(Number(chainrule.fillOf(node.number)));
      if ("index" in node) return scalar(offsets[node.index]);
      if ("named" in node) return this.value(node.is, offsets);
      if ("symbol" in node) {
        if (!(node.symbol in this.bindings)) throw new Error(`the formula needs a value for ${node.symbol}`);
        return this.bindings[node.symbol];
      }
      if ("over" in node) {
        const values = [...everyOffset(node)].map((inner) => this.value(node.is, { ...offsets, ...inner }));
        return operation(chainrule.binders, node.over)(values, node.ranges);
      }
      const operands = node.to.map((number) => this.value(number, offsets));
      return operation(chainrule.primitives, node.apply)(...operands, node.with ?? {});
    }
  }

  function operation(table, name) {
    if (!Object.hasOwn(table, name)) throw new Error(`this page knows no primitive ${name}`);
    return table[name];
  }

  /** The offsets of a reduction in row-major order, as {index: value}. */
  function* everyOffset({ indices, ranges }) {
    const count = at.sizeOf(ranges);
    for (let n = 0; n < count; n++) {
      const offset = at.unflat(ranges, n);
      yield Object.fromEntries(indices.map((name, axis) => [name, offset[axis]]));
    }
  }

  const tables = new WeakMap(); // of formulas that are evaluated again and again, as a recurrent step's

  /** The indices of reductions that a node's value depends on, for every node. */
  function freeIndices(nodes) {
    if (tables.has(nodes)) return tables.get(nodes);
    const free = [];
    for (const node of nodes) {
      const below = node.to ?? ("is" in node ? [node.is] : []);
      const names = new Set(below.flatMap((number) => free[number]));
      if ("index" in node) names.add(node.index);
      if ("over" in node) for (const name of node.indices) names.delete(name);
      free.push([...names].sort());
    }
    tables.set(nodes, free);
    return free;
  }

  /** The value of the node `root`, its symbols bound by name to arrays. */
  const evaluate = (nodes, root, bindings) => new Formula(nodes, bindings).value(root);

  // -- the document ----------------------------------------------------------------------------------------
  /** The numbers of a tensor; null where it is frozen. */
  function decoded(tensor) {
    if (tensor.data === undefined) return null;
    const text = atob(tensor.data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    // The document is little-endian, as is every machine that has a browser.
    const { buffer } = bytes;
    const wide = tensor.dtype === "float64";
    return array(tensor.shape, wide ? new Float64Array(buffer) : Float64Array.from(new Float32Array(buffer)));
  }

  const known = new WeakMap(); // the arrays of a document: of LeNet they took longer than its passes

  /** Every array of a document by its id, null where it is frozen.  They are kept: change copies only. */
  function decode(document) {
    if (!known.has(document)) {
      const entries = Object.entries(document.tensors).map(([id, tensor]) => [id, decoded(tensor)]);
      known.set(document, Object.fromEntries(entries));
    }
    return known.get(document);
  }

  /** Something that is not in the document is needed; `id`: of a tensor, or the layer without formulas. */
  class Frozen extends Error {
    constructor(id, message) {
      super(message);
      this.id = id;
    }
  }

  // -- layers ----------------------------------------------------------------------------------------------
  /** One evaluation of the network at given arrays. */
  class Network {
    constructor(document, arrays) {
      this.document = document;
      this.arrays = arrays;
    }

    array(id) {
      if (!this.arrays[id]) throw new Frozen(id, `the numbers of ${id} are not in this page`);
      return this.arrays[id];
    }

    /** A formula of a layer (or loss, or penalty) under bindings. */
    formula(owner, bindings) {
      const title = owner.title ?? owner.name;
      if (!owner.formulas) throw new Frozen(owner.name, `${title} has no formulas in this page`);
      const { nodes, roots } = owner.formulas;
      const formula = new Formula(nodes, bindings);
      return (name) => formula.value(roots[name]);
    }

    given(layer) {
      const ids = { ...layer.parameters, ...layer.given };
      return Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, this.array(id)]));
    }

    /** The passes of a chain; found: the outputs by layer, and all passes by layer. */
    forward(layers, read, found = { outputs: {}, passes: {} }) {
      const passes = [];
      let [x, ...beside] = [read].flat();
      for (const layer of layers) {
        const one = { layer, x, ...this.one(layer, [x, ...beside], found) };
        beside = [];
        found.outputs[layer.name] = x = one.output;
        found.passes[layer.name] = one;
        passes.push(one);
      }
      return passes;
    }

    /** read: what comes in, of a join several values. */
    one(layer, read, found) {
      const [x] = read;
      if (layer.kind === "composite") {
        const made = [read]; // what comes in, and what every branch puts out
        const inside = layer.branches.map((branch, n) => {
          const own = layer.several ? [read[n]] : sourcesOf(layer, n).flatMap((source) => made[source]);
          const passes = this.forward(branch, own, found);
          made.push([passes.at(-1)?.output ?? own[0]]);
          return passes;
        });
        const ends = (layer.reads ? made.slice(-1) : made.slice(1)).flat();
        const rows = layer.join === "row" ? ends.map(row) : ends;
        return { inside, ends, output: rows.reduce((joined, end) => this.joined(layer, joined, end)) };
      }
      const given = this.given(layer);
      if (layer.kind === "recurrent") return { given, ...this.passage(layer, x, given) };
      return { given, output: this.formula(layer, { ...given, x })("forward") };
    }

    joined({ join }, left, right) {
      return join in JOINED ? zip(JOINED[join], left, right) : chainrule.primitives.beside(left, right);
    }

    /** δ of the chain's input from d = ∂J/∂(its output); fills in δ of every layer and the gradients. Of a
     *  chain that begins with a join a list, of every source its δ. */
    backward(passes, d, deltas, gradients) {
      for (const one of [...passes].reverse()) {
        deltas[one.layer.name] = one.d = d;
        d = one.inside ? this.split(one, d, deltas, gradients) : this.below(one, d, gradients);
      }
      return d;
    }

    /** What every branch that is joined is handed. */
    parts({ layer, inside, ends }, d) {
      return inside.map((_, n) => {
        if (layer.join in SHARES)
          return ends.reduce((own, other, k) => (k === n ? own : times(own, zip(SHARES[layer.join](k < n), ends[n], other))), d);
        if (layer.join === "row") {
          const own = row(ends[n]);
          const part = n === inside.length - 1 ? d : chainrule.primitives.first_features(d, own);
          d = n === inside.length - 1 ? d : chainrule.primitives.other_features(d, own);
          return reshaped(part, ends[n].shape);
        }
        if (layer.join !== "concat" || n === inside.length - 1) return d;
        const part = chainrule.primitives.first_features(d, ends[n]);
        d = chainrule.primitives.other_features(d, ends[n]);
        return part;
      });
    }

    split(one, d, deltas, gradients) {
      const { layer, inside } = one;
      if (layer.several) return this.parts(one, d);
      const arrived = [null, ...(layer.reads ? inside.map(() => null) : this.parts(one, d))];
      if (layer.reads) arrived[inside.length] = d;
      const plus = (total, part) => (total ? zip(at.plus, total, part) : part);
      for (let n = inside.length - 1; n >= 0; n--) {
        const below = [this.backward(inside[n], arrived[n + 1], deltas, gradients)].flat();
        sourcesOf(layer, n).forEach((source, i) => (arrived[source] = plus(arrived[source], below[i])));
      }
      return arrived[0];
    }

    below(one, d, gradients) {
      const { layer } = one;
      if (layer.kind === "recurrent") return this.backThroughTime(one, d, gradients);
      const value = this.formula(layer, bindingsOf(one));
      for (const name of layer.learned) add(gradients, layer.parameters[name], value(`gradient:${name}`));
      return value("delta");
    }

    /** The passage of a recurrent layer through its steps: what every step was given, and the output. */
    passage(layer, x, given) {
      const { states, sizes, outputs, reverse, sources, ends } = layer.recurrent;
      const width = x.shape.at(-1);
      const parts = sources.map(([start, stop, shape]) => part(x, start, stop, shape));
      if (parts.length) x = parts[0];
      const count = x.shape[0];
      const order = Array.from({ length: count }, (_, n) => (reverse ? count - 1 - n : n));
      const every = array([count, sizes[0], width]);
      let state = Object.fromEntries(states.map((name, n) => [name, parts[n + 1] ?? array([sizes[n], width])]));
      const steps = [];
      for (const t of order) {
        const before = { ...given, ...state, x: step(x, t) };
        const value = this.formula(layer, before);
        steps.push({ t, bindings: before });
        state = Object.fromEntries(states.map((name) => {
          const after = value(`step:${name}`);
          return [name, given.mask ? unmasked(given.mask, t, after, before[name]) : after];
        }));
        put(every, reshaped(state[states[0]], [1, sizes[0], width]), [t, 0, 0]);
      }
      const shown = outputs === "last" ? state[states[0]] : given.mask ? masked(given.mask, every) : every;
      return { steps, output: ends ? side([shown, ...states.map((name) => state[name])]) : shown };
    }

    backThroughTime({ layer, x, steps, given }, d, gradients) {
      const { states, sizes, outputs, truncate, sources, ends } = layer.recurrent;
      const width = x.shape.at(-1);
      const delta = array(sources.length ? [...sources[0][2], width] : x.shape);
      const shares = Object.fromEntries(layer.learned.map((name) => [name, null]));
      let arrived = Object.fromEntries(states.map((name, n) => [name, array([sizes[n], width])]));
      if (ends) {
        const shown = d.shape[0] - sizes.reduce((a, b) => a + b);
        let from = shown;
        states.forEach((name, n) => (arrived[name] = part(d, from, (from += sizes[n]), [sizes[n]])));
        d = part(d, 0, shown, outputs === "last" ? [sizes[0]] : [shown / sizes[0], sizes[0]]);
      }
      for (let n = steps.length - 1; n >= 0; n--) {
        const { t, bindings } = steps[n];
        const there = given.mask ? reshaped(step(given.mask, t), [1, width]) : scalar(1);
        const from = outputs === "all" ? times(step(d, t), there) : n === steps.length - 1 ? d : null;
        if (from) arrived[states[0]] = zip(at.plus, arrived[states[0]], from);
        const own = Object.entries(arrived).map(([name, value]) => [`d${name}`, times(value, there)]);
        const value = this.formula(layer, Object.assign(bindings, Object.fromEntries(own)));
        put(delta, reshaped(value("step_delta:x"), [1, ...delta.shape.slice(1)]), [t, 0, 0]);
        for (const name of layer.learned) {
          const share = value(`step_gradient:${name}`);
          shares[name] = shares[name] ? zip(at.plus, shares[name], share) : share;
        }
        const cut = truncate && n && n % truncate === 0 ? 0 : 1;
        arrived = Object.fromEntries(states.map((name) => {
          const past = zip((value, here) => value * (1 - here), arrived[name], there);
          return [name, zip((down, kept) => (down + kept) * cut, value(`step_delta:${name}`), past)];
        }));
      }
      for (const name of layer.learned) add(gradients, layer.parameters[name], shares[name]);
      return sources.length ? side([delta, ...states.map((name) => arrived[name])]) : delta;
    }

    // -- loss and penalty ----------------------------------------------------------------------------------
    /** {J, data, penalty, perSample, d}: d is δ at the output, of z where the loss is a pair. */
    loss(passes, backward) {
      const { loss } = this.document;
      const last = passes.at(-1);
      const y = this.array("y");
      const samples = y.shape.at(-1);
      const weights = loss.weights ? this.array(loss.weights) : at.full([samples], 1);
      const scale = at.map((weight) => weight / samples, weights);
      const value = this.formula({ name: "loss", ...loss }, { a: last.output, z: last.x, y });
      const perSample = value(loss.pair ? "value_from_z" : "value");
      const data = sum(times(scale, perSample), [0]).data[0];
      const added = this.penalty((of) => of("value").data[0]);
      const penalty = added.reduce((total, [, share]) => total + share, 0);
      const d = backward ? times(scale, value(loss.pair ? "residual" : "gradient")) : null;
      return { J: data + penalty, data, penalty, perSample, d };
    }

    /** [parameter, read(its formulas)] for every parameter with a penalty. */
    penalty(read) {
      const { penalty } = this.document;
      if (!penalty) return [];
      const constants = Object.entries(penalty.constants).map(([name, value]) => [name, scalar(value)]);
      const bindings = Object.fromEntries(constants);
      return penalty.on.map((id) => {
        const formulas = penaltyFormulas(penalty, id);
        return [id, read(this.formula({ name: "penalty", formulas }, { ...bindings, W: this.array(id) }))];
      });
    }
  }

  /** The formulas of a penalty for a parameter: those of a Θ leave its column 0 out. */
  const penaltyFormulas = (penalty, id) =>
    (penalty.theta?.on.includes(id) ? penalty.theta.formulas : penalty.formulas);

  /** What branch n of a composite reads: 0 what comes in, k what branch k puts out. */
  const sourcesOf = (layer, n) => layer.reads?.[n] ?? [0];

  const row = (x) => reshaped(x, [at.sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)]);

  /** Numbers of a row, in their own shape, and values side by side in one. */
  const part = (x, start, stop, shape) =>
    chainrule.primitives.arranged(chainrule.primitives.features_between(x, { start, stop }), { shape });
  const side = (values) => values.map(row).reduce((a, b) => chainrule.primitives.beside(a, b));

  const times = (a, b) => zip((p, q) => p * q, a, b);

  /** What is joined entry by entry: of what is joined so far and the next. */
  const JOINED = {
    sum: at.plus,
    product: (a, b) => a * b,
    maximum: Math.max,
    minimum: Math.min,
    quotient: (a, b) => a / b,
    power: (a, b) => a ** b,
  };

  /** The factor of δ of one of the joined values that another one gives, which stands in front of it or not. */
  const SHARES = {
    product: () => (own, other) => other,
    maximum: (earlier) => (own, other) => Number(earlier ? own > other : !(other > own)),
    minimum: (earlier) => (own, other) => Number(earlier ? own < other : !(other < own)),
    quotient: (earlier) => (own, other) => (earlier ? -other / own ** 2 : 1 / other),
    power: (earlier) => (own, other) => {
      if (!earlier) return other * own ** (other - 1);
      const z = other ** own;
      return z === 0 ? 0 : z * Math.log(other);
    },
  };

  /** What one layer gives of a gradient: layers that share a parameter add up. */
  function add(gradients, id, share) {
    gradients[id] = gradients[id] ? zip(at.plus, gradients[id], share) : share;
  }

  /** Entry t of the first axis. */
  function step(x, t) {
    const size = at.sizeOf(x.shape.slice(1));
    return array(x.shape.slice(1), x.data.subarray(t * size, (t + 1) * size));
  }

  /** The new state of the samples whose step t is there, the old one of the others. */
  function unmasked(mask, t, after, before) {
    const there = step(mask, t).data;
    const kept = after.data.map((value, i) => (there[i % there.length] > 0 ? value : before.data[i]));
    return array(after.shape, kept);
  }

  /** Zero at the steps that are padding. */
  const masked = (mask, every) => times(every, reshaped(mask, [mask.shape[0], 1, mask.shape[1]]));

  // -- passes ----------------------------------------------------------------------------------------------
  /** Every layer of a chain in the order of computation, composites behind what is in them. */
  function layersOf(layers) {
    return layers.flatMap((layer) => [...(layer.branches ?? []).flatMap(layersOf), layer]);
  }

  /** What the formulas of a leaf are evaluated with; d is missing where the layer has no δ of its own. */
  function bindingsOf({ x, output, given, d }) {
    const bindings = { ...given, x, z: output, a: output };
    return d ? { ...bindings, d } : bindings;
  }

  /** The bindings of every leaf. */
  function allBindings(found) {
    const leaves = Object.entries(found.passes).filter(([, one]) => one.given);
    return Object.fromEntries(leaves.map(([name, one]) => [name, bindingsOf(one)]));
  }

  /** All passes of a document anew.
   *
   *  changes: {id: array} in place of the document's: of "input", "y", "weights", parameters, what is given.
   *  Returns {J, data, penalty, perSample, J_after, outputs, deltas, gradients, updated,
   *  bindings, steps, frozen}.
   *  outputs, deltas: by layer, and deltas.input.  gradients, updated = θ - η ∇: by parameter.  bindings: by
   *  leaf, for evaluate and element.  steps: of recurrent layers, [{t, bindings}] in the order of the passage.
   *  frozen: null, or {id, reason} of what is missing; all before it is there.  eta: null for no step.
   */
  function passes(document, changes = {}, eta = document.update?.eta ?? null) {
    const arrays = { ...decode(document), ...changes };
    const found = { outputs: {}, passes: {} };
    const result = { outputs: found.outputs, deltas: {}, gradients: {}, updated: {}, frozen: null };
    try {
      fill(result, new Network(document, arrays), eta, found);
    } catch (error) {
      if (!(error instanceof Frozen)) throw error;
      result.frozen = { id: error.id, reason: error.message };
    }
    result.bindings = allBindings(found);
    const through = Object.entries(found.passes).filter(([, one]) => one.steps);
    result.steps = Object.fromEntries(through.map(([name, one]) => [name, one.steps]));
    return result;
  }

  /** The forward pass alone: {J, data, penalty, perSample, bindings}; throws where something is missing. */
  function forward(document, changes = {}) {
    const network = new Network(document, { ...decode(document), ...changes });
    const found = { outputs: {}, passes: {} };
    const made = network.forward(document.graph.layers, network.array("input"), found);
    const { d, ...values } = network.loss(made, false);
    return { ...values, bindings: allBindings(found) };
  }

  function fill(result, network, eta, found) {
    const { graph, loss } = network.document;
    const made = network.forward(graph.layers, network.array("input"), found);
    const { d, ...values } = network.loss(made, true);
    Object.assign(result, values);
    const below = loss.pair ? made.slice(0, -1) : made;
    result.deltas.input = network.backward(below, d, result.deltas, result.gradients);
    for (const [id, added] of network.penalty((of) => of("gradient"))) {
      result.gradients[id] = zip(at.plus, result.gradients[id], added);
    }
    if (eta === null) return;
    for (const [id, gradient] of Object.entries(result.gradients)) {
      result.updated[id] = zip((theta, slope) => theta - eta * slope, network.array(id), gradient);
    }
    const moved = new Network(network.document, { ...network.arrays, ...result.updated });
    result.J_after = moved.loss(moved.forward(graph.layers, moved.array("input")), false).J;
  }

  /** The passes of a document beside the numbers that are in it.
   *
   *  Returns {compared, worst: {id, error}, frozen}.  An error is the largest difference over the largest
   *  number of the array, of δ and gradients at least 1e-4 of the largest there is: what is 0 but for
   *  rounding, such as the gradient of a bias in front of BatchNorm, has no digits.
   */
  function selftest(document) {
    const found = passes(document);
    const arrays = decode(document);
    const named = (prefix, values) => Object.entries(values).map(([name, value]) => [prefix + name, value]);
    const outputs = Object.entries(found.outputs);
    const slopes = [...named("delta:", found.deltas), ...named("gradient:", found.gradients)];
    const size = (x) => x.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const floor = 1e-4 * Math.max(0, ...slopes.map(([, value]) => size(value)));
    const errors = [
      ...outputs.map(([id, value]) => ({ id, value, floor: 0 })),
      ...slopes.map(([id, value]) => ({ id, value, floor })),
    ].filter(({ id }) => arrays[id]).map(({ id, value, floor: least }) =>
      ({ id, error: difference(value, arrays[id]) / (Math.max(size(arrays[id]), least) || 1) }));
    const numbers = [["J", found.J, document.loss.J], ["J_after", found.J_after, document.update?.J_after]];
    for (const [id, value, expected] of numbers) {
      if (typeof value !== "number" || typeof expected !== "number") continue;
      errors.push({ id, error: Math.abs(value - expected) / (Math.abs(expected) || 1) });
    }
    const none = { id: null, error: 0 };
    const worst = errors.reduce((most, one) => (one.error <= most.error ? most : one), none);
    return { compared: errors.length, worst, frozen: found.frozen };
  }

  /** The largest |a - b|; infinite where shapes differ, NaN equal to NaN. */
  function difference(a, b) {
    if (!at.same(a.shape, b.shape)) return Infinity;
    let most = 0;
    a.data.forEach((value, i) => {
      const error = Object.is(value, b.data[i]) || value === b.data[i] ? 0 : Math.abs(value - b.data[i]);
      if (!(error <= most)) most = error;
    });
    return most;
  }

  Object.assign(chainrule, {
    Formula, decode, decoded, evaluate, everyOffset, forward, layersOf, passes, penaltyFormulas, selftest,
  });
  if (typeof module === "object") module.exports = chainrule;
})((globalThis.chainrule ??= {}));
