// Normalisation over the batch, groups of channels or features, and dropout: what a training pass does otherwise than a
// prediction.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "elementwise.hpp"

namespace chainrule {

template <class T>
class NormOperation final : public Operation<T> {
 public:
  // gamma and beta, or -1; where there are, the running mean and variance, of a batch also how many batches there were, or -1.
  std::vector<int> parameters;
  bool centred = true;
  int groups = over_batch;   // or a number, or each_position
  double epsilon = 0, momentum = 0;

  static constexpr int most_parts = 16;   // of the sums over a batch: a fixed number, whatever the threads

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override {
    return this->as_output(plan, lanes) &&
           (lanes == InLanes::samples || groups == each_position || (batch() && has_running() && lanes == InLanes::channels));
  }
  bool takes_bands(const Plan<T>& plan) const override {
    return plan.value(this->x).shape.fills() && (batch() || !has_running());
  }
  void check(const Plan<T>& plan) const override {
    require_same_size(plan, this->x, this->z);
    if (learns()) require_delta(plan, *this);
    for (size_t i = 0; i < parameters.size(); i++)
      if (parameters[i] >= 0) require_plain(plan, parameters[i], i == 4 ? 1 : plan.value(this->x).shape.channels);
  }
  void reserve(Plan<T>& plan) override {
    const ValueShape shape = plan.laid(plan.value(this->x).shape);
    const size_t lanes = size_t(plan.lanes()), channels = size_t(shape.channels);
    if (parameters[0] < 0) ones_ = plan.arena().reserve(size_t(plan.pixel(shape)), sizeof(T));
    if (shape.lanes == InLanes::channels) {
      if (batch()) statistics_ = plan.arena().reserve(2 * size_t(plan.pixel(shape)), sizeof(T));
      return;
    }
    const int most_blocks = plan.blocks(this->x, plan.most_lanes(plan.value(this->x).shape));
    const size_t blocks = batch() ? 1 : size_t(most_blocks);
    statistics_ = plan.arena().reserve(4 * blocks * numbers(shape) * lanes, sizeof(T));
    unbiased_ = plan.arena().reserve(channels, sizeof(T));
    partial_ = plan.arena().reserve(size_t(parts(plan, most_blocks)) * 2 * channels * lanes, sizeof(double));
  }

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    NormArgs<T>& g = forward_;
    g.x = plan.map(this->x), g.z = plan.map(this->z);
    g.x_delta = plan.delta(this->x), g.z_delta = plan.delta(this->z);
    g.origin = g.x.data;
    const int gamma = parameters.at(0), beta = parameters.at(1);
    g.gamma = plan.theta(gamma), g.beta = plan.theta(beta);
    if (gamma < 0) {
      T* const ones = plan.arena().template at<T>(ones_);
      for (ptrdiff_t i = 0; i < ptrdiff_t(plan.pixel(plan.value(this->x).shape)); i++) ones[i] = T(1);
      g.gamma = ones;
    }
    g.gamma_gradient = plan.gradient(gamma), g.beta_gradient = plan.gradient(beta);
    g.batch = batch(), g.each_position = groups == each_position, g.centred = centred;
    if (has_running()) g.running_mean = plan.theta(parameters.at(2)), g.running_variance = plan.theta(parameters.at(3));
    kept_ = has_running() && plan.frozen(parameters.at(2));
    g.groups = g.batch ? g.x.channels : g.each_position ? 1 : groups;
    g.epsilon = epsilon;
    g.parted = !g.batch && !g.each_position && plan.value(this->x).shape.bands > 1;
    if (in_channels(plan)) {
      g.mean = plan.arena().template at<T>(statistics_), g.inverse = g.mean + plan.pixel(plan.value(this->x).shape);
      g.post = this->post;
      return;
    }
    const ptrdiff_t per_block = ptrdiff_t(numbers(plan.laid(plan.value(this->x).shape))) * plan.lanes();
    per_block_ = g.batch || kept_ ? 0 : per_block;
    g.stat_block = per_block_;
    const ptrdiff_t each = per_block * (g.batch ? 1 : plan.blocks(this->x, plan.most_lanes(plan.value(this->x).shape)));
    g.mean = plan.arena().template at<T>(statistics_);
    g.inverse = g.mean + each, g.mean_e = g.inverse + each, g.mean_ex = g.mean_e + each;
    g.unbiased = plan.arena().template at<T>(unbiased_);
    g.partial = plan.arena().template at<double>(partial_);
    backward_ = g;
    g.post = this->post, backward_.post = this->input_post;
  }

