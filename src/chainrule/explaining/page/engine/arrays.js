// Arrays for the engine: {shape, data}, float64, row-major, samples last.  A number is an array of shape [].
//
// One loop, `walk`, carries them all: copies along strides, and sums and maxima over axes.
"use strict";

(function (chainrule) {
  const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

  const array = (shape, data) => ({ shape, data: data ?? new Float64Array(sizeOf(shape)) });

  const scalar = (value) => array([], Float64Array.of(value));

  function full(shape, value) {
    const out = array(shape);
    if (value !== 0) out.data.fill(value);
    return out;
  }

  /** The row-major strides of a shape. */
  function stridesOf(shape) {
    const strides = new Array(shape.length);
    for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
      strides[axis] = step;
      step *= shape[axis];
    }
    return strides;
  }

  /** visit(i, j) for every index of `shape`, i and j running with their own starts and strides. */
  function walk(shape, i, iStrides, j, jStrides, visit, axis = 0) {
    if (axis === shape.length) return visit(i, j);
    const iStep = iStrides[axis];
    const jStep = jStrides[axis];
    const last = axis === shape.length - 1;
    for (let n = 0; n < shape[axis]; n++, i += iStep, j += jStep) {
      if (last) visit(i, j);
      else walk(shape, i, iStrides, j, jStrides, visit, axis + 1);
    }
  }

  /** to[i] = from[j] for every index of `shape`; axes that lie side by side in both are one run. */
  function copy(shape, to, i, iStrides, from, j, jStrides) {
    let [axes, run] = [shape.length, 1];
    while (axes > 0 && (shape[axes - 1] === 1 || (iStrides[axes - 1] === run && jStrides[axes - 1] === run))) {
      run *= shape[--axes];
    }
    walk(shape.slice(0, axes), i, iStrides, j, jStrides, (a, b) => {
      for (let n = 0; n < run; n++) to[a + n] = from[b + n];
    });
  }

  /** A copy of the entries of x at start + Σ index·strides, as an array of `shape`. */
  function gathered(x, shape, start, strides) {
    const out = array(shape);
    copy(shape, out.data, 0, stridesOf(shape), x.data, start, strides);
    return out;
  }

  /** x with the axes in another order: axis n of the result is axis order[n] of x. */
  function permuted(x, order) {
    const strides = stridesOf(x.shape);
    return gathered(x, order.map((axis) => x.shape[axis]), 0, order.map((axis) => strides[axis]));
  }

  /** x broadcast to a shape, as NumPy does it. */
  function stretched(x, shape) {
    if (same(x.shape, shape)) return x;
    const own = stridesOf(x.shape);
    const front = shape.length - x.shape.length;
    const fits = front >= 0 && x.shape.every((size, axis) => size === 1 || size === shape[axis + front]);
    if (!fits) throw new Error(`an array of shape (${x.shape}) does not broadcast to (${shape})`);
    const repeats = (axis) => axis < front || x.shape[axis - front] === 1;
    const strides = shape.map((_, axis) => (repeats(axis) ? 0 : own[axis - front]));
    return gathered(x, shape, 0, strides);
  }

  function same(left, right) {
    return left.length === right.length && left.every((size, axis) => size === right[axis]);
  }

  /** The shape two operands broadcast to. */
  function commonShape(left, right) {
    const [long, short] = left.length >= right.length ? [left, right] : [right, left];
    const front = long.length - short.length;
    return long.map((size, axis) => (axis < front || size !== 1 ? size : short[axis - front]));
  }

  /** f entry by entry. */
  function map(f, x) {
    const out = array(x.shape);
    for (let i = 0; i < out.data.length; i++) out.data[i] = f(x.data[i]);
    return out;
  }

  /** f(a, b) entry by entry, broadcast. */
  function zip(f, a, b) {
    const shape = commonShape(a.shape, b.shape);
    const out = array(shape);
    const [left, right] = [a, b].map((x) => (x.shape.length === 0 ? x : stretched(x, shape)).data);
    const [one, other] = [a, b].map((x) => (x.shape.length === 0 ? 0 : 1));
    for (let i = 0; i < out.data.length; i++) out.data[i] = f(left[i * one], right[i * other]);
    return out;
  }

  /** f(so far, entry) over the given axes, beginning with `start`; `keep`: they stay with length 1. */
  function reduce(f, start, x, axes, keep = false) {
    const gone = new Set(axes);
    const thin = x.shape.map((size, axis) => (gone.has(axis) ? 1 : size));
    const out = full(thin, start);
    const strides = stridesOf(thin).map((step, axis) => (gone.has(axis) ? 0 : step));
    const to = out.data;
    const from = x.data;
    walk(x.shape, 0, strides, 0, stridesOf(x.shape), (i, j) => {
      to[i] = f(to[i], from[j]);
    });
    return keep ? out : reshaped(out, thin.filter((_, axis) => !gone.has(axis)));
  }

  const plus = (a, b) => a + b;
  const sum = (x, axes, keep) => reduce(plus, 0, x, axes, keep);
  const max = (x, axes, keep) => reduce(Math.max, -Infinity, x, axes, keep);

  /** Which of several numbers a maximum is: of equal ones the first. */
  const winner = (values) => values.reduce((best, value, n) => (value > values[best] ? n : best), 0);

  const reshaped = (x, shape) => ({ shape, data: x.data });

  /** The part of x from `starts`, `counts` entries along every axis, `steps` apart. */
  function slice(x, starts, counts, steps) {
    const strides = stridesOf(x.shape);
    const first = starts.reduce((at, start, axis) => at + start * strides[axis], 0);
    return gathered(x, counts, first, strides.map((step, axis) => step * (steps ? steps[axis] : 1)));
  }

  /** Write x into that part of `out`. */
  function put(out, x, starts, steps) {
    const strides = stridesOf(out.shape);
    const first = starts.reduce((at, start, axis) => at + start * strides[axis], 0);
    const wide = strides.map((step, axis) => step * (steps ? steps[axis] : 1));
    copy(x.shape, out.data, first, wide, x.data, 0, stridesOf(x.shape));
    return out;
  }

  /** The flat place of an index. */
  const flat = (shape, index) => index.reduce((at, i, axis) => at * shape[axis] + i, 0);

  /** The index of a flat place. */
  function unflat(shape, at) {
    const index = new Array(shape.length);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = at % shape[axis];
      at = Math.floor(at / shape[axis]);
    }
    return index;
  }

  Object.assign(chainrule, {
    arrays: {
      array, commonShape, flat, full, gathered, map, max, permuted, plus, put, reduce, reshaped, same, scalar,
      sizeOf, slice, stretched, stridesOf, sum, unflat, winner, zip,
    },
  });
  if (typeof module === "object") module.exports = chainrule;
})((globalThis.chainrule ??= {}));
