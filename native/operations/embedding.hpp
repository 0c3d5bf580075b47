// Rows of a table by ids, and a table added to every sample.
#pragma once
#include <vector>

#include "elementwise.hpp"

namespace chainrule {

template <class T>
class EmbeddingOperation final : public Operation<T> {
 public:
  int table = -1, mask = -1;
  int64_t vocabulary = 0, padding = -1;

  bool accepts(const Plan<T>& plan, int i, InLanes lanes) const override {
    const bool samples = plan.value(this->z).shape.lanes == InLanes::samples;
    return lanes == (samples ? InLanes::samples : i == this->x ? InLanes::nothing : InLanes::channels);
  }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    require(z.features() == x.features() * z.channels, "an embedding has a row of its table for every id");
    require_plain(plan, table, double(vocabulary) * z.channels);
    require(padding >= -1 && padding < vocabulary, "the padding of an embedding must be one of its ids, or -1");
    require_delta(plan, *this);
    if (mask >= 0) require_mask(plan, mask, z);
  }
  void reserve(Plan<T>& plan) override {
    const auto& z = plan.value(this->z).shape;
    const int64_t ids = int64_t(plan.max_blocks()) * plan.lanes() * z.height * z.width;
    if (sizeof(T) == sizeof(double) || ids <= fold_terms) return;
    long_sum_ = plan.arena().reserve(size_t(vocabulary), sizeof(int32_t));
    sums_ = plan.arena().reserve(size_t(std::min(vocabulary, ids / fold_terms)) * size_t(z.channels), sizeof(double));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    EmbeddingArgs<T>& f = forward_;
    f.x = plan.map(this->x), f.z = plan.map(this->z);
    f.table = plan.theta(table), f.gradient = plan.gradient(table);
    f.mask = plan.map(mask);
    f.vocabulary = vocabulary, f.padding = padding;
    backward_ = f;
    backward_.z = plan.delta(this->z);
    if (!long_sum_.bytes) return;
    counts_ = plan.arena().template at<int32_t>(long_sum_);
    backward_.sums = plan.arena().template at<double>(sums_);
  }
  void forward(Plan<T>& plan, int samples) override {
    if (plan.value(this->z).shape.lanes == InLanes::channels) return forward_channels(plan, samples);
    forward_.blocks = plan.blocks(samples);
    parallel(forward_.blocks * forward_.z.height, work(forward_),
             [&](int begin, int end, int) { plan.kernels().embedding_forward(forward_, begin, end); });
  }
  void gradients(Plan<T>& plan, int samples) override {
    backward_.blocks = plan.blocks(samples);
    backward_.long_sum = counts_;
    if (counts_ && plan.kernels().embedding_count(backward_) == 0) backward_.long_sum = nullptr;   // all sums are short
    parallel(plan.kernels().embedding_gradient_units(backward_),
             work(backward_) + vocabulary * backward_.z.channels / plan.lanes(),
             [&](int begin, int end, int) { plan.kernels().embedding_gradient(backward_, begin, end); });
  }
  // Ids have no derivative.
  void delta(Plan<T>& plan, int samples) override {
    const Map<T>& d = plan.delta(this->x);
    for (int b = 0; b < plan.blocks(samples); b++)
      for (int h = 0; h < d.height; h++)
        std::memset(d.row(b, h), 0, sizeof(T) * size_t(d.width) * size_t(d.channels) * size_t(plan.lanes()));
  }

 private:
  // Where the lanes are channels: a row of the table for every position. The mask has samples in its lanes all the same.
  void forward_channels(Plan<T>& plan, int samples) {
    const EmbeddingArgs<T>& g = forward_;
    const int64_t features = plan.value(this->z).shape.channels, pixel = plan.pixel(plan.value(this->z).shape);
    const int lanes = plan.lanes();
    const auto one = [&](int s) {
      for (int h = 0; h < g.z.height; h++) {
        const T* ids = g.x.block(s) + ptrdiff_t(h) * g.z.width;
        T* z = g.z.row(s, h);
        for (int w = 0; w < g.z.width; w++, z += pixel) {
          const T id = ids[w];
          const bool known = id >= T(0) && id < T(vocabulary) && T(int64_t(id)) == id && int64_t(id) != padding;
          if (known) std::memcpy(z, g.table + int64_t(id) * features, sizeof(T) * size_t(features));
          else std::memset(z, 0, sizeof(T) * size_t(features));
          if (g.mask.data) g.mask.block(s / lanes)[w * lanes + s % lanes] = id == T(padding) ? T(0) : T(1);
        }
      }
    };
    parallel(samples, int64_t(samples) * g.z.height * g.z.width * pixel / lanes, [&](int begin, int end, int) {
      for (int s = begin; s < end; s++) one(s);
    });
  }
  static int64_t work(const EmbeddingArgs<T>& g) { return int64_t(4) * g.blocks * g.z.height * g.z.width * g.z.channels; }
  Region long_sum_, sums_;
  int32_t* counts_ = nullptr;   // null where no sum can be long
  EmbeddingArgs<T> forward_{}, backward_{};
};