  void forward(Plan<T>& plan, int samples) override {
    if (in_channels(plan)) return forward_channels(plan, samples);
    NormArgs<T>& g = forward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    const bool by_running = has_running() && (kept_ || !plan.pass.training);
    g.stat_block = by_running ? 0 : per_block_, samples_ = samples;
    if (by_running) {
      k.norm_running(g, 0, g.x.channels);
    } else if (!batch()) {
      parallel(group_units(g), 4 * work(g), [&](int begin, int end, int) { k.norm_group_statistics(g, begin, end); });
      if (g.parted) join_bands(plan, g, samples, false);
    } else if (!plan.pass.whole) {   // else its shards have exchanged them
      for (const bool squares : {false, true}) {
        parallel(g.parts, 2 * work(g), [&](int begin, int end, int) { k.norm_batch_sums(g, squares, begin, end); });
        channels(g, [&](int begin, int end, int) { k.norm_batch_finish(g, squares, begin, end); });
      }
    }
    parallel(g.blocks * g.x.height, 2 * work(g), [&](int begin, int end, int) { k.norm_forward(g, begin, end); });
  }

  void gradients(Plan<T>& plan, int samples) override {
    if (!plan.value(this->z).with_delta || (!learns() && !batch())) return;
    NormArgs<T>& g = backward_;
    gradient_sums(plan, samples);
    const auto& k = plan.kernels();
    channels(g, [&](int begin, int end, int) { k.norm_gradient_finish(g, begin, end); });
  }

  bool gradients_before_delta() const override { return batch() && !kept_; }
  void delta(Plan<T>& plan, int samples) override {
    NormArgs<T>& g = backward_;
    set(plan, g, samples);
    const auto& k = plan.kernels();
    if (kept_) std::memset(g.mean_e, 0, 2 * sizeof(T) * size_t(g.mean_ex - g.mean_e));   // statistics that no sample moves
    if (!batch() && !kept_)
      parallel(group_units(g), 4 * work(g), [&](int begin, int end, int) { k.norm_group_averages(g, begin, end); });
    if (g.parted) join_bands(plan, g, samples, true);
    parallel(g.blocks * g.x.height, 4 * work(g), [&](int begin, int end, int) { k.norm_backward(g, begin, end); });
  }

  // The shards of a batch agree on x₀, on the mean, on the variance; and on what δ and the gradients need.
  int stages(bool backward) const override { return !batch() || kept_ ? 0 : backward ? 1 : 3; }
  int exchanged() const override { return 2 * forward_.x.channels; }
  void share(Plan<T>& plan, int samples, bool backward, int stage, double* numbers) override {
    NormArgs<T>& g = backward ? backward_ : forward_;
    const int count = g.x.channels, l = plan.lanes();
    if (!backward && stage == 0) {
      for (int c = 0; c < count && plan.pass.first == 0; c++) numbers[c] = double(g.x.data[ptrdiff_t(c) * l]);
      return;
    }
    if (backward) {
      gradient_sums(plan, samples);
    } else {
      set(plan, g, samples), g.origin = origin_.data();
      parallel(g.parts, 2 * work(g),
               [&](int begin, int end, int) { plan.kernels().norm_batch_sums(g, stage == 2, begin, end); });
    }
    for (int part = 0; part < g.parts; part++)
      for (int i = 0; i < (backward ? 2 : 1) * count * l; i++) numbers[i / l] += g.partial[ptrdiff_t(part) * 2 * count * l + i];
  }
  // keep: this shard adds the gradients, which are of the whole batch.
  void take(Plan<T>& plan, bool backward, int stage, const double* sums, bool keep) override {
    NormArgs<T>& g = backward ? backward_ : forward_;
    const int count = g.x.channels, l = plan.lanes();
    const auto& k = plan.kernels();
    if (!backward && stage == 0) {
      origin_.resize(size_t(count) * size_t(l));
      for (int c = 0; c < count; c++) origin_[size_t(c) * size_t(l)] = T(sums[c]);
      return;
    }
    std::fill_n(g.partial, 2 * ptrdiff_t(count) * l, 0.0);
    for (int i = 0; i < 2 * count; i++) g.partial[ptrdiff_t(i) * l] = sums[i];
    g.samples = plan.pass.whole, g.parts = 1, g.origin = origin_.data();
    if (!backward) return k.norm_batch_finish(g, stage == 2, 0, count), void(g.origin = g.x.data);
    k.norm_gradient_finish(g, 0, count);
    for (T* gradient : {g.gamma_gradient, g.beta_gradient})
      if (gradient && !keep) std::fill_n(gradient, count, T(0));
  }

