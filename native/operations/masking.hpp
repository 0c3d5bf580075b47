// Which steps of a sequence are padding: the mask that later operations read, and zeros in their place.
#pragma once
#include "elementwise.hpp"

namespace chainrule {

template <class T>
class MaskingOperation final : public Operation<T> {
 public:
  int mask = -1;
  T value = 0;

  void check(const Plan<T>& plan) const override {
    require_same_size(plan, this->x, this->z);
    require_mask(plan, mask, plan.value(this->x).shape);
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    forward_.x = plan.map(this->x), forward_.z = plan.map(this->z);
    backward_.x = plan.delta(this->x), backward_.z = plan.delta(this->z);
    forward_.mask = backward_.mask = plan.map(mask);
    forward_.value = value;
  }
  void forward(Plan<T>& plan, int samples) override { run(plan, forward_, plan.kernels().masking_forward, samples); }
  void delta(Plan<T>& plan, int samples) override {
    run(plan, backward_, plan.kernels().masking_backward, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Kernel>
  static void run(Plan<T>& plan, MaskingArgs<T>& g, Kernel kernel, int samples) {
    g.blocks = plan.blocks(samples);
    parallel(g.blocks * g.x.height, int64_t(g.blocks) * g.x.height * g.x.width * g.x.channels * 2,
             [&](int begin, int end, int) { kernel(g, begin, end); });
  }
  MaskingArgs<T> forward_{}, backward_{};
};

// The mean or the largest value of the steps that are there.
template <class T>
class MaskedPoolOperation final : public Operation<T> {
 public:
  int mask = -1;
  bool average = false;

  void check(const Plan<T>& plan) const override {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    require(is_vector(z) && z.channels == x.channels, "a pooled sequence is a vector of its channels");
    require_mask(plan, mask, x);
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    args_.x = plan.map(this->x), args_.z = plan.map(this->z), args_.mask = plan.map(mask);
    args_.x_delta = plan.delta(this->x), args_.z_delta = plan.delta(this->z);
    args_.average = average;
  }
  void forward(Plan<T>& plan, int samples) override { run(plan, plan.kernels().masked_pool_forward, samples); }
  void delta(Plan<T>& plan, int samples) override {
    run(plan, plan.kernels().masked_pool_backward, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Kernel>
  void run(Plan<T>& plan, Kernel kernel, int samples) {
    args_.blocks = plan.blocks(samples);
    parallel(args_.blocks, int64_t(args_.blocks) * args_.x.width * args_.x.channels * 3,
             [&](int begin, int end, int) { kernel(args_, begin, end); });
  }
  MaskedPoolArgs<T> args_{};
};

}   // namespace chainrule
