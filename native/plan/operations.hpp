// The operations of a plan: which kernel runs over how many units, in parallel where that pays.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "plan.hpp"
#include "thread_pool.hpp"

namespace chainrule {

// A loop below this many vector products (about 2 µs) is not worth waking a thread for.
constexpr int64_t least_parallel_work = 6000;

// Set while a step runs on the calling thread alone (pace.hpp).
inline thread_local bool serial_loops = false;

// A loop above this many vector products (a few milliseconds) lets the calling thread ask for Ctrl-C between its pieces:
// 32, and more where they would have more than so many (about 20 ms).
constexpr int64_t least_interruptible_work = 10000000, most_work_of_a_piece = 20000000;
constexpr int64_t least_pieces = 32;

// What the calling thread asks between the pieces of long loops while this lives; it may throw, and ends the loop.
inline thread_local const std::function<void()>* between_pieces = nullptr;
class PieceByPiece {
 public:
  explicit PieceByPiece(const std::function<void()>& ask) : before_(between_pieces) { between_pieces = ask ? &ask : nullptr; }
  ~PieceByPiece() { between_pieces = before_; }
  PieceByPiece(const PieceByPiece&) = delete;
  PieceByPiece& operator=(const PieceByPiece&) = delete;

 private:
  const std::function<void()>* before_;
};

template <class Body>
void parallel(int units, int64_t work, Body&& body) {
  if (work < least_parallel_work || serial_loops) {
    if (units > 0) body(0, units, 0);
  } else if (work < least_interruptible_work || !between_pieces) {
    ThreadPool::instance().run(units, body);
  } else {
    const std::function<void()>& ask = *between_pieces;
    const int64_t pieces = std::max(least_pieces, (work + most_work_of_a_piece - 1) / most_work_of_a_piece);
    const int piece = std::max(1, int(units / pieces));
    ThreadPool::instance().run(units, [&](int begin, int end, int thread) {
      if (thread != 0) return body(begin, end, thread);
      for (; begin < end; begin += piece) {
        body(begin, std::min(begin + piece, end), thread);
        ask();
      }
    });
  }
}

// Room that only lives within one unit; every thread keeps its own and it only grows, so a running plan allocates nothing.
template <class T>
T* thread_scratch(size_t count) {
  struct Room {
    void* data = nullptr;
    size_t bytes = 0;
    ~Room() { std::free(data); }
  };
  static thread_local Room room;
  const size_t bytes = (count * sizeof(T) + Arena::margin + 63) / 64 * 64;
  if (bytes > room.bytes) {
    std::free(room.data);
    room.data = std::aligned_alloc(64, bytes);
    room.bytes = room.data ? bytes : 0;
    if (!room.data) throw std::bad_alloc();
    std::memset(room.data, 0, bytes);
  }
  return static_cast<T*>(room.data);
}

// δ of a value times f' of the activation that made it (equation 3's Hadamard factor), in place.
template <class T>
void multiply_by_derivative(Plan<T>& plan, int x, const Post<T>& post, int samples) {
  if (post.kind == Act::identity) return;
  ElementwiseArgs<T> g;
  g.x = g.z = plan.delta(x), g.blocks = plan.blocks(samples), g.post = post;
  parallel(g.blocks * g.x.height, int64_t(g.blocks) * plan.value(x).shape.features(),
           [&](int begin, int end, int) { plan.kernels().activation_backward(g, begin, end); });
}

template <class T>
class DenseOperation final : public Operation<T> {
 public:
  int weights = -1, bias = -1;

