// One entry of a formula as sums and products of entries of its symbols: formulas/elements/reader.py in JavaScript.
//
// element(nodes, root, index, bindings) is {kind, value, of?, symbol?, name?, index?}, the JSON of explaining/blocks/worked.py
// for an Element: kind "entry" of a symbol (or of a named intermediate), "number", "sum", "product", "negative",
// "call".  Every primitive has one rule that says which entries of its operands an entry of its
// result is made of; an entry of what has none is one number.
"use strict";

(function (chainrule) {
  const at = chainrule.arrays;

  // -- elements --------------------------------------------------------------------------------------------
  const ONES = "a_0"; // the name of the entry 1 that with_ones puts in front
  const NOTHING = { kind: "number", value: 0 }; // zero by structure: left out of sums
  const ONE = { kind: "number", value: 1 };
  const number = (value) => ({ kind: "number", value });

  /** The sum of what is not zero by structure; sums within are taken apart. */
  function total(terms) {
    const there = terms.filter((term) => term !== NOTHING);
    const of = there.flatMap((term) => (term.kind === "sum" ? term.of : [term]));
    if (of.length < 2) return of[0] ?? NOTHING;
    return { kind: "sum", value: of.reduce((sum, term) => sum + term.value, 0), of };
  }

  /** The product; nothing where a factor is zero by structure, and factors 1 are left out. */
  function times(...factors) {
    if (factors.includes(NOTHING)) return NOTHING;
    const there = factors.filter((factor) => factor !== ONE);
    const of = there.flatMap((factor) => (factor.kind === "product" ? factor.of : [factor]));
    if (of.length < 2) return of[0] ?? ONE;
    return { kind: "product", value: of.reduce((product, factor) => product * factor.value, 1), of };
  }

  /** -element; of a sum term by term. */
  function minus(element) {
    if (element === NOTHING) return NOTHING;
    if (element.kind === "negative") return element.of[0];
    if (element.kind === "sum") return total(element.of.map(minus));
    return { kind: "negative", value: -element.value, of: [element] };
  }

  const share = (count) => ({ kind: "call", value: 1 / count, of: [ONE, number(count)], name: "divide" });

  /** The maximum; in the padding there is nothing that could win. */
  function largest(elements) {
    const of = elements.filter((element) => element !== NOTHING);
    return { kind: "call", value: Math.max(...of.map((element) => element.value)), of, name: "max" };
  }

  // -- reading ---------------------------------------------------------------------------------------------
  /** Reads entries of a table's nodes under `offsets`, the values of the indices of the sums around. */
  class Reader {
    constructor(formula, offsets, throughNames, left) {
      Object.assign(this, { formula, offsets, throughNames, left });
    }

    inner(offsets) {
      return new Reader(this.formula, { ...this.offsets, ...offsets }, this.throughNames, this.left);
    }

    value(number) {
      return this.formula.value(number, this.offsets);
    }

    shape(number) {
      return this.value(number).shape;
    }

    /** The values of the indices of a kernel's offset. */
    offset(numbers) {
      return numbers.map((one) => this.value(one).data[0]);
    }

    entry(number, place) {
      const { shape, data } = this.value(number);
      return data[at.flat(shape, place)];
    }

    /** The entry of a node at a place of the (larger) array it is broadcast to. */
    read(number, place) {
      this.left.reads -= 1;
      if (this.left.reads < 0) throw new RangeError("an entry is made of more entries than were asked for");
      const node = this.formula.nodes[number];
      const shape = this.shape(number);
      const own = place.slice(place.length - shape.length).map((i, axis) => (shape[axis] === 1 ? 0 : i));
      if ("number" in node) return this.constant(this.entry(number, own));
      if ("index" in node) return { kind: "number", value: this.offsets[node.index] };
      if ("symbol" in node) {
        const symbol = [node.symbol, node.role, node.kind];
        return leaf({ kind: "entry", value: this.entry(number, own), symbol, name: node.symbol }, own);
      }
      if ("named" in node) {
        if (this.throughNames) return this.read(node.is, own);
        return leaf({ kind: "entry", value: this.entry(number, own), name: node.named }, own);
      }
      if (node.over in REDUCTIONS) return REDUCTIONS[node.over](this, node, own);
      if (node.apply in RULES) return RULES[node.apply](this, { ...node, number }, own);
      if (node.apply in FUNCTIONS) return this.call(number, node, own);
      return { kind: "number", value: this.entry(number, own) };
    }

    constant(value) {
      return value === 0 ? NOTHING : value === 1 ? ONE : number(value);
    }

    call(number, node, place) {
      const of = node.to.slice(0, FUNCTIONS[node.apply]).map((operand) => this.read(operand, place));
      const exponent = node.with?.exponent;
      if (exponent !== undefined) of.push({ kind: "number", value: exponent });
      return leaf({ kind: "call", value: this.entry(number, place), of, name: node.apply }, place);
    }
  }

  const leaf = (element, index) => (index.length ? { ...element, index } : element);

  /** Elementwise functions: how many of their operands are numbers the function is of. */
  const FUNCTIONS = {
    exp: 1, expm1: 1, log: 1, log1p: 1, tanh: 1, cos: 1, sin: 1, erf: 1, sqrt: 1, absolute: 1, power: 1, floor: 1,
    divide: 2, ratio: 2, maximum: 2, minimum: 2, greater: 2, xlogy: 2, raised: 2,
  };

  // -- rules: (reader, node, place) -> element -------------------------------------------------------------
  const each = (count, f) => Array.from({ length: count }, (_, n) => f(n));

  /** Every index of a shape, in row-major order. */
  const indices = (shape) => each(at.sizeOf(shape), (n) => at.unflat(shape, n));

  /** `place` with every combination of indices at the given axes of a shape. */
  function overAxes(shape, axes, place) {
    return indices(axes.map((axis) => shape[axis])).map((own) => {
      const full = [...place];
      axes.forEach((axis, n) => { full[axis] = own[n]; });
      return full;
    });
  }

  /** A rule for what only moves entries: the place in the first operand, or null where there is nothing. */
  const moved = (to) => (r, node, place) => {
    const source = to(r, node, place);
    return source === null ? NOTHING : r.read(node.to[0], source);
  };

  /** The same entry, row by row, of another shape. */
  const reshaped = moved((r, { to: [x], number: own }, place) => at.unflat(r.shape(x), at.flat(r.shape(own), place)));

  /** A rule for sums over axes: those of the operand's shape, and the result's place in it. */
  const summed = (axesOf, placeOf) => (r, { to: [x] }, place) => {
    const shape = r.shape(x);
    const base = placeOf(place, shape.length);
    return total(overAxes(shape, axesOf(shape.length), base).map((here) => r.read(x, here)));
  };

  /** The mean of what a rule sums: (1/n) · sum. */
  const mean = (rule) => (r, node, place) => {
    const found = rule(r, node, place);
    const count = r.value(node.to[0]).data.length / r.value(node.number).data.length;
    return count === 1 ? found : times(share(count), found);
  };

  const zeros = (count) => each(Math.max(count, 0), () => 0);
  const upTo = (count) => each(Math.max(count, 0), (n) => n);
  const positions = summed((n) => upTo(n - 2), (place, n) => [...zeros(n - 2), ...place]);
  const allSamples = summed((n) => [...upTo(n - 2), n - 1], (place, n) => [...zeros(n - 2), ...place, 0]);
  const features = summed((n) => [n - 2], (place) => place);

  /** [positions ..., feature, sample] of a place. */
  const ends = (place) => [place.slice(0, -2), place.at(-2), place.at(-1)];

  function meanGroups(r, { to: [x], with: { groups } }, place) {
    const shape = r.shape(x);
    const width = shape.at(-2) / (groups ?? shape.at(-2));
    const first = Math.floor(place.at(-2) / width) * width;
    const places = indices([...shape.slice(0, -2), width]).map((own) =>
      [...own.slice(0, -1), first + own.at(-1), place.at(-1)]);
    return times(share(places.length), total(places.map((here) => r.read(x, here))));
  }

  /** The windows in parts of an image of some shape, and the rest of a place: [place, pixels] of each. */
  function inParts(r, { to, with: { sizes } }, place) {
    const windows = chainrule.windowsOf(r.shape(to.at(-1)), sizes);
    return { windows, own: place.slice(0, sizes.length).join(), rest: place.slice(sizes.length) };
  }

  /** Of a window's pixels the one where `like` is largest. */
  const largestOf = (r, like, pixels, rest) =>
    pixels[at.winner(pixels.map((pixel) => r.entry(like, [...pixel, ...rest])))];

  const shared = (pixels, element) => (pixels.length > 1 ? times(share(pixels.length), element) : element);

  /** The pixels of the window at a place. */
  function pixelsOf(r, node, place) {
    const { windows, own, rest } = inParts(r, node, place);
    return { pixels: windows.find((one) => one.place.join() === own).pixels, rest };
  }

  function window(r, { to: [x, ...shift], with: { grid } }, place) {
    const offset = r.offset(shift);
    const size = r.shape(x).slice(0, offset.length);
    const pads = chainrule.grids.pads(grid, size);
    const pixel = offset.map((m, axis) =>
      grid.stride[axis] * place[axis] + grid.dilation[axis] * m - pads[axis][0]);
    const inside = pixel.every((u, axis) => u >= 0 && u < size[axis]);
    return inside ? [...pixel, ...place.slice(offset.length)] : null;
  }

  function placed(r, { to: [x, like, ...shift], with: { grid } }, place) {
    const offset = r.offset(shift);
    const pads = chainrule.grids.pads(grid, r.shape(like).slice(0, offset.length));
    const windows = offset.map((m, axis) =>
      (place[axis] + pads[axis][0] - grid.dilation[axis] * m) / grid.stride[axis]);
    const counts = r.shape(x);
    const there = windows.every((i, axis) => Number.isInteger(i) && i >= 0 && i < counts[axis]);
    return there ? [...windows, ...place.slice(offset.length)] : null;
  }

  function blockStart(row, [count, columns], width) {
    return Math.floor(row / (count / (columns / width))) * width;
  }

  function gateRows({ with: { gate, gates } }, count) {
    const size = count / gates.length;
    return [gates.indexOf(gate) * size, size];
  }

  /** What broadcasting repeated is summed. */
  function fit(r, node, place) {
    const [shape, like] = [r.shape(node.to[0]), r.shape(node.number)];
    const front = shape.length - like.length;
    const axes = upTo(shape.length).filter((n) => n < front || (shape[n] > 1 && like[n - front] === 1));
    const places = overAxes(shape, axes, [...zeros(front), ...place]);
    return total(places.map((here) => r.read(node.to[0], here)));
  }

  /** The branch taken at this place. */
  function where(r, { to: [condition, yes, no], number: own }, place) {
    const chosen = at.stretched(r.value(condition), r.shape(own));
    return r.read(chosen.data[at.flat(chosen.shape, place)] !== 0 ? yes : no, place);
  }

  /** a_0, the 1 in front: an entry with the letter of the others, of no array. */
  function withOnes(r, { to: [x] }, [k, s]) {
    if (k > 0) return r.read(x, [k - 1, s]);
    const { role, kind } = r.formula.nodes[x];
    return { kind: "entry", value: 1, symbol: [ONES, role, kind], name: ONES, index: [0, s] };
  }

  function beside(r, { to: [above, below] }, place) {
    const [here, k, s] = ends(place);
    const size = r.shape(above).at(-2);
    return k < size ? r.read(above, place) : r.read(below, [...here, k - size, s]);
  }

  function interleave(r, { to }, place) {
    const [here, k, s] = ends(place);
    return r.read(to[k % 2], [...here, Math.floor(k / 2), s]);
  }

  const RULES = {
    add: (r, { to }, place) => total(to.map((operand) => r.read(operand, place))),
    subtract: (r, { to: [a, b] }, place) => total([r.read(a, place), minus(r.read(b, place))]),
    negative: (r, { to: [x] }, place) => minus(r.read(x, place)),
    multiply: (r, { to }, place) => times(...to.map((operand) => r.read(operand, place))),
    where,
    matmul: (r, { to: [a, x] }, place) => {
      const [here, k, s] = ends(place);
      return total(each(r.shape(x).at(-2), (c) => times(r.read(a, [k, c]), r.read(x, [...here, c, s]))));
    },
    correlate: (r, { to: [a, b] }, [k, c]) => {
      const shape = r.shape(a);
      return total(indices([...shape.slice(0, -2), shape.at(-1)]).map((own) => {
        const [here, s] = [own.slice(0, -1), own.at(-1)];
        return times(r.read(a, [...here, k, s]), r.read(b, [...here, c, s]));
      }));
    },
    step_products: (r, { to: [a, b] }, place) => {
      const [heads, [t, k, s]] = [place.slice(0, -3), place.slice(-3)];
      return total(each(r.shape(a).at(-2), (n) =>
        times(r.read(a, [...heads, t, n, s]), r.read(b, [...heads, k, n, s]))));
    },
    mix_steps: (r, { to: [a, x] }, place) => {
      const [heads, [t, n, s]] = [place.slice(0, -3), place.slice(-3)];
      return total(each(r.shape(x).at(-3), (k) =>
        times(r.read(a, [...heads, t, k, s]), r.read(x, [...heads, k, n, s]))));
    },
    turned: (r, { to: [x], with: options }, place) => {
      const [heads, [t, n, s]] = [place.slice(0, -3), place.slice(-3)];
      const half = r.shape(x).at(-2) / 2;
      const [cosine, sine] = chainrule.turnOf(t, n % half, 2 * half, options);
      const shares = [[cosine, n], n < half ? [-sine, n + half] : [sine, n - half]];
      return total(shares.map(([share_, k]) => times(number(share_), r.read(x, [...heads, t, k, s]))));
    },
    sum_heads: (r, { to: [x], with: { times: often } }, place) =>
      total(each(often, (n) => r.read(x, [place[0] * often + n, ...place.slice(1)]))),
    sum_distances: (r, { to: [x, P], with: options }, [head, own]) => {
      const [steps, keys, m] = r.shape(x).slice(-3);
      const place = chainrule.placeOf(r.shape(P)[1], options);
      return total(indices([steps, keys, m]).filter(([i, k]) => place(i, k) === own)
        .map((here) => r.read(x, [head, ...here])));
    },
    sum_positions: positions,
    sum_samples: summed((n) => [n - 1], (place) => [...place, 0]),
    sum_features: features,
    sum_outputs: summed((n) => upTo(n - 1), (place, n) => [...zeros(n - 1), ...place]),
    sum_entries: summed(upTo, (_, n) => zeros(n)),
    sum_near: (r, { to: [x], with: { before, after } }, place) => {
      const [here, c, s] = ends(place);
      const first = Math.max(c - before, 0);
      const last = Math.min(c + after, r.shape(x).at(-2) - 1);
      return total(upTo(last - first + 1).map((n) => r.read(x, [...here, first + n, s])));
    },
    mean_features: mean(features),
    mean_samples: mean(allSamples),
    mean_groups: meanGroups,
    max_features: (r, { to: [x] }, place) =>
      largest(overAxes(r.shape(x), [place.length - 2], place).map((here) => r.read(x, here))),
    max_positions: (r, { to: [x] }, place) => {
      const shape = r.shape(x);
      const axes = upTo(shape.length - 2);
      return largest(overAxes(shape, axes, [...zeros(axes.length), ...place]).map((here) => r.read(x, here)));
    },
    fit,
    stretch: (r, { to: [x] }, place) => r.read(x, place),
    beside,
    interleave,
    even_features: moved((r, node, place) => {
      const [here, k, s] = ends(place);
      return [...here, 2 * k, s];
    }),
    odd_features: moved((r, node, place) => {
      const [here, k, s] = ends(place);
      return [...here, 2 * k + 1, s];
    }),
    zeros_like: () => NOTHING,
    canvas: () => NOTHING,
    ones_like: () => ONE,
    per_feature: (r, { with: { weights } }, place) => number(weights[place.at(-2)]),
    sum_steps: moved((r, node, place) => place),
    with_ones: withOnes,
    without_bias: moved((r, node, [row, column]) => [row, column + 1]),
    with_zero_bias: moved((r, node, [row, column]) => (column ? [row, column - 1] : null)),
    transpose: moved((r, node, place) => [...place].reverse()),
    broadcast_samples: moved((r, node, place) => place.slice(0, -1)),
    every_feature: moved((r, node, place) => [place[0], place.at(-1)]),
    window: moved(window),
    place: moved(placed),
    framed: moved((r, { to: [x], with: { pads, mode } }, place) => place.map((i, axis) =>
      (axis < pads.length ? chainrule.source(i - pads[axis][0], r.shape(x)[axis], mode) : i))),
    unframed: (r, { to: [x], with: { pads, mode }, number: own }, place) => {
      const copies = pads.map(([before, after], axis) => {
        const size = r.shape(own)[axis];
        return upTo(before + size + after).filter((i) => chainrule.source(i - before, size, mode) === place[axis]);
      });
      return total(indices(copies.map((list) => list.length)).map((n) =>
        r.read(x, [...n.map((i, axis) => copies[axis][i]), ...place.slice(pads.length)])));
    },
    mean_parts: (r, node, place) => {
      const { pixels, rest } = pixelsOf(r, node, place);
      return shared(pixels, total(pixels.map((pixel) => r.read(node.to[0], [...pixel, ...rest]))));
    },
    spread_parts: (r, node, place) => {
      const { windows, own, rest } = inParts(r, node, place);
      const over = windows.filter(({ pixels }) => pixels.some((pixel) => pixel.join() === own));
      return total(over.map((one) => shared(one.pixels, r.read(node.to[0], [...one.place, ...rest]))));
    },
    largest_parts: (r, node, place) => {
      const [{ pixels, rest }, [x, like]] = [pixelsOf(r, node, place), node.to];
      if (x === like) return largest(pixels.map((pixel) => r.read(x, [...pixel, ...rest])));
      return r.read(x, [...largestOf(r, like, pixels, rest), ...rest]);
    },
    placed_parts: (r, node, place) => {
      const [{ windows, own, rest }, [x, like]] = [inParts(r, node, place), node.to];
      const won = windows.filter(({ pixels }) => pixels.some((pixel) => pixel.join() === own)
        && largestOf(r, like, pixels, rest).join() === own);
      return total(won.map((one) => r.read(x, [...one.place, ...rest])));
    },
    tent: (r, { number: own }) => number(r.value(own).data[0]),
    by_distance: moved((r, { to: [P], with: options }, [head, i, k]) =>
      [head, chainrule.placeOf(r.shape(P)[1], options)(i, k)]),
    shuffled: moved((r, { with: { block } }, [u, v, c, s]) => [
      Math.floor(u / block), Math.floor(v / block), c * block * block + (u % block) * block + (v % block), s,
    ]),
    unshuffled: moved((r, { with: { block } }, [i, j, c, s]) => [
      i * block + Math.floor((c % (block * block)) / block), j * block + (c % block), Math.floor(c / (block * block)), s,
    ]),
    permuted: moved((r, { with: { order } }, place) => [...order.map((_, axis) => place[order.indexOf(axis)]), place.at(-1)]),
    reshaped,
    merged: reshaped,
    along: (r, { to: [x], with: { axis, taps } }, place) => total(taps[place[axis]].map(([i, weight]) =>
      times(number(weight), r.read(x, [...place.slice(0, axis), i, ...place.slice(axis + 1)])))),
    kernel_at: moved((r, { to }, place) => [place[0], ...r.offset(to.slice(1)), place[1]]),
    kernel_place: moved((r, { to }, place) =>
      (at.same(place.slice(1, -1), r.offset(to.slice(2))) ? [place[0], place.at(-1)] : null)),
    block_diagonal: moved((r, node, [row, column]) => {
      const width = r.shape(node.to[0])[1];
      const first = blockStart(row, r.shape(node.number), width);
      return column >= first && column < first + width ? [row, column - first] : null;
    }),
    diagonal_blocks: moved((r, node, [row, n]) =>
      [row, blockStart(row, r.shape(node.to[0]), r.shape(node.number)[1]) + n]),
    first_features: moved((r, node, place) => place),
    other_features: moved((r, { to: [, like] }, place) => {
      const [here, k, s] = ends(place);
      return [...here, k + r.shape(like).at(-2), s];
    }),
    features_between: moved((r, node, place) => {
      const [here, k, s] = ends(place);
      return [...here, k + node.with.start, s];
    }),
    features_placed: moved((r, { with: { start, stop } }, place) => {
      const [here, k, s] = ends(place);
      return k >= start && k < stop ? [...here, k - start, s] : null;
    }),
    gate: moved((r, node, place) => {
      const [here, k, s] = ends(place);
      return [...here, k + gateRows(node, r.shape(node.to[0]).at(-2))[0], s];
    }),
    gate_place: moved((r, node, place) => {
      const [here, k, s] = ends(place);
      const [first, size] = gateRows(node, r.shape(node.number).at(-2));
      return k >= first && k < first + size ? [...here, k - first, s] : null;
    }),
    flatten: reshaped,
    unflatten: reshaped,
    arranged: reshaped,
    split_heads: moved((r, { number: own }, [head, t, f, s]) => [t, head * r.shape(own).at(-2) + f, s]),
    join_heads: moved((r, { to: [x] }, [t, f, s]) => {
      const width = r.shape(x).at(-2);
      return [Math.floor(f / width), t, f % width, s];
    }),
    repeat_heads: moved((r, { with: { times: often } }, place) =>
      [Math.floor(place[0] / often), ...place.slice(1)]),
    swap_steps: moved((r, node, place) => [...place.slice(0, -3), place.at(-2), place.at(-3), place.at(-1)]),
  };

  // -- reductions over the offsets of a kernel -------------------------------------------------------------
  const inEveryOffset = (r, node, place) =>
    [...chainrule.everyOffset(node)].map((offsets) => r.inner(offsets).read(node.is, place));

  const REDUCTIONS = {
    sum_over: (r, node, place) => total(inEveryOffset(r, node, place)),
    mean_over: (r, node, place) => times(share(at.sizeOf(node.ranges)), total(inEveryOffset(r, node, place))),
    max_over: (r, node, place) => largest(inEveryOffset(r, node, place)),
    stack_over: (r, node, place) => {
      const offset = place.slice(1, -1);
      const own = Object.fromEntries(node.indices.map((name, axis) => [name, offset[axis]]));
      return r.inner(own).read(node.is, [place[0], place.at(-1)]);
    },
  };

  /** The entry `index` of the value of node `root`; through: named intermediates are worked out too.
   *
   *  bindings: arrays by symbol, or a Formula of these nodes, which keeps what it has computed.  most: nodes that are
   *  read for it, beyond which there is a RangeError; through attention they are millions.
   */
  function element(nodes, root, index, bindings, { through = false, most = Infinity } = {}) {
    const kept = bindings instanceof chainrule.Formula;
    const reader = new Reader(kept ? bindings : new chainrule.Formula(nodes, bindings), {}, through, { reads: most });
    const shape = reader.shape(root);
    if (index.length !== shape.length || index.some((i, axis) => !(i >= 0 && i < shape[axis]))) {
      throw new Error(`the value has the shape (${shape}), which has no entry (${index})`);
    }
    return reader.read(root, index);
  }

  /** The entries of symbols an element is made of, from left to right. */
  const entries = (of) => (of.kind === "entry" ? [of] : (of.of ?? []).flatMap(entries));

  /** The entries of `symbol` that an entry of a formula is made of, each once: {index, value}.
   *
   *  Of a layer's "delta" with "d": the outputs that an input pixel reaches; of "forward" with "x": what an
   *  output sees.  Entries that a factor 0 silences here (a window the pixel did not win) are among them.
   */
  function influence(nodes, root, symbol, index, bindings) {
    const found = new Map();
    for (const one of entries(element(nodes, root, index, bindings, { through: true }))) {
      const place = one.index ?? [];
      if (one.symbol?.[0] === symbol) found.set(place.join(), { index: place, value: one.value });
    }
    return [...found.values()];
  }

  Object.assign(chainrule, { ONES, element, entries, influence });
  if (typeof module === "object") module.exports = chainrule;
})((globalThis.chainrule ??= {}));
