// The questions of the quiz, and what typical mistakes would answer: page.questions(random).
//
// A question is {kind, layer, part, quantity, index, value, terms, factor, mistakes: [{name, value, en, zh}]}:
// value = (sum of the terms) · factor; what a penalty adds to a gradient is a term.  The wrong answers come from the layer's own formulas, evaluated with
// what the mistake would put in: another W, no bias, δ of one sample.  One is kept only where it differs from the
// right answer by more than rounding.
"use strict";
((page) => {
  const { edit, document: report } = page;
  const at = chainrule.arrays;
  const MOST_TERMS = 16; // of an entry that is asked for
  const TRIES = 12;
  const m = report.tensors.y.shape.at(-1);
  const focus = report.meta.sample;

  const TEXTS = {
    transpose: ["you used W, not Wᵀ (or Wᵀ for W)", "用了 W 而不是 Wᵀ（或相反）"],
    flip: ["the kernel is turned the wrong way (rot180)", "卷积核的翻转（rot180）弄反了"],
    bias: ["the bias is forgotten", "漏了偏置"],
    activated: ["that is f(z), the activation; z was asked", "这是激活值 f(z)，问的是 z"],
    slope: ["that is f′(z), not f(z)", "这是 f′(z)，不是 f(z)"],
    linear: ["that is z: f is forgotten", "这是 z：漏了 f"],
    noslope: ["f′ is forgotten", "漏了 f′"],
    value: ["you used f for f′", "把 f 当成了 f′"],
    outside: ["f′ is taken at x = f(z), not at z", "f′ 在 x = f(z) 处取值，应在 z 处"],
    sloped: ["f′ is multiplied in once too often", "多乘了一次 f′"],
    sign: ["the sign is wrong", "符号反了"],
    reversed: ["prediction − target is reversed", "预测值 − 目标值写反了"],
    target: ["the target is not subtracted", "没有减去目标值"],
    missing: ["1/m is missing", "漏了 1/m"],
    doubled: ["1/m is there twice", "1/m 乘了两次"],
    first: ["only the first sample is counted, not the sum over the batch", "只算了第一个样本，应对整批求和"],
    position: ["only the first position is counted", "只算了第一个位置"],
    penalty: ["the penalty is forgotten", "漏了惩罚项"],
    penalised: ["the bias is penalised too", "偏置也被加了惩罚"],
    half: ["the penalty is λ/2, not λ", "惩罚项系数是 λ/2，不是 λ"],
    divided: ["the penalty is divided by m, or not divided where it should be", "惩罚项该不该除以 m 弄错了"],
    index: ["the indices are swapped", "下标顺序颠倒了"],
    above: ["that is δ of the layer above: δˡ for δˡ⁻¹", "这是上一层的 δ：把 δˡ 当成了 δˡ⁻¹"],
    below: ["z of the layer below is used where its output x belongs", "该用下层输出 x 的地方用了 z"],
    late: ["δ is taken behind the activation: its f′ is forgotten", "δ 取在激活之后：漏了 f′"],
    step: ["that is the step −η ∇, not the gradient", "这是步长 −η∇，不是梯度"],
    sample: ["that is the value of another sample", "这是另一个样本的值"],
  };

  if (report.theta) TEXTS.transpose = ["you used Θ, not Θᵀ (or Θᵀ for Θ)", "用了 Θ 而不是 Θᵀ（或相反）"];

  // -- arrays ----------------------------------------------------------------------------------------------
  const evaluate = (layer, root, bindings) =>
    chainrule.evaluate(layer.formulas.nodes, layer.formulas.roots[root], bindings);
  const times = (a, b) => at.zip((p, q) => p * q, a, b);
  const scaled = (x, factor) => at.map((value) => factor * value, x);
  const transposed = (W) => at.permuted(W, [1, 0]);

  /** A kernel (K, positions ..., C) turned by 180°. */
  function turned(W) {
    const data = new Float64Array(W.data.length);
    W.data.forEach((value, i) => {
      const index = at.unflat(W.shape, i);
      const other = index.map((n, axis) => (axis && axis < W.shape.length - 1 ? W.shape[axis] - 1 - n : n));
      data[at.flat(W.shape, other)] = value;
    });
    return at.array(W.shape, data);
  }

  /** x where keep(index) holds, 0 elsewhere. */
  const only = (x, keep) =>
    at.array(x.shape, x.data.map((value, i) => (keep(at.unflat(x.shape, i)) ? value : 0)));

  function entry(x, index) {
    const there = index.length === x.shape.length && index.every((i, axis) => i < x.shape[axis]);
    return there ? x.data[at.flat(x.shape, index)] : NaN;
  }

  /** The entry with its first two position indices swapped. */
  const swapped = (index, axis = 0) =>
    index.map((value, n) => (n === axis ? index[axis + 1] : n === axis + 1 ? index[axis] : value));

  // -- the network as it is now ----------------------------------------------------------------------------
  let found; // the passes

  /** Every leaf with the one before and behind it in its chain. */
  function places(layers) {
    return layers.flatMap((layer, n) => (layer.branches
      ? layer.branches.flatMap(places)
      : [{ layer, before: layers[n - 1], behind: layers[n + 1] }]));
  }

  /** f′ of an elementwise activation; null for another layer. */
  function slopeOf(layer, x = null) {
    const own = layer && !layer.branches && layer.activation && found.bindings[layer.name];
    if (!own || !layer.formulas) return null;
    const z = x ?? own.x;
    const a = x ? evaluate(layer, "forward", { ...own, x }) : own.a;
    const slope = evaluate(layer, "delta", { ...own, x: z, z: a, a, d: at.full(a.shape, 1) });
    const probe = at.map((value) => value - 0.3, a);
    const whole = evaluate(layer, "delta", { ...own, x: z, z: a, a, d: probe });
    const product = times(probe, slope);
    const near = (value, other) => Math.abs(value - other) <= 1e-9 * (1 + Math.abs(value));
    const same = whole.data.every((value, i) => near(value, product.data[i]));
    return same ? slope : null;
  }

  const isBiased = (layer) => report.theta?.some((one) => one.layer === layer.name && one.bias) ?? false;

  /** {W, given(other)}: the weights of a layer, of Θ without its column 0, and what others are put in by. */
  function weightsOf(layer, own) {
    if (!own.Θ) return { W: own.W, given: (W) => ({ W }) };
    if (!isBiased(layer)) return { W: own.Θ, given: (Θ) => ({ Θ }) };
    const { without_bias, with_zero_bias } = chainrule.primitives;
    const bias = only(own.Θ, ([, column]) => column === 0);
    return { W: without_bias(own.Θ), given: (W) => ({ Θ: at.zip(at.plus, bias, with_zero_bias(W)) }) };
  }

  /** The bindings of a layer whose bias is 0; null where it has none. */
  function unbiased(layer, own) {
    if (own.b) return { b: scaled(own.b, 0) };
    return isBiased(layer) ? { Θ: only(own.Θ, ([, column]) => column > 0) } : null;
  }

  const isSquare = (W) => W?.shape.length === 2 && W.shape[0] === W.shape[1];
  const isKernel = (W) => W?.shape.length > 2;

  // -- kinds: each gives {quantity, array, fixed sample?, wrong(index): {name: value}, tree, factor} -------
  function preactivation({ layer, behind }) {
    const own = found.bindings[layer.name];
    const array = found.outputs[layer.name];
    const forward = (other) => evaluate(layer, "forward", { ...own, ...other });
    const without = unbiased(layer, own);
    const wrong = { bias: without && forward(without), sign: scaled(array, -1) };
    const { W, given } = weightsOf(layer, own);
    if (isSquare(W)) wrong.transpose = forward(given(transposed(W)));
    if (isKernel(own.W)) wrong.flip = forward({ W: turned(own.W) });
    if (slopeOf(behind)) wrong.activated = found.outputs[behind.name];
    return { kind: "z", part: "forward", quantity: layer.name, array, wrong, root: "forward", own, perSample: true };
  }

  function activation({ layer }) {
    const slope = slopeOf(layer);
    if (!slope) return null;
    const own = found.bindings[layer.name];
    return {
      kind: "a", part: "forward", quantity: layer.name, array: own.a, root: "forward", own, perSample: true,
      wrong: { slope, linear: own.x, sign: scaled(own.a, -1) },
    };
  }

  /** δ in front of an elementwise activation, handed down by the layer behind it. */
  function residual({ layer, before }, chain) {
    const slope = slopeOf(before);
    const own = found.bindings[layer.name];
    if (!slope || !own.d || !layer.formulas || layer.kind !== "leaf") return null;
    const source = chain.find((one) => one.behind?.name === before.name)?.layer;
    const array = source && found.deltas[source.name];
    if (!array || slope.shape.join() !== array.shape.join()) return null;
    const down = found.deltas[before.name];
    const delta = (other) => times(evaluate(layer, "delta", { ...own, ...other }), slope);
    const x = found.outputs[before.name];
    const wrong = {
      noslope: down, value: times(down, x), outside: times(down, slopeOf(before, x)), above: own.d,
      sign: scaled(array, -1), missing: scaled(array, m), doubled: scaled(array, 1 / m),
    };
    const { W, given } = weightsOf(layer, own);
    if (isSquare(W)) wrong.transpose = delta(given(transposed(W)));
    if (isKernel(own.W)) wrong.flip = delta({ W: turned(own.W) });
    const quantity = `delta:${source.name}`;
    return { kind: "δ", part: "delta", quantity, array, wrong, root: "delta", own, factor: slope, perSample: true };
  }

  function output() {
    const { loss, graph } = report;
    const last = graph.layers.at(-1);
    const source = loss.pair ? graph.layers.at(-2) : last;
    const array = source && found.deltas[source.name];
    if (!array) return null;
    const own = found.bindings[last.name];
    const wrong = { reversed: scaled(array, -1), missing: scaled(array, m), doubled: scaled(array, 1 / m) };
    if (loss.pair) {
      wrong.target = scaled(own.a, 1 / m);
      wrong.sloped = times(array, slopeOf(last) ?? at.map((a) => a * (1 - a), own.a));
    } else if (slopeOf(last)) wrong.sloped = times(array, slopeOf(last));
    return { kind: "δL", part: "residual", quantity: `delta:${source.name}`, array, wrong, perSample: true };
  }

  function gradient({ layer, before, behind }, name) {
    const own = found.bindings[layer.name];
    const id = layer.parameters[name];
    const uses = [...page.graph.layers.values()].filter((one) => Object.values(one.parameters ?? {}).includes(id));
    if (!id || !own.d || !layer.learned.includes(name) || uses.length > 1) return null;
    const array = found.gradients[id];
    const root = `gradient:${name}`;
    const on = report.penalty?.on.includes(id);
    const added = edit.penaltyOf(own[name], "gradient", id);
    const share = on ? added : at.full(array.shape, 0);
    const slope = (other) => at.zip(at.plus, evaluate(layer, root, { ...own, ...other }), share);
    const factor = (value) => at.zip((g, p) => value * (g - p) + p, array, share);
    const wrong = {
      sign: scaled(array, -1), missing: factor(m), doubled: factor(1 / m), step: scaled(array, -edit.eta()),
      first: slope({ d: only(own.d, (index) => index.at(-1) === 0) }),
    };
    const atFirst = (index) => index.slice(0, -2).every((i) => i === 0);
    if (own.d.shape.length > 2) wrong.position = slope({ d: only(own.d, atFirst) });
    if (slopeOf(behind) && found.deltas[behind.name]) wrong.late = slope({ d: found.deltas[behind.name] });
    if (name !== "b" && slopeOf(before)) wrong.below = slope({ x: found.bindings[before.name].x });
    if (name === "W" && isKernel(own.W)) wrong.flip = turned(array);
    if (on) {
      const size = report.penalty.constants.training_size;
      wrong.penalty = at.zip((g, p) => g - p, array, added);
      const other = /per_sample=True/.test(report.penalty.title) ? size : 1 / size;
      wrong.divided = at.zip((g, p) => g - p + p * other, array, added);
    } else if (added && name === "b") wrong.penalised = at.zip(at.plus, array, added);
    if (on && isBiased(layer)) {
      const everywhere = edit.penaltyOf(own[name]);
      wrong.penalised = at.zip(at.plus, at.zip((g, p) => g - p, array, added), everywhere);
    }
    const quantity = `gradient:${id}`;
    const part = name === "Θ" ? "theta" : name;
    return { kind: `∇${name}`, part, quantity, array, wrong, root, own, penalised: on ? id : null };
  }

  function objective() {
    const { J, data, penalty, perSample } = found;
    const wrong = {
      missing: data * m + penalty, doubled: data / m + penalty, first: perSample.data[0] + penalty,
      sign: -J, sample: perSample.data[focus] + penalty,
    };
    if (report.penalty) {
      wrong.penalty = data;
      if (report.penalty.class === "L2") wrong.half = data + 2 * penalty;
      const biases = edit.ids.filter((id) => id.endsWith(".b") && !report.penalty.on.includes(id));
      wrong.penalised = biases.reduce((sum, id) => sum + edit.penaltyOf(page.tensor(id), "value").data[0], J);
      for (const id of report.penalty.theta?.on ?? []) {
        const [all, own] = [null, id].map((of) => edit.penaltyOf(page.tensor(id), "value", of).data[0]);
        wrong.penalised += all - own;
      }
    }
    const lifted = Object.entries(wrong).map(([name, value]) => [name, at.scalar(value)]);
    return { kind: "J", part: "value", quantity: "J", array: at.scalar(J), wrong: Object.fromEntries(lifted) };
  }

  // -- from a kind to a question ---------------------------------------------------------------------------
  /** The terms of an entry's formula, null where it has none; those that are 0 are left out. */
  function termsOf({ root, own, penalised }, layer, index) {
    if (!root) return null;
    const element = chainrule.element(layer.formulas.nodes, layer.formulas.roots[root], index, own);
    const terms = element.kind === "sum" ? element.of : [element];
    const added = penalised ? page.ofPenalty(penalised, index).map((one) => one.element) : [];
    return [...terms, ...added].filter((term) => term.value !== 0);
  }

  function mistakesAt({ wrong, array, perSample, kind }, index, value) {
    const all = Object.entries(wrong).filter(([, x]) => x).map(([name, x]) => [name, entry(x, index)]);
    if (index.length > 2 && kind !== "∇W") all.push(["index", entry(array, swapped(index))]);
    if (kind === "∇Θ") all.push(["index", entry(array, [index[1], index[0]])]);
    if (kind === "∇W") all.push(["index", entry(array, swapped(index, index.length === 2 ? 0 : 1))]);
    if (perSample) {
      const others = Array.from({ length: m }, (_, s) => s).filter((s) => s !== index.at(-1));
      all.push(...others.map((s) => ["sample", entry(array, [...index.slice(0, -1), s])]));
    }
    const far = (other) => Math.abs(other - value) > 0.01 * Math.max(Math.abs(value), Math.abs(other));
    return all.filter(([, other]) => Number.isFinite(other) && far(other))
      .map(([name, other]) => ({ name, value: other, en: TEXTS[name][0], zh: TEXTS[name][1] }));
  }

  /** An entry of a kind that can be worked out by hand, chosen by `random`; null where there is none. */
  function ask(kind, layer, random) {
    const { array, perSample } = kind;
    const largest = array.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let n = 0; n < TRIES; n++) {
      const index = array.shape.map((size) => Math.floor(random() * size));
      if (perSample) index[index.length - 1] = focus;
      const value = entry(array, index);
      if (!Number.isFinite(value) || Math.abs(value) < 1e-6 * largest || value === 0) continue;
      const terms = termsOf(kind, layer, index);
      if (terms && terms.length > MOST_TERMS) continue;
      const mistakes = mistakesAt(kind, index, value);
      if (!mistakes.length) continue;
      const factor = kind.factor ? entry(kind.factor, index) : null;
      const { part, quantity } = kind;
      const name = layer?.name ?? null;
      return { kind: kind.kind, layer: name, part, quantity, index, value, terms, factor, mistakes };
    }
    return null;
  }

  /** Questions in a random order, kinds taking turns. */
  page.questions = (random) => {
    found = edit.count() ? page.passes() : edit.start();
    const chain = places(report.graph.layers);
    const asked = [ask(objective(), null, random)];
    const end = output();
    if (end) asked.push(ask(end, null, random));
    for (const place of chain) {
      const { layer } = place;
      if (!layer.formulas || layer.kind !== "leaf") continue;
      const kinds = [activation(place), residual(place, chain)];
      if (layer.parameters.W ?? layer.parameters.Θ) kinds.push(preactivation(place));
      for (const name of ["W", "Θ", "b"]) if (layer.parameters[name]) kinds.push(gradient(place, name));
      for (const kind of kinds) if (kind) asked.push(ask(kind, layer, random));
    }
    const there = asked.filter((one) => one !== null).map((one) => [random(), one]).sort(([a], [b]) => a - b);
    const seen = {};
    const turns = there.map(([, one], n) => [(seen[one.kind] = (seen[one.kind] ?? 0) + 1), n, one]);
    return turns.sort(([a, n], [b, k]) => a - b || n - k).map(([, , one]) => one);
  };
})(chainrule.page);
