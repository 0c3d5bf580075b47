// The primitives of chainrule.formulas a second time: name -> function of arrays and the node's options.
//
// Written from their meaning, one by one, and compared with the first implementation to 1e-12 for every layer
// (tests/explaining/test_engine.py).  Samples are the last axis, features the one before, positions in front.
"use strict";

(function (chainrule) {
  const at = chainrule.arrays;
  const { array, full, map, max, permuted, put, reshaped, scalar, sizeOf, slice, stretched, sum, zip } = at;

  // -- axes ------------------------------------------------------------------------------------------------
  const features = (x) => x.shape.length - 2;
  const samples = (x) => x.shape.length - 1;
  const positions = (x) => range(x.shape.length - 2);
  const range = (count) => Array.from({ length: Math.max(count, 0) }, (_, n) => n);
  const zeros = (x) => full(x.shape, 0);
  const ones = (x) => full(x.shape, 1);
  const numberOf = (x) => x.data[0];
  const starting = (x, axis, start) => x.shape.map((_, n) => (n === axis ? start : 0));
  const resized = (x, axis, count) => x.shape.map((size, n) => (n === axis ? count : size));
  /** Features start ... start + count of x. */
  const rows = (x, start, count) => slice(x, starting(x, features(x), start), resized(x, features(x), count));

  /** 1 where x is largest among every `count` numbers `inner` apart, 0 elsewhere; which: of their values. */
  function marked(which, x, count, inner) {
    const out = zeros(x);
    for (let block = 0; block < x.data.length; block += count * inner) {
      for (let i = block; i < block + inner; i++) {
        out.data[i + inner * which(range(count).map((n) => x.data[i + n * inner]))] = 1;
      }
    }
    return out;
  }

  function matmul(a, x) {
    const [outputs, inputs] = a.shape;
    const width = x.shape[samples(x)];
    if (a.shape.length !== 2 || x.shape[features(x)] !== inputs) {
      throw new Error(`matmul needs (K, C) and (..., C, m), received (${a.shape}) and (${x.shape})`);
    }
    const out = array(resized(x, features(x), outputs));
    const [from, to] = [x.data, out.data];
    const places = sizeOf(x.shape.slice(0, -2));
    for (let place = 0, o = 0; place < places; place++) {
      for (let k = 0, i = 0; k < outputs; k++, o += width) {
        // Row by row of x: what lies side by side is read side by side, 3 times as fast as column by column.
        for (let c = 0, j = place * inputs * width; c < inputs; c++, i++, j += width) {
          const factor = a.data[i];
          for (let s = 0; s < width; s++) to[o + s] += factor * from[j + s];
        }
      }
    }
    return out;
  }

  function correlate(a, b) {
    const [K, C, width] = [a.shape[features(a)], b.shape[features(b)], a.shape[samples(a)]];
    const out = array([K, C]);
    const places = sizeOf(a.shape.slice(0, -2));
    for (let place = 0; place < places; place++) {
      for (let k = 0, o = 0; k < K; k++) {
        for (let c = 0; c < C; c++, o++) {
          let total = 0;
          const [i, j] = [(place * K + k) * width, (place * C + c) * width];
          for (let s = 0; s < width; s++) total += a.data[i + s] * b.data[j + s];
          out.data[o] += total;
        }
      }
    }
    return out;
  }

  /** log(Σ e^x), of numbers that may be -∞. */
  function logSum(...terms) {
    const most = Math.max(...terms);
    return most === -Infinity ? most : most + Math.log(terms.reduce((total, x) => total + Math.exp(x - most), 0));
  }

  /** Of one sample: the class of every place of a way, where a way may come from, the steps that are there, and
   *  log α after every step; place 0 is in front of the first step. */
  function ways(a, y, blank, s) {
    const [steps, classes, width] = a.shape;
    const get = (x, t, k) => x.data[(t * classes + k) * width + s];
    const read = range(steps).map((t) => range(classes).find((k) => k !== blank && get(y, t, k) > 0));
    const places = [blank, blank, ...read.filter((k) => k !== undefined).flatMap((k) => [k, blank])];
    const from = places.map((k, p) => [p, p - 1, p - 2].filter((q) => q >= 0
      && (q > p - 2 || p === 2 || (k !== blank && k !== places[q]))));
    const there = range(steps).filter((t) => !get(y, t, blank));
    const score = (t, p) => (p === 0 ? -Infinity : get(a, t, places[p]));
    const alphas = [places.map((_, p) => (p === 0 ? 0 : -Infinity))];
    for (const t of there) {
      const last = alphas.at(-1);
      alphas.push(places.map((_, p) => logSum(...from[p].map((q) => last[q])) + score(t, p)));
    }
    const ends = [places.length - 1, places.length - 2];
    return { places, from, there, score, alphas, ends, total: logSum(...ends.map((p) => alphas.at(-1)[p])) };
  }

  function logPaths(a, y, { blank, nothing }) {
    const out = array([a.shape[samples(a)]]);
    out.data.forEach((_, s) => {
      const { total } = ways(a, y, blank, s);
      out.data[s] = nothing && total === -Infinity ? 0 : total;
    });
    return out;
  }

  function pathShares(a, y, { blank, nothing }) {
    const [, classes, width] = a.shape;
    const out = array(a.shape);
    for (let s = 0; s < width; s++) {
      const { places, from, there, score, alphas, ends, total } = ways(a, y, blank, s);
      if (nothing && total === -Infinity) continue;
      let beta = places.map((_, p) => (ends.includes(p) ? 0 : -Infinity));
      for (let n = there.length - 1; n >= 0; n--) {
        const t = there[n];
        places.forEach((k, p) => {
          out.data[(t * classes + k) * width + s] += Math.exp(alphas[n + 1][p] + beta[p] - total);
        });
        const next = beta;
        beta = places.map((_, q) => logSum(...places.flatMap((_, p) => (from[p].includes(q) ? [next[p] + score(t, p)] : []))));
      }
    }
    return out;
  }

  /** Σ over one axis of a ⊙ b, both brought to a common shape: the sums of attention, which are small. */
  const contracted = (a, b, axis) => sum(zip((p, q) => p * q, a, b), [axis]);

  /** An axis of length 1 in front of axis `axis`. */
  const widened = (x, axis) => reshaped(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);

  function swapped(x, axis) {
    const order = range(x.shape.length);
    [order[axis], order[axis + 1]] = [axis + 1, axis];
    return permuted(x, order);
  }

  // -- windows ---------------------------------------------------------------------------------------------
  const grids = {
    extent: (grid) => grid.kernel.map((size, axis) => (size - 1) * grid.dilation[axis] + 1),

    /** [before, behind] of every axis of an image of `size`. */
    pads(grid, size) {
      const extent = grids.extent(grid);
      if (grid.ceil) {
        return size.map((length, axis) => {
          const [[before, behind], step] = [grid.padding[axis], grid.stride[axis]];
          const room = length + before + behind - extent[axis];
          const count = Math.ceil(room / step);
          const last = count * step >= length + before ? count - 1 : count;
          return [before, behind + Math.max(last * step - room, 0)];
        });
      }
      if (typeof grid.padding !== "string") return grid.padding;
      return size.map((length, axis) => {
        const [count, step] = [Math.ceil(length / grid.stride[axis]), grid.stride[axis]];
        const total = Math.max((count - 1) * step + extent[axis] - length, 0);
        return [Math.floor(total / 2), total - Math.floor(total / 2)];
      });
    },

    /** How many windows an image has along its axes. */
    windows(grid, size) {
      const extent = grids.extent(grid);
      return grids.pads(grid, size).map(([before, behind], axis) =>
        Math.floor((size[axis] + before + behind - extent[axis]) / grid.stride[axis]) + 1);
    },

    /** The size of the image that has so many windows. */
    image(grid, windows) {
      if (typeof grid.padding === "string") return windows.map((count, axis) => count * grid.stride[axis]);
      const extent = grids.extent(grid);
      return windows.map((count, axis) =>
        (count - 1) * grid.stride[axis] + extent[axis] - at.plus(...grid.padding[axis]) + grid.outside[axis]);
    },

    /** Where pixels lie at an offset of windows: per axis [first pixel, first window, how many]. */
    meet(grid, size, offset) {
      const [windows, pads] = [grids.windows(grid, size), grids.pads(grid, size)];
      return size.map((length, axis) => {
        const step = grid.stride[axis];
        const shift = grid.dilation[axis] * offset[axis] - pads[axis][0];
        const first = Math.max(0, Math.ceil(-shift / step));
        const last = Math.max(Math.min(windows[axis], Math.floor((length - 1 - shift) / step) + 1), first);
        return [first * step + shift, first, last - first];
      });
    },
  };

  /** The same for all axes of x, those behind the positions as they are. */
  function meeting(x, size, offset, grid) {
    const met = grids.meet(grid, size, offset.map(numberOf));
    const rest = x.shape.slice(size.length);
    const none = rest.map(() => 0);
    return {
      rest,
      pixels: [...met.map(([pixel]) => pixel), ...none],
      windows: [...met.map(([, window]) => window), ...none],
      counts: [...met.map(([, , count]) => count), ...rest],
      steps: [...grid.stride, ...none.map(() => 1)],
    };
  }

  function window(x, ...offset) {
    const { grid, fill = 0 } = offset.pop();
    const size = x.shape.slice(0, offset.length);
    const { rest, pixels, windows, counts, steps } = meeting(x, size, offset, grid);
    const out = full([...grids.windows(grid, size), ...rest], Number(fillOf(fill)));
    return counts.includes(0) ? out : put(out, slice(x, pixels, counts, steps), windows);
  }

  const fillOf = (fill) => ({ inf: Infinity, "-inf": -Infinity, nan: NaN })[fill] ?? fill;

  function place(x, like, ...offset) {
    const { grid } = offset.pop();
    const size = like.shape.slice(0, offset.length);
    const { rest, pixels, windows, counts, steps } = meeting(x, size, offset, grid);
    const out = full([...size, ...rest], 0);
    return counts.includes(0) ? out : put(out, slice(x, windows, counts), pixels, steps);
  }

  // -- edges, and channels that become pixels ------------------------------------------------------------
  /** The pixel that stands at an index, which may be beyond the edges, along an axis of `size` pixels. */
  function source(index, size, mode) {
    if (mode === "replicate") return Math.min(Math.max(index, 0), size - 1);
    const turn = mode === "circular" ? size : Math.max(2 * (size - 1), 1);
    const folded = ((index % turn) + turn) % turn;
    return mode === "circular" || size === 1 ? folded : Math.min(folded, turn - folded);
  }

  /** An array of a shape, of which each entry goes to, or comes from, another's place. */
  function carried(x, shape, longer, to) {
    const out = array(shape);
    for (let n = 0; n < sizeOf(longer); n += 1) {
      const own = at.unflat(longer, n);
      const other = to(own);
      if (longer === shape) out.data[n] = x.data[at.flat(x.shape, other)];
      else out.data[at.flat(shape, other)] += x.data[n];
    }
    return out;
  }

  const standing = (size, pads, mode) => (place) =>
    place.map((i, axis) => (axis < pads.length ? source(i - pads[axis][0], size[axis], mode) : i));

  function framed(x, { pads, mode }) {
    const shape = x.shape.map((size, axis) => (axis < pads.length ? size + at.plus(...pads[axis]) : size));
    return carried(x, shape, shape, standing(x.shape, pads, mode));
  }

  function unframed(x, like, { pads, mode }) {
    return carried(x, like.shape, x.shape, standing(like.shape, pads, mode));
  }

  /** The windows of an axis in so many parts, or a pixel each: [first pixel, how many]. */
  function partsOf(size, count) {
    const many = count === "same" ? size : count;
    return range(many).map((i) => {
      const first = Math.floor((i * size) / many);
      return [first, Math.ceil(((i + 1) * size) / many) - first];
    });
  }

  /** Every window of an image in parts: its place, and its pixels one behind the other. */
  function windowsOf(size, sizes) {
    const axes = sizes.map((count, axis) => partsOf(size[axis], count));
    const every = (shape) => range(sizeOf(shape)).map((n) => at.unflat(shape, n));
    return every(axes.map((own) => own.length)).map((place) => {
      const own = place.map((i, axis) => axes[axis][i]);
      const pixels = every(own.map(([, count]) => count)).map((n) => n.map((i, axis) => i + own[axis][0]));
      return { place, pixels };
    });
  }

  /** visit(window, pixels, n): where the place of a window, and its pixels, lie for the n-th channel and sample. */
  function inParts(made, shape, sizes, visit) {
    const inner = sizeOf(shape.slice(sizes.length));
    const flat = (size, place) => at.flat(size.slice(0, sizes.length), place) * inner;
    windowsOf(shape, sizes).forEach(({ place, pixels }) => {
      const [to, from] = [flat(made, place), pixels.map((pixel) => flat(shape, pixel))];
      for (let n = 0; n < inner; n += 1) visit(to + n, from.map((first) => first + n));
    });
  }

  const partShape = (x, sizes) =>
    x.shape.map((size, axis) => (axis < sizes.length ? partsOf(size, sizes[axis]).length : size));
  const largestOf = (like, pixels) => pixels[at.winner(pixels.map((pixel) => like.data[pixel]))];

  function meanParts(x, { sizes }) {
    const out = array(partShape(x, sizes));
    inParts(out.shape, x.shape, sizes, (to, pixels) => {
      out.data[to] = pixels.reduce((sum_, pixel) => sum_ + x.data[pixel], 0) / pixels.length;
    });
    return out;
  }

  function spreadParts(x, like, { sizes }) {
    const out = zeros(like);
    inParts(x.shape, like.shape, sizes, (to, pixels) => pixels.forEach((pixel) => {
      out.data[pixel] += x.data[to] / pixels.length;
    }));
    return out;
  }

  function largestParts(x, like, { sizes }) {
    const out = array(partShape(x, sizes));
    inParts(out.shape, like.shape, sizes, (to, pixels) => { out.data[to] = x.data[largestOf(like, pixels)]; });
    return out;
  }

  function placedParts(x, like, { sizes }) {
    const out = zeros(like);
    inParts(x.shape, like.shape, sizes, (to, pixels) => { out.data[largestOf(like, pixels)] += x.data[to]; });
    return out;
  }

  function tent(m, { size }) {
    const middle = (2 * size - (size % 2) - 1) / 2;
    return map((place) => 1 - Math.abs(place - middle) / size, m);
  }

  function shuffled(x, { block: r }) {
    const [height, width, channels, m] = x.shape;
    const shape = [height * r, width * r, channels / (r * r), m];
    return carried(x, shape, shape, ([u, v, c, s]) =>
      [Math.floor(u / r), Math.floor(v / r), c * r * r + (u % r) * r + (v % r), s]);
  }

  function unshuffled(x, { block: r }) {
    const [height, width, channels, m] = x.shape;
    const shape = [height / r, width / r, channels * r * r, m];
    return carried(x, shape, shape, ([i, j, c, s]) =>
      [i * r + Math.floor((c % (r * r)) / r), j * r + (c % r), Math.floor(c / (r * r)), s]);
  }

  /** Every place along an axis a sum of others: (place, weight) of each are the taps. */
  function along(x, { axis, taps }) {
    const out = array(resized(x, axis, taps.length));
    const [size, inner] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
    for (let outer = 0; outer < sizeOf(x.shape.slice(0, axis)); outer += 1) {
      taps.forEach((row, made) => row.forEach(([place, weight]) => {
        const [to, from] = [(outer * taps.length + made) * inner, (outer * size + place) * inner];
        for (let n = 0; n < inner; n += 1) out.data[to + n] += weight * x.data[from + n];
      }));
    }
    return out;
  }

  // -- kernels, blocks, gates ------------------------------------------------------------------------------
  /** Where the matrix of a kernel (K, offsets ..., C) at an offset begins, and its size within the kernel. */
  function matrixOf(kernel, offset) {
    const inner = kernel.shape.slice(1, -1);
    const counts = [kernel.shape[0], ...inner.map(() => 1), kernel.shape.at(-1)];
    return { starts: [0, ...offset.map(numberOf), 0], counts };
  }

  /** [row, column] of every entry of a block-diagonal matrix whose blocks are `width` columns wide. */
  function blocks(count, columns, width) {
    const group = (row) => Math.floor(row / (count / (columns / width)));
    return range(count).flatMap((row) => range(width).map((n) => row * columns + group(row) * width + n));
  }

  function gateRows(z, { gate, gates }) {
    const size = z.shape[features(z)] / gates.length;
    return [gates.indexOf(gate) * size, size];
  }

  function sinusoids(x) {
    const [steps, width] = x.shape;
    const out = array([steps, width, 1]);
    for (let t = 0, i = 0; t < steps; t++) {
      for (let k = 0; k < width; k++, i++) {
        const angle = t / 10000 ** ((k - (k % 2)) / width);
        out.data[i] = k % 2 ? Math.cos(angle) : Math.sin(angle);
      }
    }
    return out;
  }

  /** [cosine, sine] by which features k and k + n/2 of step t are turned. */
  function turnOf(t, k, n, { base, back = false }) {
    const angle = t * base ** (-(2 * k) / n);
    return [Math.cos(angle), back ? -Math.sin(angle) : Math.sin(angle)];
  }

  function turned(x, options) {
    const [steps, n, m] = x.shape.slice(-3);
    const out = array(x.shape);
    for (let i = 0; i < out.data.length; i += 1) {
      const k = Math.floor(i / m) % n;
      const t = Math.floor(i / (m * n)) % steps;
      const [cosine, sine] = turnOf(t, k % (n / 2), n, options);
      const first = k < n / 2;
      const other = x.data[i + (first ? 1 : -1) * (n / 2) * m];
      out.data[i] = x.data[i] * cosine + (first ? -sine : sine) * other;
    }
    return out;
  }

  /** Which of `count` numbers is that of query i and key k: (query, key) => number. */
  function placeOf(count, { logarithmic, both, grid }) {
    if (grid) {
      const [height, width] = grid;
      return (i, k) => (Math.floor(i / width) - Math.floor(k / width) + height - 1) * (2 * width - 1)
        + (i % width) - (k % width) + width - 1;
    }
    if (!logarithmic) {
      const reach = Math.floor(count / 2);
      return (i, k) => Math.min(Math.max(k - i, -reach), reach) + reach;
    }
    const own = both ? Math.floor(count / 2) : count;
    const near = Math.floor(own / 2);
    return (i, k) => {
      const far = both ? Math.abs(k - i) : Math.max(i - k, 0);
      const first = both && k > i ? own : 0;
      if (far < near) return first + far;
      const share = Math.log(far / near) / Math.log(logarithmic / near);
      return first + Math.min(near + Math.floor(share * (own - near) + 1e-6), own - 1);
    };
  }

  /** The slope of ALiBi of every head. */
  function slopeOf(h, heads) {
    const power = 2 ** Math.floor(Math.log2(heads));
    return h < power ? 2 ** ((-8 * (h + 1)) / power) : 2 ** ((-4 * (2 * (h - power) + 1)) / power);
  }

  /** value(head, query, key) of every head and pair: (heads, T, S, 1). */
  function ofPairs(heads, s, value) {
    const [steps, keys] = s.shape.slice(-3, -1);
    const out = array([heads, steps, keys, 1]);
    for (let i = 0; i < out.data.length; i += 1) {
      out.data[i] = value(Math.floor(i / (steps * keys)), Math.floor(i / keys) % steps, i % keys);
    }
    return out;
  }

  function sumDistances(x, like, options) {
    const [heads, count] = like.shape;
    const [steps, keys, m] = x.shape.slice(-3);
    const out = array([heads, count]);
    const place = placeOf(count, options);
    for (let i = 0; i < x.data.length; i += 1) {
      const pair = Math.floor(i / m);
      const head = Math.floor(pair / (steps * keys));
      out.data[head * count + place(Math.floor(pair / keys) % steps, pair % keys)] += x.data[i];
    }
    return out;
  }

  function oneHot(x, like, { skip = null }) {
    const ids = array([like.shape[0], 1], Float64Array.from(range(like.shape[0])));
    return zip((id, n) => (id === n && id !== skip ? 1 : 0), widened(x, samples(x)), ids);
  }

  function meanGroups(x, { groups: given }) {
    const axis = features(x);
    const groups = given ?? x.shape[axis];
    const width = x.shape[axis] / groups;
    const split = reshaped(x, [...x.shape.slice(0, axis), groups, width, x.shape[axis + 1]]);
    const axes = [...positions(x), axis + 1];
    const count = axes.reduce((product, n) => product * split.shape[n], 1);
    const means = map((total) => total / count, sum(split, axes, true));
    return reshaped(stretched(means, split.shape), x.shape);
  }

  function fit(x, like) {
    const front = x.shape.length - like.shape.length;
    const thin = (axis) => axis < front || (like.shape[axis - front] === 1 && x.shape[axis] !== 1);
    const axes = range(x.shape.length).filter(thin);
    return reshaped(sum(x, axes, true), like.shape);
  }

  function beside(a, b) {
    const [above, below] = [a.shape[features(a)], b.shape[features(b)]];
    const out = put(array(resized(a, features(a), above + below)), a, starting(a, -1, 0));
    return put(out, b, starting(b, features(b), above));
  }

  /** Every second feature, from `first` on. */
  function everySecond(x, first) {
    const [count, m] = [x.shape[features(x)], x.shape[samples(x)]];
    const out = array(resized(x, features(x), Math.ceil((count - first) / 2)));
    const own = out.shape[features(out)];
    for (let i = 0; i < out.data.length; i += 1) {
      const [s, row] = [i % m, Math.floor(i / m)];
      out.data[i] = x.data[(Math.floor(row / own) * count + 2 * (row % own) + first) * m + s];
    }
    return out;
  }

  function interleave(a, b) {
    const [count, m] = [a.shape[features(a)], a.shape[samples(a)]];
    const out = array(resized(a, features(a), 2 * count));
    for (let i = 0; i < out.data.length; i += 1) {
      const [s, row] = [i % m, Math.floor(i / m)];
      const k = row % (2 * count);
      const from = k % 2 ? b : a;
      out.data[i] = from.data[(Math.floor(row / (2 * count)) * count + Math.floor(k / 2)) * m + s];
    }
    return out;
  }

  function mean(x, axes, keep) {
    const total = sum(x, axes, keep);
    return map((value) => value / (x.data.length / total.data.length), total);
  }

  // -- functions of one number -----------------------------------------------------------------------------
  /** e^{-x²} 2x/√π Σ (2x²)^n / (1·3···(2n+1)), all terms positive; beyond 3 it is 1 - erfc, by the continued
   *  fraction of erfc. */
  function erf(x) {
    const size = Math.abs(x);
    if (!(size > 0)) return x;
    if (size > 6) return Math.sign(x);
    const front = (Math.exp(-size * size) * 2) / Math.sqrt(Math.PI);
    if (size > 3) {
      let fraction = size;
      for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
      return Math.sign(x) * (1 - front / 2 / fraction);
    }
    let [total, term] = [0, size];
    for (let n = 1; total + term !== total; n++) {
      total += term;
      term *= (2 * size * size) / (2 * n + 1);
    }
    return Math.sign(x) * front * total;
  }

  function power(x, { exponent }) {
    if (exponent === 2) return map((v) => v * v, x);
    return exponent === 0.5 ? map(Math.sqrt, x) : map((v) => v ** exponent, x);
  }

  function where(condition, yes, no) {
    const shape = [yes, no].reduce((common, x) => at.commonShape(common, x.shape), condition.shape);
    const [chosen, left, right] = [condition, yes, no].map((x) => stretched(x, shape).data);
    return array(shape, chosen.map((value, i) => (value !== 0 ? left[i] : right[i])));
  }

  const entrywise = (f) => (x) => map(f, x);
  const pairwise = (f) => (a, b) => zip(f, a, b);

  const primitives = {
    fit,
    stretch: (x, like) => stretched(x, like.shape),
    add: pairwise((a, b) => a + b),
    subtract: pairwise((a, b) => a - b),
    multiply: pairwise((a, b) => a * b),
    divide: pairwise((a, b) => a / b),
    ratio: pairwise((a, b) => (b === 0 ? 0 : a / b)),
    negative: entrywise((x) => -x),
    power,
    sqrt: entrywise(Math.sqrt),
    exp: entrywise(Math.exp),
    expm1: entrywise(Math.expm1),
    log: entrywise(Math.log),
    log1p: entrywise(Math.log1p),
    xlogy: pairwise((w, x) => (w === 0 ? 0 : w * Math.log(x))),
    tanh: entrywise(Math.tanh),
    cos: entrywise(Math.cos),
    sin: entrywise(Math.sin),
    erf: entrywise(erf),
    absolute: entrywise(Math.abs),
    floor: entrywise(Math.floor),
    raised: pairwise((a, b) => a ** b),
    maximum: pairwise(Math.max),
    minimum: pairwise(Math.min),
    greater: pairwise((a, b) => (a > b ? 1 : 0)),
    where,
    ones_like: ones,
    zeros_like: zeros,
    transpose: (x) => permuted(x, range(x.shape.length).reverse()),
    matmul,
    correlate,
    broadcast_samples: (b) => reshaped(b, [...b.shape, 1]),
    sum_samples: (x) => sum(x, [samples(x)]),
    sum_positions: (x) => sum(x, positions(x)),
    inside: ones,
    every_feature: (x) => widened(x, 1),
    count_positions: (x) => scalar(sizeOf(x.shape.slice(0, -2))),
    max_positions: (x) => max(x, positions(x)),
    first_position: (x) => marked(at.winner, x, sizeOf(x.shape.slice(0, -2)), sizeOf(x.shape.slice(-2))),
    sum_features: (x) => sum(x, [features(x)], true),
    log_paths: logPaths,
    path_shares: pathShares,
    count_labels: (y, { blank }) => {
      const [steps, classes, width] = y.shape;
      const out = array([width]);
      for (let n = 0; n < steps * classes * width; n++) {
        if (Math.floor(n / width) % classes !== blank) out.data[n % width] += y.data[n];
      }
      return out;
    },
    sum_near: (x, { before, after }) => {
      const [channels, width] = x.shape.slice(-2);
      const out = array(x.shape);
      for (let n = 0; n < x.data.length; n += 1) {
        const c = Math.floor(n / width) % channels;
        for (let j = Math.max(c - before, 0); j <= Math.min(c + after, channels - 1); j += 1) out.data[n] += x.data[n + (j - c) * width];
      }
      return out;
    },
    mean_features: (x) => mean(x, [features(x)], true),
    per_feature: (x, { weights }) => array([weights.length, 1], Float64Array.from(weights)),
    count_features: (x) => scalar(x.shape[features(x)]),
    count_values: (x) => scalar(x.data.length / x.shape[features(x)]),
    mean_samples: (x) => mean(x, [...positions(x), samples(x)]),
    mean_groups: meanGroups,
    max_features: (x) => max(x, [features(x)], true),
    largest_feature: (x) => marked(at.winner, x, x.shape[features(x)], x.shape[samples(x)]),
    sum_outputs: (x) => sum(x, range(samples(x))),
    count_outputs: (x) => scalar(x.data.length / x.shape[samples(x)]),
    sum_entries: (x) => sum(x, range(x.shape.length)),
    beside,
    even_features: (x) => everySecond(x, 0),
    odd_features: (x) => everySecond(x, 1),
    interleave,
    first_features: (x, like) => rows(x, 0, like.shape[features(like)]),
    other_features: (x, like) => {
      const first = like.shape[features(like)];
      return rows(x, first, x.shape[features(x)] - first);
    },
    one_hot: oneHot,
    sinusoids,
    features_between: (x, { start, stop }) => rows(x, start, stop - start),
    features_placed: (x, like, { start }) => put(zeros(like), x, starting(like, features(like), start)),
    gate: (z, option) => rows(z, ...gateRows(z, option)),
    gate_place: (x, like, option) => {
      const [first] = gateRows(like, option);
      return put(zeros(like), x, starting(like, features(like), first));
    },
    sum_steps: (x) => x,
    with_ones: (x) => beside(full([1, x.shape[1]], 1), x),
    without_bias: (theta) => slice(theta, [0, 1], [theta.shape[0], theta.shape[1] - 1]),
    with_zero_bias: (w) => put(array([w.shape[0], w.shape[1] + 1]), w, [0, 1]),
    flatten: (x) => reshaped(x, [sizeOf(x.shape.slice(0, -1)), x.shape[samples(x)]]),
    unflatten: (x, like) => reshaped(x, like.shape),
    arranged: (x, { shape }) => reshaped(x, [...shape, x.shape[samples(x)]]),
    framed,
    unframed,
    mean_parts: meanParts,
    spread_parts: spreadParts,
    largest_parts: largestParts,
    placed_parts: placedParts,
    tent,
    shuffled,
    unshuffled,
    permuted: (x, { order }) => permuted(x, [...order, samples(x)]),
    reshaped: (x, { shape }) => {
      const rest = sizeOf(x.shape.slice(0, -1)) / Math.abs(sizeOf(shape));
      return reshaped(x, [...shape.map((size) => (size < 0 ? rest : size)), x.shape[samples(x)]]);
    },
    merged: (x, { axes }) => reshaped(x, [...x.shape.slice(0, samples(x) - axes), sizeOf(x.shape.slice(samples(x) - axes, -1)), x.shape[samples(x)]]),
    along,
    window,
    place,
    canvas: (x, { grid, features: count }) => {
      const axes = grid.kernel.length;
      return full([...grids.image(grid, x.shape.slice(0, axes)), count, x.shape[samples(x)]], 0);
    },
    kernel_at: (w, ...offset) => {
      offset.pop();
      const { starts, counts } = matrixOf(w, offset);
      return reshaped(slice(w, starts, counts), [w.shape[0], w.shape.at(-1)]);
    },
    kernel_place: (x, like, ...offset) => {
      offset.pop();
      const { starts, counts } = matrixOf(like, offset);
      return put(zeros(like), reshaped(x, counts), starts);
    },
    block_diagonal: (w, like) => {
      const [count, width] = w.shape;
      const columns = like.shape[features(like)];
      const out = array([count, columns]);
      blocks(count, columns, width).forEach((place, i) => { out.data[place] = w.data[i]; });
      return out;
    },
    diagonal_blocks: (x, like) => {
      const [count, columns] = x.shape;
      const width = like.shape[samples(like)];
      const places = blocks(count, columns, width);
      return array([count, width], Float64Array.from(places, (place) => x.data[place]));
    },
    chosen: (winner, ...offset) => {
      const { grid } = offset.pop();
      const place = at.flat(grid.kernel, offset.map(numberOf));
      return map((value) => (value === place ? 1 : 0), winner);
    },
    split_heads: (x, { heads }) => {
      const [steps, width, count] = x.shape;
      return permuted(reshaped(x, [steps, heads, width / heads, count]), [1, 0, 2, 3]);
    },
    join_heads: (x, { heads }) => {
      const [, steps, width, count] = x.shape;
      return reshaped(permuted(x, [1, 0, 2, 3]), [steps, heads * width, count]);
    },
    // (..., T, 1, n, m) and (..., 1, S, n, m) over n; (..., T, S, 1, m) and (..., 1, S, n, m) over S.
    step_products: (a, b) => contracted(widened(a, features(a)), widened(b, features(b) - 1), samples(a)),
    mix_steps: (a, x) => contracted(widened(a, samples(a)), widened(x, features(x) - 1), features(x)),
    swap_steps: (a) => swapped(a, a.shape.length - 3),
    not_later: (s) => {
      const [steps, keys] = s.shape.slice(-3, -1);
      const seen = range(steps * keys).map((i) => (i % keys <= Math.floor(i / keys) ? 1 : 0));
      return array([steps, keys, 1], Float64Array.from(seen));
    },
    seen_by: (s, { mask }) => array([...s.shape.slice(-3, -1), 1], Float64Array.from(mask.flat(), Number)),
    repeat_heads: (x, { times }) => {
      const [heads, ...rest] = x.shape;
      const many = stretched(reshaped(x, [heads, 1, ...rest]), [heads, times, ...rest]);
      return reshaped(many, [heads * times, ...rest]);
    },
    sum_heads: (x, { times }) => {
      const [heads, ...rest] = x.shape;
      return reshaped(sum(reshaped(x, [heads / times, times, ...rest]), [1], true), [heads / times, ...rest]);
    },
    turned,
    sloped: (s) => {
      const heads = s.shape.at(-4);
      return ofPairs(heads, s, (head, i, k) => slopeOf(head, heads) * Math.abs(k - i));
    },
    by_distance: (P, s, options) => {
      const [heads, count] = P.shape;
      const place = placeOf(count, options);
      return ofPairs(heads, s, (head, i, k) => P.data[head * count + place(i, k)]);
    },
    sum_distances: sumDistances,
  };

  // -- reductions over the offsets of a kernel: values in row-major order, and the ranges of the indices ---
  /** f entry by entry through all values, which have one shape. */
  const folded = (f) => (values) => {
    const out = array(values[0].shape, values[0].data.slice());
    for (const { data } of values.slice(1)) {
      for (let i = 0; i < data.length; i++) out.data[i] = f(out.data[i], data[i]);
    }
    return out;
  };
  const sumOver = folded(at.plus);

  const binders = {
    sum_over: sumOver,
    mean_over: (values) => map((total) => total / values.length, sumOver(values)),
    max_over: folded(Math.max),
    argmax_over: (values) => {
      const places = values[0].data.map((_, i) => at.winner(values.map(({ data }) => data[i])));
      return array(values[0].shape, places);
    },
    stack_over: (values, ranges) => {
      const [count, ...rest] = values[0].shape;
      const out = array([count, values.length, ...rest]);
      values.forEach((value, n) => put(out, widened(value, 1), starting(out, 1, n)));
      return reshaped(out, [count, ...ranges, ...rest]);
    },
  };

  Object.assign(chainrule, { primitives, binders, grids, fillOf, source, turnOf, placeOf, windowsOf });
  if (typeof module === "object") module.exports = chainrule;
})((globalThis.chainrule ??= {}));
