// A dense layer: on vectors, or on the features of every position of a sequence or an image.
#pragma once
#include <cmath>

#include "bands.hpp"
#include "elementwise.hpp"

namespace chainrule {

template <class T>
class DenseOperation : public Operation<T> {
 public:
  int weights = -1, bias = -1;

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override {
    const ValueShape& z = plan.value(this->z).shape;   // a vector has no positions to lie in the lanes
    return lanes == z.lanes && (lanes == InLanes::samples || (lanes == InLanes::positions && !is_vector(z)));
  }
  bool takes_bands(const Plan<T>&) const override { return true; }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    require(is_vector(z.shape) || (x.shape.height == z.shape.height && x.shape.width == z.shape.width),
            "the output of a dense layer must be a vector, or have the positions of its input");
    for (const int i : {this->x, this->z, this->saved, this->input_saved})
      require(i < 0 || without_halo(plan.value(i)), "a dense layer takes and gives values without zeros around them");
    require_delta(plan, *this);
    const ParameterShape& w = plan.parameter(weights).shape;
    require(w.layout == Layout::panels && w.outputs == z.shape.channels && w.inputs == inputs(plan),
            "the weights of a dense layer do not fit its values");
    if (bias >= 0) require_plain(plan, bias, z.shape.channels);
  }
  void reserve(Plan<T>& plan) override {
    if (may_have_zeros(plan)) {
      const size_t in = size_t(inputs(plan)), blocks = size_t(most_blocks(plan, this->z));
      present_ = plan.arena().reserve((blocks + 2) * in, sizeof(int)), counts_ = plan.arena().reserve(blocks + 1, sizeof(int));
      const size_t numbers = blocks * in * size_t(plan.lanes());
      if (plan.value(this->z).with_delta && numbers <= most_copied) rows_ = plan.arena().reserve(numbers, sizeof(T));
    }
    if (plan.per_sample()) norms_ = plan.arena().reserve(size_t(plan.max_blocks()) * size_t(plan.lanes()), sizeof(double));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto x = plan.map(this->x), z = plan.map(this->z), dx = plan.delta(this->x), dz = plan.delta(this->z);
    groups_ = is_vector(plan.value(this->z).shape) ? 1 : z.height * z.width;
    forward_.inputs = int(inputs(plan)), forward_.outputs = z.channels;
    const ptrdiff_t x_block = ptrdiff_t(forward_.inputs) * plan.lanes(), z_block = ptrdiff_t(z.channels) * plan.lanes();
    forward_.x = x.data, forward_.x_block = x_block;
    forward_.weights = plan.theta(weights), forward_.bias = plan.theta(bias);
    forward_.z = z.data, forward_.z_block = z_block;
    forward_.post = this->post, forward_.post.saved.block_step = z_block;
    backward_ = forward_;
    backward_.z = dz.data;
    backward_.x_delta = dx.data, backward_.x_delta_block = x_block;
    backward_.weight_gradient = plan.gradient(weights), backward_.bias_gradient = plan.gradient(bias);
    backward_.post = this->input_post, backward_.post.saved.block_step = x_block;
  }

  void forward(Plan<T>& plan, int samples) override {
    DenseArgs<T>& g = forward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    find_zeros(plan);
    parallel(k.dense_forward_units(g), work(g), [&](int begin, int end, int) { k.dense_forward(g, begin, end); });
  }

  void gradients(Plan<T>& plan, int samples) override {
    clear_beyond(plan, this->z, true, samples);
    DenseArgs<T>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    const size_t scratch = k.dense_scratch(g.samples);
    if (x_rows_) leave_zeros_out(plan);
    const DenseArgs<T>& own = x_rows_ ? without_zeros_ : g;
    parallel(k.dense_gradient_units(own), work(own),
             [&](int begin, int end, int) { k.dense_gradient(own, begin, end, thread_scratch<T>(scratch)); });
    if (x_rows_) k.dense_spread(own, all_present_);
  }

  void delta(Plan<T>& plan, int samples) override {
    DenseArgs<T>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    parallel(k.dense_backward_units(g), work(g), [&](int begin, int end, int) { k.dense_backward(g, begin, end); });
  }

