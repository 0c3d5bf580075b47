// The arithmetic of δ through a convolution, entry by entry: page.Convolution, for one sample.
//
// One axis or two, with strides, paddings, dilations and groups: entry (u) of the input meets the offset m
// of window i where u = s·i + d·m − p.
"use strict";
((page) => {
  const at = chainrule.arrays;

  class Convolution {
    /** The grid of a layer whose δ is placed by a kernel; null for another. */
    static gridOf({ formulas, parameters }) {
      if (formulas?.roots.delta === undefined || !parameters?.W) return null;
      const nodes = Convolution.below(formulas.nodes, formulas.roots.delta);
      const placed = nodes.find((node) => node.apply === "place");
      const drawn = placed?.with.grid.kernel.length < 3; // planes one behind the other are not
      return drawn && nodes.some((node) => node.apply === "kernel_at") ? placed.with.grid : null;
    }

    /** The nodes of one formula: a transposed convolution places its output, not its δ. */
    static below(nodes, root) {
      const found = new Set();
      const walk = (number) => {
        if (found.has(nodes[number])) return;
        found.add(nodes[number]);
        (nodes[number].to ?? [nodes[number].is]).filter((one) => one !== undefined).forEach(walk);
      };
      walk(root);
      return [...found];
    }

    constructor(layer, grid, sample) {
      Object.assign(this, { layer, grid, sample });
      const axes = grid.kernel.length;
      this.axes = axes;
      this.size = layer.input_shape.slice(0, axes);
      this.windows = layer.shape.slice(0, axes);
      [this.channels, this.kernels] = [layer.input_shape.at(-1), layer.shape.at(-1)];
      this.before = chainrule.grids.pads(grid, this.size).map(([before]) => before);
      const [d, W] = [page.tensor(`delta:${layer.name}`), page.tensor(layer.parameters.W)];
      Object.assign(this, { d, W, frozen: !d ? `delta:${layer.name}` : !W ? layer.parameters.W : null });
      this.width = W?.shape.at(-1); // input channels of a group
      this.taps = this.every(grid.kernel);
    }

    /** All indices of a size. */
    every(size) {
      return Array.from({ length: at.sizeOf(size) }, (_, n) => at.unflat(size, n));
    }

    /** The kernels that read a channel: those of its group. */
    kernelsOf(channel) {
      const each = (this.kernels * this.width) / this.channels;
      const first = Math.floor(channel / this.width) * each;
      return Array.from({ length: each }, (_, n) => first + n);
    }

    delta(window, k) {
      return this.d.data[at.flat(this.d.shape, [...window, k, this.sample])];
    }

    weight(k, tap, channel) {
      return this.W.data[at.flat(this.W.shape, [k, ...tap, channel % this.width])];
    }

    // -- gather --------------------------------------------------------------------------------------------
    /** Where the spread δ begins, and its size: every place that lies under a tap for some entry. */
    spread() {
      const { kernel, dilation } = this.grid;
      const low = this.before.map((before, axis) => before - dilation[axis] * (kernel[axis] - 1));
      return { low, size: this.size.map((length, axis) => length + this.before[axis] - low[axis]) };
    }

    /** The window at a place of the spread δ; null in its holes and beyond it. */
    windowAt(place) {
      const window = place.map((q, axis) => q / this.grid.stride[axis]);
      return window.every((i, axis) => Number.isInteger(i) && i >= 0 && i < this.windows[axis])
        ? window
        : null;
    }

    /** The place of the spread δ under a tap, for an entry of the input. */
    under(place, tap) {
      return place.map((u, axis) => u + this.before[axis] - this.grid.dilation[axis] * tap[axis]);
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

    /** What an entry gathers from one kernel, or from all. */
    gathered(place, channel, kernels = this.kernelsOf(channel)) {
      return kernels
        .flatMap((k) => this.gather(place, channel, k))
        .reduce((sum, { value }) => sum + value, 0);
    }

    // -- scatter -------------------------------------------------------------------------------------------
    /** The δ's in the order in which they stamp. */
    order(channel) {
      return this.kernelsOf(channel).flatMap((k) =>
        this.every(this.windows).map((window) => ({ window, k })),
      );
    }

    /** The entries of the input that a window lies on, with their taps. */
    reached(window) {
      const { stride, dilation } = this.grid;
      const place = (tap) =>
        window.map((i, axis) => stride[axis] * i + dilation[axis] * tap[axis] - this.before[axis]);
      return this.taps
        .map((tap) => ({ tap, place: place(tap) }))
        .filter((one) => one.place.every((u, axis) => u >= 0 && u < this.size[axis]));
    }

    /** A channel of the input when the first `count` δ's have stamped. */
    canvas(channel, count = Infinity) {
      const canvas = new Float64Array(at.sizeOf(this.size));
      for (const { window, k } of this.order(channel).slice(0, count)) {
        const d = this.delta(window, k);
        for (const { tap, place } of this.reached(window))
          canvas[at.flat(this.size, place)] += this.weight(k, tap, channel) * d;
      }
      return canvas;
    }
  }

  page.Convolution = Convolution;
})(chainrule.page);