  void renew(Plan<T>& plan) override {
    if (!has_running() || kept_) return;
    if (!batch()) return renew_by_samples(plan);
    T *const mean = plan.theta(parameters[2]), *const variance = plan.theta(parameters[3]);
    T newest = T(momentum);
    if (parameters[4] >= 0) newest = 1 / ++*plan.theta(parameters[4]);
    const T rest = 1 - newest, weight = newest;
    for (int c = 0; c < forward_.x.channels; c++) {
      mean[c] = rest * mean[c] + weight * forward_.mean[ptrdiff_t(c) * plan.lanes()];
      variance[c] = rest * variance[c] + weight * forward_.unbiased[c];
    }
  }

 private:
  bool learns() const { return parameters[0] >= 0 || parameters[1] >= 0; }
  bool batch() const { return groups == over_batch; }
  bool has_running() const { return parameters.size() > 2; }
  // The mean of the samples' own means and variances, the latter unbiased estimates.
  void renew_by_samples(Plan<T>& plan) {
    const NormArgs<T>& g = forward_;
    T *const mean = plan.theta(parameters[2]), *const variance = plan.theta(parameters[3]);
    const double count = double(g.x.height) * g.x.width, unbiased = count / (count - 1);
    const int l = plan.lanes();
    for (int c = 0; c < g.x.channels; c++) {
      double of_means = 0, of_variances = 0;
      for (int s = 0; s < samples_; s++) {
        const ptrdiff_t at = s / l * g.stat_block + ptrdiff_t(c) * l + s % l;
        const double inverse = double(g.inverse[at]);
        of_means += double(g.mean[at]), of_variances += 1 / (inverse * inverse) - g.epsilon;
      }
      mean[c] = T((1 - momentum) * double(mean[c]) + momentum * of_means / samples_);
      variance[c] = T((1 - momentum) * double(variance[c]) + momentum * unbiased * of_variances / samples_);
    }
  }
  bool in_channels(const Plan<T>& plan) const { return plan.value(this->z).shape.lanes == InLanes::channels; }

  // Where the lanes are channels: a prediction, by the running numbers or position by position.
  void forward_channels(Plan<T>& plan, int samples) {
    const auto& k = plan.kernels();
    NormArgs<T>& g = forward_;
    const int64_t work = int64_t(2) * samples * g.x.height * g.x.width * g.x.channels;
    if (batch()) {
      if (!prepared_.holds(plan, 0)) {
        const int channels = plan.value(this->x).shape.channels;
        for (int c = 0; c < channels; c++) {
          g.mean[c] = g.running_mean[c];
          g.inverse[c] = T(1 / std::sqrt(double(g.running_variance[c]) + g.epsilon));
        }
        prepared_.made(plan, 0);
      }
      parallel(samples * g.x.height, work, [&](int begin, int end, int) { k.norm_channels(g, begin, end); });
      return;
    }
    in_strips(plan, this->x, this->z, samples, 6 * work, [&](const Map<T>& x, const Map<T>& z) {
      alignas(64) T numbers[2 * 64 / sizeof(T)];   // μ and 1/√(v + ε)
      NormArgs<T> strip = g;
      strip.x = x, strip.z = z, strip.post = {};
      strip.mean = numbers, strip.inverse = numbers + 64 / sizeof(T), strip.stat_block = 0;
      strip.blocks = 1, strip.samples = plan.lanes();
      k.norm_group_statistics(strip, 0, 1);
      k.norm_forward(strip, 0, 1);
    });
    if (this->post.kind == Act::identity) return;
    ElementwiseArgs<T> a{};
    a.x = g.z, a.z = this->post.saved, a.blocks = samples, a.post = this->post;
    parallel(samples * a.x.height, 4 * work, [&](int begin, int end, int) { k.activation_forward(a, begin, end); });
  }
  // The numbers of a group of an image from those of its bands, all of one size: of μ and √v the image's μ and 1/√(v + ε), of
  // ⟨e⟩ and ⟨e x̂⟩ their means.
  void join_bands(const Plan<T>& plan, const NormArgs<T>& g, int samples, bool backward) const {
    const int bands = plan.value(this->x).shape.bands, l = plan.lanes();
    parallel(samples / bands * g.groups, int64_t(samples) * g.groups * 8, [&](int begin, int end, int) {
      for (int unit = begin; unit < end; unit++) {
        const int first = unit / g.groups * bands, k = unit % g.groups;
        const auto at = [&](T* numbers, int s) -> T& {
          return numbers[(first + s) / l * g.stat_block + ptrdiff_t(k) * l + (first + s) % l];
        };
        const auto mean = [&](auto&& of_band) {
          double sum = 0;
          for (int s = 0; s < bands; s++) sum += of_band(s);
          return sum / bands;
        };
        T *const one = backward ? g.mean_e : g.mean, *const other = backward ? g.mean_ex : g.inverse;
        const double a = mean([&](int s) { return double(at(one, s)); });
        double b = mean([&](int s) {
          if (backward) return double(at(other, s));
          const double deviation = at(other, s), apart = at(one, s) - a;
          return deviation * deviation + apart * apart;
        });
        if (!backward) b = 1 / std::sqrt(b + g.epsilon);
        for (int s = 0; s < bands; s++) at(one, s) = T(a), at(other, s) = T(b);
      }
    });
  }
  // How many μ there are, per block.
  size_t numbers(const ValueShape& s) const {
    if (groups == each_position) return size_t(s.height) * size_t(s.width);
    return size_t(batch() ? s.channels : groups);
  }
  static int group_units(const NormArgs<T>& g) { return g.blocks * (g.each_position ? g.x.height * g.x.width : g.groups); }
  int parts(const Plan<T>& plan, int blocks) const {
    return int(std::min<int64_t>(most_parts, int64_t(blocks) * plan.laid(plan.value(this->x).shape).height));
  }
  void set(const Plan<T>& plan, NormArgs<T>& g, int samples) const {
    g.blocks = plan.blocks(this->x, samples), g.parts = parts(plan, g.blocks);
    const bool positions = plan.value(this->x).shape.lanes == InLanes::positions;
    g.samples = positions ? g.blocks * plan.lanes() : samples;   // lanes without a position have a δ of 0
  }
  static int64_t work(const NormArgs<T>& g) { return int64_t(g.blocks) * g.x.height * g.x.width * g.x.channels; }
  template <class Body>
  static void channels(const NormArgs<T>& g, Body&& body) {
    parallel(g.x.channels, int64_t(g.x.channels) * g.parts * 8, body);
  }