  bool norms(Plan<T>& plan, int samples, bool with_gradients, double* norms) override {
    if (!is_vector(plan.value(this->z).shape)) return false;
    if (with_gradients) gradients(plan, samples);
    DenseArgs<T>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    double* found = plan.arena().template at<double>(norms_);
    parallel(g.blocks, int64_t(g.blocks) * (g.inputs + g.outputs),
             [&](int begin, int end, int) { k.dense_norms(g, found, begin, end); });
    for (int s = 0; s < samples; s++) norms[s] = std::hypot(norms[s], found[s]);
    return true;
  }

 protected:
  int groups_ = 1;   // of a sample or block: vectors of rows
  int64_t inputs(const Plan<T>& plan) const {
    const ValueShape& x = plan.value(this->x).shape;
    return is_vector(plan.value(this->z).shape) ? x.features() : x.channels;
  }
  // Every position is a row, as a sample is. In lanes without one δ is 0.
  void set(const Plan<T>& plan, DenseArgs<T>& g, int samples) const {
    g.blocks = plan.blocks(this->z, samples) * groups_;
    g.samples = is_vector(plan.value(this->z).shape) ? samples : g.blocks * plan.lanes();
  }
  static int64_t work(const DenseArgs<T>& g) { return int64_t(g.blocks) * g.inputs * g.outputs; }
  DenseArgs<T> forward_{}, backward_{};

 private:
  static constexpr size_t most_copied = size_t(1) << 20;   // numbers of a batch
  // Only data have zeros in whole blocks, and to look for them takes as long as ten products of every vector of x.
  bool may_have_zeros(const Plan<T>& plan) const {
    const ValueShape& z = plan.value(this->z).shape;
    return plan.is_input(this->x) && is_vector(z) && z.channels >= 48 && inputs(plan) >= 16 && most_blocks(plan, this->z) >= 2;
  }
  // Rows may be steps of samples, of which a batch has more than samples.
  static int most_blocks(const Plan<T>& plan, int z) { return plan.blocks(plan.most_lanes(plan.value(z).shape)); }
  // Which inputs are 0 in all samples of a group of blocks. Where they are fewer than a sixteenth nobody looks for some
  // batches: what is computed is the same, so that nothing depends on when.
  void find_zeros(Plan<T>& plan) {
    DenseArgs<T>& g = forward_;
    g.present = nullptr, x_rows_ = 0;
    if (!present_.bytes || g.blocks < 2 || pause_-- > 0) return;
    int* const lists = plan.arena().template at<int>(present_);
    int* const counts = plan.arena().template at<int>(counts_);
    const int groups = plan.kernels().dense_groups(g);
    plan.kernels().dense_present(g, lists, counts);
    int64_t found = 0;
    for (int i = 0; i < groups; i++) found += counts[i];
    const int64_t whole = int64_t(groups) * g.inputs;
    const bool many = found < whole - whole / 16;
    pause_ = many ? 0 : 15;
    if (many) g.present = lists, g.present_count = counts;
    all_present_ = lists + whole;
    if (rows_.bytes && counts[groups] > 0 && counts[groups] < g.inputs - g.inputs / 16) x_rows_ = counts[groups];
  }
  // The gradient's arguments with the rows of x that are not 0 throughout, one behind the other.
  void leave_zeros_out(Plan<T>& plan) {
    DenseArgs<T>& g = without_zeros_ = backward_;
    T* const to = plan.arena().template at<T>(rows_);
    plan.kernels().dense_gather_rows(g, all_present_, x_rows_, to);
    g.x = to, g.x_block = ptrdiff_t(x_rows_) * plan.lanes(), g.x_rows = x_rows_;
  }

  Region norms_, present_, counts_, rows_;
  DenseArgs<T> without_zeros_{};
  const int* all_present_ = nullptr;   // of the last forward pass: the inputs that are not 0 throughout
  int x_rows_ = 0;                     // how many, 0: nobody has looked, or it is most of them
  int pause_ = 0;                      // batches until somebody looks again
};

}   // namespace chainrule