  void reserve(Plan<T>& plan) override {
    if (plan.per_sample()) norms_ = plan.arena().reserve(size_t(plan.max_blocks()) * size_t(plan.lanes()), sizeof(double));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto x = plan.map(this->x), z = plan.map(this->z), dx = plan.delta(this->x), dz = plan.delta(this->z);
    forward_.x = x.data, forward_.x_block = x.block;
    forward_.weights = plan.theta(weights), forward_.bias = plan.theta(bias);
    forward_.z = z.data, forward_.z_block = z.block;
    forward_.inputs = int(plan.value(this->x).shape.features());
    forward_.outputs = z.channels;
    forward_.post = this->post;
    backward_ = forward_;
    backward_.z = dz.data, backward_.z_block = dz.block;
    backward_.x_delta = dx.data, backward_.x_delta_block = dx.block;
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

template <class T>
class ConvolutionOperation final : public Operation<T> {
 public:
  int weights = -1, bias = -1;
  ConvMethod method = ConvMethod::direct;
  ConvArgs<T> geometry{};   // kernel, stride, padding, dilation, groups, transposed

  // Partial sums of Winograd's weight gradient: a fixed number, whatever the threads.
  static constexpr int parts = 4;

  void reserve(Plan<T>& plan) override {
    const auto& k = plan.kernels();
    const auto &image = plan.value(geometry.transposed ? this->z : this->x).shape,
               &windows = plan.value(geometry.transposed ? this->x : this->z).shape;
    const int channels = image.channels, filters = windows.channels;
    geometry.x.channels = channels, geometry.z.channels = filters;
    if (winograd()) packed_ = plan.arena().reserve(k.winograd_packed_size(channels, filters), sizeof(T));
    else if (!depthwise()) packed_ = plan.arena().reserve(k.conv_packed_size(geometry), sizeof(T));
    geometry.z.height = windows.height, geometry.z.width = windows.width;
    if (winograd_gradient()) partial_ = plan.arena().reserve(parts * k.winograd_partial_size(channels, filters), sizeof(T));
    else if (plan.batch_size() < plan.lanes() && !depthwise())
      partial_ = plan.arena().reserve(k.conv_few_size(geometry), sizeof(T));
    if (plan.per_sample() && !depthwise())
      norms_ = plan.arena().reserve(size_t(k.conv_gradient_units(geometry)) * size_t(plan.max_blocks()) * size_t(plan.lanes()),
                                    sizeof(double));
  }

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto x = plan.map(this->x), z = plan.map(this->z), x_delta = plan.delta(this->x), z_delta = plan.delta(this->z);
    ConvArgs<T>&f = forward_, &d = delta_, &g = gradient_;
    f = geometry;
    f.weights = plan.theta(weights);
    f.packed = plan.arena().template at<T>(packed_);
    f.partial = partial_.bytes ? plan.arena().template at<T>(partial_) : nullptr;
    f.parts = parts;
    d = g = f;
    f.bias = plan.theta(bias);
    f.post = this->post, d.post = this->input_post;
    g.weight_gradient = plan.gradient(weights), g.bias_gradient = plan.gradient(bias);
    if (geometry.transposed) {
      f.x = f.x_delta = z, f.z = x;
      d.x = z_delta, d.z = x_delta;
      g.x = z_delta, g.z = x, g.bias_gradient = nullptr;
    } else {
      f.x = x, f.z = z;
      d.x = x, d.z = z_delta, d.x_delta = x_delta;
      g.x = x, g.z = z_delta;
    }
  }

  void forward(Plan<T>& plan, int samples) override {
    geometry.transposed ? spread(plan, forward_, samples) : slide(plan, forward_, samples);
  }
  void delta(Plan<T>& plan, int samples) override {
    geometry.transposed ? slide(plan, delta_, samples) : spread(plan, delta_, samples);
  }

  void gradients(Plan<T>& plan, int samples) override {
    ConvArgs<T>& g = gradient_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    const int filters = g.z.channels;
    if (depthwise()) {
      parallel(k.depthwise_gradient_units(g), work(g), [&](int begin, int end, int) { k.depthwise_gradient(g, begin, end); });
    } else if (winograd_gradient()) {
      const size_t scratch = k.winograd_scratch(g.x.channels, filters);
      parallel(parts, work(g),
               [&](int begin, int end, int) { k.winograd_gradient(g, begin, end, thread_scratch<T>(scratch)); });
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.winograd_gradient_finish(g, begin, end); });
    } else if (const int units = g.partial ? k.conv_few_units(g) : 0; units > 0) {
      parallel(g.z.height, work(g) / 16, [&](int begin, int end, int) { k.conv_few_transpose(g, begin, end); });
      parallel(units, work(g), [&](int begin, int end, int) { k.conv_few_gradient(g, begin, end); });
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.conv_few_finish(g, begin, end); });
    } else {
      parallel(k.conv_gradient_units(g), work(g), [&](int begin, int end, int) { k.conv_gradient(g, begin, end); });
    }
    if (!geometry.transposed || bias < 0) return;
    ConvArgs<T> sums = g;
    sums.bias_gradient = plan.gradient(bias);
    parallel(g.x.channels, int64_t(g.blocks) * g.x.height * g.x.width * g.x.channels,
             [&](int begin, int end, int) { k.conv_transposed_bias(sums, begin, end); });
  }

  // By the direct kernel, whose lanes hold the samples' own gradients until the end.
  bool norms(Plan<T>& plan, int samples, bool, double* norms) override {
    if (geometry.transposed || depthwise()) return false;
    ConvArgs<T> g = gradient_;
    g.blocks = plan.blocks(samples), g.samples = samples;
    const auto& k = plan.kernels();
    const int units = k.conv_gradient_units(g);
    g.norms = plan.arena().template at<double>(norms_);
    parallel(units, work(g), [&](int begin, int end, int) { k.conv_gradient(g, begin, end); });
    for (int unit = 0; unit < units; unit++)
      for (int s = 0; s < samples; s++) norms[s] = std::hypot(norms[s], g.norms[ptrdiff_t(unit) * g.blocks * plan.lanes() + s]);
    return true;
  }

 private:
  // A value for every window of the image: the forward pass, and the δ of a transposed convolution.
  void slide(Plan<T>& plan, ConvArgs<T>& g, int samples) {
    g.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const int filters = g.z.channels, rows = g.blocks * g.z.height;
    if (depthwise()) {
      parallel(rows, work(g), [&](int begin, int end, int) { k.depthwise_forward(g, begin, end); });
    } else if (winograd()) {
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.winograd_pack(g, false, begin, end); });
      const size_t scratch = k.winograd_scratch(g.x.channels, filters);
      parallel(g.blocks * ((g.z.height + 1) / 2), work(g),
               [&](int begin, int end, int) { k.winograd_forward(g, begin, end, thread_scratch<T>(scratch)); });
    } else {
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.conv_pack_forward(g, begin, end); });
      parallel(rows, work(g), [&](int begin, int end, int) { k.conv_forward(g, begin, end); });
    }
  }

  // Every window's value spread over the image: δ, and the forward pass of a transposed convolution.
  void spread(Plan<T>& plan, ConvArgs<T>& g, int samples) {
    g.blocks = plan.blocks(samples);
    const auto& k = plan.kernels();
    const int filters = g.z.channels, channels = g.x.channels, rows = g.blocks * g.x.height;
    if (depthwise()) {
      parallel(rows, work(g), [&](int begin, int end, int) { k.depthwise_backward(g, begin, end); });
    } else if (winograd()) {
      const size_t scratch = k.winograd_scratch(channels, filters);
      parallel(channels, weight_count(), [&](int begin, int end, int) { k.winograd_pack(g, true, begin, end); });
      parallel(g.blocks * ((g.x.height + 1) / 2), work(g),
               [&](int begin, int end, int) { k.winograd_backward(g, begin, end, thread_scratch<T>(scratch)); });
    } else {
      parallel(filters, weight_count(), [&](int begin, int end, int) { k.conv_pack_backward(g, begin, end); });
      parallel(rows, work(g), [&](int begin, int end, int) { k.conv_backward(g, begin, end); });
    }
  }

  bool depthwise() const { return method == ConvMethod::depthwise; }
  bool winograd() const { return method == ConvMethod::winograd || winograd_gradient(); }
  bool winograd_gradient() const { return method == ConvMethod::winograd_gradient; }
  int64_t weight_count() const {
    return int64_t(geometry.kernel_h) * geometry.kernel_w * geometry.x.channels / geometry.groups * geometry.z.channels;
  }
  int64_t work(const ConvArgs<T>& g) const { return int64_t(g.blocks) * g.z.height * g.z.width * weight_count(); }
  Region packed_, partial_, norms_;
  ConvArgs<T> forward_{}, delta_{}, gradient_{};
};

