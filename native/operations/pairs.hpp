// A dense layer whose factors are rounded to bfloat16 (docs/decisions/0021-bfloat16.md): x, W and δ to pairs, then
// kernels/pairs.inl.
#pragma once
#include "dense.hpp"

namespace chainrule {

class PairsOperation final : public DenseOperation<float> {
 public:
  void reserve(Plan<float>& plan) override {
    const ValueShape z = plan.laid(plan.value(this->z).shape);
    const int in = int(inputs(plan)), out = z.channels;
    const size_t l = size_t(plan.lanes()),
                 pixels = is_vector(plan.value(this->z).shape) ? 1 : size_t(z.height) * size_t(z.width);
    const size_t samples = size_t(z.lanes == InLanes::samples ? plan.blocks(plan.most_lanes(z)) : plan.batch_size());
    const size_t blocks = samples * pixels;
    const auto pairs = [&](size_t runs, int along) { return plan.arena().reserve(runs * size_t((along + 1) / 2) * l, 4); };
    const auto panels = [&](int count) { return (size_t(count) + l - 1) / l; };
    x_ = pairs(blocks, in);
    if (!plan.value(this->z).with_delta) {
      weights_ = pairs(panels(out), in);
      return;
    }
    lanes_ = plan.arena().reserve(blocks * size_t(in) * l / 2, 4);
    if (!this->hands_down(plan)) return;
    z_ = pairs(blocks * panels(out), plan.lanes());   // whole panels, zero behind the outputs
  }
  void forward(Plan<float>& plan, int samples) override {
    DenseArgs<float>& g = forward_;
    set(plan, g, samples);
    const int l = plan.lanes();
    const auto& k = plan.pairs();
    const bool kept = !plan.value(this->z).with_delta;   // in training W changes with every step
    if (kept && !prepared_.holds(plan, 0)) {
      convert(k.along, (g.outputs + l - 1) / l,
              {g.weights, ptrdiff_t(g.inputs) * l, at(plan, weights_), along(plan, g.inputs), g.inputs});
      prepared_.made(plan, 0);
    }
    convert(k.along, g.blocks, {g.x, g.x_block, at(plan, x_), along(plan, g.inputs), g.inputs});
    DenseArgs<float, uint32_t> p = pairs_of(g);
    p.x = at(plan, x_), p.x_block = along(plan, g.inputs), p.inputs = (g.inputs + 1) / 2;
    p.bias = g.bias, p.z = g.z, p.z_block = g.z_block, p.outputs = g.outputs, p.post = g.post;
    if (kept) p.weights = at(plan, weights_);
    else p.source = g.weights, p.rows = g.inputs;
    run(k.forward, k.forward_units(p), work(g), p, kept ? 0 : k.room(g.inputs, g.outputs));
  }
  void gradients(Plan<float>& plan, int samples) override {
    clear_beyond(plan, this->z, true, samples);
    DenseArgs<float>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.pairs();
    const ptrdiff_t block = ptrdiff_t(g.inputs) * plan.lanes() / 2;
    convert(k.lanes, g.blocks, {g.x, g.x_block, at(plan, lanes_), block, g.inputs});
    DenseArgs<float, uint32_t> p = pairs_of(g);
    p.x = at(plan, lanes_), p.x_block = block, p.z = g.z, p.z_block = g.z_block, p.inputs = g.inputs, p.outputs = g.outputs;
    p.weight_gradient = g.weight_gradient, p.bias_gradient = g.bias_gradient;
    const size_t scratch = k.scratch(g.samples);
    parallel(k.gradient_units(p), work(g),
             [&](int begin, int end, int) { k.gradient(p, begin, end, thread_scratch<uint32_t>(scratch)); });
  }
  void delta(Plan<float>& plan, int samples) override {
    DenseArgs<float>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.pairs();
    const int l = plan.lanes();
    const ptrdiff_t block = along(plan, (g.outputs + l - 1) / l * l);
    convert(k.along, g.blocks, {g.z, g.z_block, at(plan, z_), block, g.outputs});
    DenseArgs<float, uint32_t> p = pairs_of(g);
    p.x = at(plan, z_), p.x_block = block, p.source = g.weights, p.inputs = g.inputs, p.outputs = g.outputs;
    p.x_delta = g.x_delta, p.x_delta_block = g.x_delta_block, p.post = g.post;
    run(k.backward, k.backward_units(p), work(g), p, k.room(g.inputs, g.outputs));
  }
  bool norms(Plan<float>&, int, bool, double*) override { return false; }

 private:
  Region x_, lanes_, z_, weights_;
  Prepared prepared_;

  static uint32_t* at(Plan<float>& plan, const Region& region) { return plan.arena().template at<uint32_t>(region); }
  static ptrdiff_t along(const Plan<float>& plan, int rows) { return ptrdiff_t((rows + 1) / 2) * plan.lanes(); }
  static DenseArgs<float, uint32_t> pairs_of(const DenseArgs<float>& g) {
    DenseArgs<float, uint32_t> p{};
    p.blocks = g.blocks, p.samples = g.samples;
    return p;
  }
  template <class Kernel>
  static void run(Kernel kernel, int units, int64_t work, const DenseArgs<float, uint32_t>& g, size_t room) {
    parallel(units, work, [&](int begin, int end, int) {
      DenseArgs<float, uint32_t> own = g;
      if (room) own.room = thread_scratch<uint32_t>(room);
      kernel(own, begin, end);
    });
  }
  template <class Kernel>
  static void convert(Kernel kernel, int units, const PairArgs& g) {
    parallel(units, int64_t(units) * g.rows, [&](int begin, int end, int) { kernel(g, begin, end); });
  }
};

}   // namespace chainrule
