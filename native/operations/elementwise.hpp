// What is done entry by entry: f' on a δ, and an activation that stands alone; and in strips, where lanes are channels.
#pragma once
#include <algorithm>
#include <cstring>

#include "../plan/checks.hpp"
#include "../plan/parallel.hpp"
#include "../plan/plan.hpp"

namespace chainrule {

// δ of a value times f' of the activation that made it (equation 3's Hadamard factor), in place.
template <class T>
void multiply_by_derivative(Plan<T>& plan, int x, const Post<T>& post, int samples) {
  if (post.kind == Act::identity || !plan.value(x).with_delta) return;
  ElementwiseArgs<T> g;
  g.x = g.z = plan.delta(x), g.blocks = plan.blocks(x, samples), g.post = post;
  parallel(g.blocks * g.x.height, int64_t(g.blocks) * plan.value(x).shape.features(),
           [&](int begin, int end, int) { plan.kernels().activation_backward(g, begin, end); });
}

// Runs body(x, z) on strips of positions, brought into lanes: maps of one block and one pixel, all channels. So what looks at
// all channels of a position is computed as where lanes are samples, by the same kernels.
template <class T, class Body>
void in_strips(Plan<T>& plan, int from, int to, int samples, int64_t work, Body&& body) {
  const auto &x = plan.value(from), &z = plan.value(to);
  const int l = plan.lanes(), height = x.map.height, width = x.map.width, channels = x.shape.channels;
  const int64_t padded = plan.pixel(x.shape);
  const bool whole = !has_halo(x.shape) && !has_halo(z.shape);
  const int runs = whole ? 1 : samples * height, rows = whole ? samples * height * width : width, strips = (rows + l - 1) / l;
  parallel(runs * strips, work, [&](int begin, int end, int) {
    T* const scratch = thread_scratch<T>(size_t(2 * padded * l));
    Map<T> in, out;
    in.data = scratch, in.channels = channels, in.block_step = in.row_step = ptrdiff_t(channels) * l;
    out = in, out.data = scratch + padded * l;
    Map<T> stored = out;
    stored.channels = int(padded);
    for (int unit = begin; unit < end; unit++) {
      const int run = unit / strips, first = unit % strips * l, b = run / height, h = run % height;
      GatherArgs g{};
      g.source = x.map.row(b, h) + first * padded, g.features = padded, g.piece = channels;
      g.samples = std::min(l, rows - first), g.repeat = true;
      plan.kernels().gather(g, in, source_same, 0, 1);
      body(in, out);
      std::memset(out.data + ptrdiff_t(channels) * l, 0, sizeof(T) * size_t((padded - channels) * l));
      plan.kernels().scatter(stored, z.map.row(b, h) + first * padded, g.samples, 0, 1);
    }
  });
}

// An activation that could not be fused, or softmax inside a network.
template <class T>
class ElementwiseOperation final : public Operation<T> {
 public:
  bool softmax = false;
  Act kind = Act::identity;
  double slope = 0;

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  bool takes_bands(const Plan<T>&) const override { return true; }
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
    forward_.blocks = plan.blocks(this->z, samples);
    const auto& k = plan.kernels();
    if (softmax && plan.value(this->z).shape.lanes == InLanes::channels) {
      in_strips(plan, this->x, this->z, samples, work(), [&](const Map<T>& x, const Map<T>& z) {
        ElementwiseArgs<T> strip = forward_;
        strip.x = x, strip.z = z, strip.blocks = 1;
        k.softmax_forward(strip, 0, 1);
      });
      return;
    }
    const auto kernel = softmax ? k.softmax_forward : k.activation_forward;
    parallel(forward_.blocks * forward_.x.height, work(), [&](int begin, int end, int) { kernel(forward_, begin, end); });
  }
  void delta(Plan<T>& plan, int samples) override {
    backward_.blocks = plan.blocks(this->z, samples);
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