template <class T>
class TableOperation final : public Operation<T> {
 public:
  std::vector<double> table;   // of one sample

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  void check(const Plan<T>& plan) const override { require_same_size(plan, this->x, this->z); }
  void reserve(Plan<T>& plan) override {
    const ValueShape& z = plan.value(this->z).shape;
    const size_t padded = size_t(z.height) * size_t(z.width) * size_t(plan.pixel(z));
    const size_t vectors = size_t(plan.laid(z).width) * size_t(plan.pixel(z));
    region_ = plan.arena().reserve(z.lanes == InLanes::channels    ? padded
                                   : z.lanes == InLanes::positions ? vectors
                                                                   : table.size(),
                                   sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    T* own = plan.arena().template at<T>(region_);
    const ValueShape& z = plan.value(this->z).shape;
    const size_t channels = size_t(z.channels), pixel = z.lanes == InLanes::channels ? size_t(plan.pixel(z)) : channels;
    const size_t l = size_t(plan.lanes());
    if (z.lanes == InLanes::positions)
      for (size_t i = 0; i < table.size(); i++) {
        const size_t position = i / channels;
        own[(position / l * channels + i % channels) * l + position % l] = T(table[i]);
      }
    else
      for (size_t i = 0; i < table.size(); i++) own[i / channels * pixel + i % channels] = T(table[i]);
    args_.x = plan.map(this->x), args_.z = plan.map(this->z), args_.table = own;
  }
  void forward(Plan<T>& plan, int samples) override {
    args_.blocks = plan.blocks(this->z, samples);
    if (plan.value(this->z).shape.lanes != InLanes::samples) {
      const ptrdiff_t run = ptrdiff_t(args_.z.width) * plan.pixel(plan.value(this->z).shape);
      for (int b = 0; b < samples; b++)
        for (int h = 0; h < args_.z.height; h++)
          plan.kernels().add_run(args_.x.row(b, h), args_.table + h * run, args_.z.row(b, h), run);
      return;
    }
    parallel(args_.blocks * args_.z.height, int64_t(2) * args_.blocks * plan.value(this->z).shape.features(),
             [&](int begin, int end, int) { plan.kernels().add_table(args_, begin, end); });
  }
  void delta(Plan<T>& plan, int samples) override {
    const Map<T>&below = plan.delta(this->x), &d = plan.delta(this->z);
    const size_t run = sizeof(T) * size_t(d.width) * size_t(d.channels) * size_t(plan.lanes());
    for (int b = 0; b < plan.blocks(this->z, samples); b++)
      for (int h = 0; h < d.height; h++) std::memcpy(below.row(b, h), d.row(b, h), run);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  Region region_;
  TableArgs<T> args_{};
};

// Every pair of features k and k + half of a head, turned by the angle of its step.
template <class T>
class TurnOperation final : public Operation<T> {
 public:
  int heads = 1;
  std::vector<double> cosine, sine;   // [step][half]

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  void check(const Plan<T>& plan) const override {
    require_same_size(plan, this->x, this->z);
    const ValueShape& z = plan.value(this->z).shape;
    require(is_sequence(z) && without_halo(plan.value(this->x)) && without_halo(plan.value(this->z)),
            "steps are turned, of a sequence");
  }
  void reserve(Plan<T>& plan) override {
    const ValueShape& z = plan.value(this->z).shape;
    const size_t steps = size_t(plan.laid(z).width) * size_t(z.lanes == InLanes::positions ? plan.lanes() : 1);
    size_ = steps * half(z) + size_t(plan.lanes());
    table_ = plan.arena().reserve(2 * size_, sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const ValueShape& z = plan.value(this->z).shape;
    const size_t l = z.lanes == InLanes::positions ? size_t(plan.lanes()) : 1, of_head = half(z);
    T* const own = plan.arena().template at<T>(table_);
    for (size_t i = 0; i < cosine.size(); i++) {
      const size_t step = i / of_head, at = (step / l * of_head + i % of_head) * l + step % l;
      own[at] = T(cosine[i]), own[size_ + at] = T(sine[i]);
    }
    args_.cosine = own, args_.sine = own + size_;
    args_.heads = heads, args_.half = int(of_head);
    args_.positions = z.lanes == InLanes::positions, args_.channels = z.lanes == InLanes::channels;
  }
  void forward(Plan<T>& plan, int samples) override { turn(plan, plan.map(this->x), plan.map(this->z), false, samples); }
  void delta(Plan<T>& plan, int samples) override {
    turn(plan, plan.delta(this->z), plan.delta(this->x), true, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  size_t half(const ValueShape& z) const { return size_t(z.channels / heads / 2); }
  void turn(Plan<T>& plan, const Map<T>& from, const Map<T>& to, bool back, int samples) {
    args_.x = from, args_.z = to;
    const int units = plan.blocks(this->z, samples) * from.width;
    parallel(units, int64_t(2) * units * from.channels,
             [&](int begin, int end, int) { plan.kernels().turn_pairs(args_, back, begin, end); });
  }
  Region table_;
  size_t size_ = 0;
  TurnArgs<T> args_{};
};

}   // namespace chainrule
