// A dense layer on vectors.
#pragma once
#include <cmath>

#include "elementwise.hpp"

namespace chainrule {

template <class T>
class DenseOperation final : public Operation<T> {
 public:
  int weights = -1, bias = -1;

  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    require(is_vector(z.shape), "the output of a dense layer must be a vector");
    require(without_halo(x) && without_halo(z), "a dense layer takes and gives values without zeros around them");
    require_delta(plan, *this);
    const ParameterShape& w = plan.parameter(weights).shape;
    require(w.layout == Layout::panels && w.outputs == z.shape.channels && w.inputs == x.shape.features(),
            "the weights of a dense layer do not fit its values");
    if (bias >= 0) require_plain(plan, bias, z.shape.channels);
  }
  void reserve(Plan<T>& plan) override {
    if (plan.per_sample()) norms_ = plan.arena().reserve(size_t(plan.max_blocks()) * size_t(plan.lanes()), sizeof(double));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto x = plan.map(this->x), z = plan.map(this->z), dx = plan.delta(this->x), dz = plan.delta(this->z);
    forward_.x = x.data, forward_.x_block = x.block_step;
    forward_.weights = plan.theta(weights), forward_.bias = plan.theta(bias);
    forward_.z = z.data, forward_.z_block = z.block_step;
    forward_.inputs = int(plan.value(this->x).shape.features());
    forward_.outputs = z.channels;
    forward_.post = this->post;
    backward_ = forward_;
    backward_.z = dz.data, backward_.z_block = dz.block_step;
    backward_.x_delta = dx.data, backward_.x_delta_block = dx.block_step;
    backward_.weight_gradient = plan.gradient(weights), backward_.bias_gradient = plan.gradient(bias);
    backward_.post = this->input_post;
  }

  void forward(Plan<T>& plan, int samples) override {
    DenseArgs<T>& g = forward_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    parallel(k.dense_forward_units(g), work(g), [&](int begin, int end, int) { k.dense_forward(g, begin, end); });
  }

  void gradients(Plan<T>& plan, int samples) override {
    DenseArgs<T>& g = backward_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    const size_t scratch = k.dense_scratch(samples);
    parallel(k.dense_gradient_units(g), work(g),
             [&](int begin, int end, int) { k.dense_gradient(g, begin, end, thread_scratch<T>(scratch)); });
  }

  void delta(Plan<T>& plan, int samples) override {
    DenseArgs<T>& g = backward_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    parallel(k.dense_backward_units(g), work(g), [&](int begin, int end, int) { k.dense_backward(g, begin, end); });
  }

  bool norms(Plan<T>& plan, int samples, bool with_gradients, double* norms) override {
    if (with_gradients) gradients(plan, samples);
    DenseArgs<T>& g = backward_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    double* found = plan.arena().template at<double>(norms_);
    parallel(g.blocks, int64_t(g.blocks) * (g.inputs + g.outputs),
             [&](int begin, int end, int) { k.dense_norms(g, found, begin, end); });
    for (int s = 0; s < samples; s++) norms[s] = std::hypot(norms[s], found[s]);
    return true;
  }

 private:
  Region norms_;
  static int64_t work(const DenseArgs<T>& g) { return int64_t(g.blocks) * g.inputs * g.outputs; }
  DenseArgs<T> forward_{}, backward_{};
};

}   // namespace chainrule
