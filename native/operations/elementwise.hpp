// What is done entry by entry: f' on a δ, and an activation that stands alone.
#pragma once
#include "../plan/checks.hpp"
#include "../plan/parallel.hpp"
#include "../plan/plan.hpp"

namespace chainrule {

// δ of a value times f' of the activation that made it (equation 3's Hadamard factor), in place.
template <class T>
void multiply_by_derivative(Plan<T>& plan, int x, const Post<T>& post, int samples) {
  if (post.kind == Act::identity || !plan.value(x).with_delta) return;
  ElementwiseArgs<T> g;
  g.x = g.z = plan.delta(x), g.blocks = plan.blocks(samples), g.post = post;
  parallel(g.blocks * g.x.height, int64_t(g.blocks) * plan.value(x).shape.features(),
           [&](int begin, int end, int) { plan.kernels().activation_backward(g, begin, end); });
}

// An activation that could not be fused, or softmax inside a network.
template <class T>
class ElementwiseOperation final : public Operation<T> {
 public:
  bool softmax = false;
  Act kind = Act::identity;
  double slope = 0;

  void check(const Plan<T>& plan) const override { require_same_size(plan, this->x, this->z); }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    forward_.x = plan.map(this->x), forward_.z = plan.map(this->z);
    forward_.post.kind = kind, forward_.post.slope = T(slope);
    backward_.x = plan.delta(this->x), backward_.z = plan.delta(this->z);
    backward_.post = forward_.post;
    // A negative slope loses the sign of z in a.
    backward_.post.saved = plan.map(softmax || (derivative_from_output(kind) && !(slope < 0)) ? this->z : this->x);
  }
  void forward(Plan<T>& plan, int samples) override {
    forward_.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const auto kernel = softmax ? k.softmax_forward : k.activation_forward;
    parallel(forward_.blocks * forward_.x.height, work(), [&](int begin, int end, int) { kernel(forward_, begin, end); });
  }
  void delta(Plan<T>& plan, int samples) override {
    backward_.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const auto kernel = softmax ? k.softmax_backward : k.activation_backward;
    parallel(backward_.blocks * backward_.x.height, work(), [&](int begin, int end, int) { kernel(backward_, begin, end); });
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  int64_t work() const { return int64_t(8) * forward_.blocks * forward_.x.height * forward_.x.width * forward_.x.channels; }
  ElementwiseArgs<T> forward_{}, backward_{};
};

}   // namespace chainrule