  void gradient_sums(Plan<T>& plan, int samples) {
    NormArgs<T>& g = backward_;
    set(plan, g, samples);
    parallel(g.parts, 4 * work(g), [&](int begin, int end, int) { plan.kernels().norm_gradient_sums(g, begin, end); });
  }

  std::vector<T> origin_;     // x₀ of the shards of a batch
  ptrdiff_t per_block_ = 0;   // from the numbers of one block to the next
  int samples_ = 0;           // of the last forward pass
  bool kept_ = false;         // the running statistics are frozen: they normalise training passes too
  Region statistics_, unbiased_, partial_, ones_;
  Prepared prepared_;   // the running numbers, where the lanes are channels
  NormArgs<T> forward_{}, backward_{};
};

// Two words for one layer in one step (layers/randomness.py, stream_key): splitmix64 of seed, step and the name's CRC.
inline uint64_t stream_key(uint64_t seed, uint64_t step, uint32_t name) {
  uint64_t key = 0;
  for (const uint64_t word : {seed, step, uint64_t(name)}) {
    key += word + 0x9E3779B97F4A7C15u;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9u;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBu;
    key ^= key >> 31;
  }
  return key;
}

template <class T>
class DropoutOperation final : public Operation<T> {
 public:
  uint32_t name = 0;
  double rate = 0;

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  bool takes_bands(const Plan<T>&) const override { return true; }
  void check(const Plan<T>& plan) const override { require_same_size(plan, this->x, this->z); }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override {
    run(plan, plan.map(this->x), plan.map(this->z), plan.pass.training, samples);
  }
  void delta(Plan<T>& plan, int samples) override {
    run(plan, plan.delta(this->z), plan.delta(this->x), true, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  void run(Plan<T>& plan, const Map<T>& from, const Map<T>& to, bool training, int samples) {
    const uint64_t key = stream_key(plan.pass.seed, plan.pass.step, name);
    DropoutArgs<T> g{};
    g.from = from, g.to = to;
    g.low = uint32_t(key), g.high = uint32_t(key >> 32), g.first = uint32_t(training ? plan.pass.first : 0);
    g.positions = plan.value(this->z).shape.lanes == InLanes::positions;
    g.bands = uint32_t(plan.value(this->z).shape.bands);
    const double share = training ? rate * plan.pass.dropout : 0;
    g.threshold = uint32_t(share * 4294967296.0), g.scale = T(1 / (1 - share));
    const int units = plan.blocks(this->z, samples) * from.height;
    const int64_t work = int64_t(units) * from.width * from.channels * 12;   // the hash is about as many operations
    parallel(units, work, [&](int begin, int end, int) { plan.kernels().dropout(g, begin, end); });
  }
};

}   // namespace chainrule