template <class T>
class PoolOperation final : public Operation<T> {
 public:
  PoolArgs<T> args{};

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    args.x = plan.map(this->x), args.z = plan.map(this->z);
    args.x_delta = plan.delta(this->x), args.z_delta = plan.delta(this->z);
    args.post = this->input_post;
  }
  void forward(Plan<T>& plan, int samples) override {
    args.blocks = plan.blocks(samples);
    parallel(args.blocks * args.z.height, work(),
             [&](int begin, int end, int) { plan.kernels().pool_forward(args, begin, end); });
  }
  void delta(Plan<T>& plan, int samples) override {
    args.blocks = plan.blocks(samples);
    parallel(plan.kernels().pool_backward_units(args), work(),
             [&](int begin, int end, int) { plan.kernels().pool_backward(args, begin, end); });
  }

 private:
  int64_t work() const {
    return int64_t(args.blocks) * args.z.height * args.z.width * args.z.channels * args.window_h * args.window_w;
  }
};

// An activation that could not be fused, or softmax inside a network.
template <class T>
class ElementwiseOperation final : public Operation<T> {
 public:
  bool softmax = false;
  Act kind = Act::identity;
  double slope = 0;

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

// A layer that has formulas but no kernel: computed outside, on rows.
template <class T>
class HostOperation final : public Operation<T> {
 public:
  int number = 0;
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override { plan.host.call(number, HostCall::forward, samples_ = samples); }
  void gradients(Plan<T>& plan, int samples) override { plan.host.call(number, HostCall::backward, samples); }   // δ as well
  void renew(Plan<T>& plan) override { plan.host.call(number, HostCall::renew, samples_); }
  void delta(Plan<T>& plan, int samples) override { multiply_by_derivative(plan, this->x, this->input_post, samples); }

 private:
  int samples_ = 0;
};

// Image to vector where a halo stands in the way (otherwise a flattened value is a view of the same memory).
template <class T>
class FlattenOperation final : public Operation<T> {
 public:
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override { copy(plan.map(this->x), plan.map(this->z), plan, samples, true); }
  void delta(Plan<T>& plan, int samples) override {
    copy(plan.delta(this->x), plan.delta(this->z), plan, samples, false);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  static void copy(const Map<T>& image, const Map<T>& vector, const Plan<T>& plan, int samples, bool forward) {
    const ptrdiff_t run = ptrdiff_t(image.width) * image.channels * plan.lanes();
    for (int b = 0; b < plan.blocks(samples); b++)
      for (int h = 0; h < image.height; h++) {
        T* row = image.data + b * image.block + h * image.row;
        T* part = vector.data + b * vector.block + h * run;
        if (forward) std::memcpy(part, row, sizeof(T) * size_t(run));
        else std::memcpy(row, part, sizeof(T) * size_t(run));
      }
  }
};

}   // namespace chainrule
