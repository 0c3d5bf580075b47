// Branches that read one value, and the value that joins them.
#pragma once
#include <vector>

#include "elementwise.hpp"

namespace chainrule {

// Several readers of one value: they share its memory, and its δ is the sum of theirs.
template <class T>
class BranchesOperation final : public Operation<T> {
 public:
  std::vector<int> readers;

  bool accepts(const Plan<T>&, int, InLanes) const override { return true; }
  std::vector<int> writes() const override { return {}; }
  void check(const Plan<T>& plan) const override {
    const auto& x = plan.value(this->x);
    require(!readers.empty(), "a value that branches needs a reader");
    for (const int i : readers) {
      const auto& own = plan.value(i);
      require(own.memory_of == this->x && own.with_delta == x.with_delta && same_size(own.shape, x.shape),
              "the readers of a value that branches must be its own");
    }
  }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>&, int) override {}
  void delta(Plan<T>& plan, int samples) override {
    const Map<T>& total = plan.delta(this->x);
    const ptrdiff_t run = ptrdiff_t(total.width) * total.channels * plan.lanes();
    parallel(plan.blocks(samples) * total.height, int64_t(plan.blocks(samples)) * plan.value(this->x).shape.features() * 2,
             [&](int begin, int end, int) {
               for (int unit = begin; unit < end; unit++) {
                 const int b = unit / total.height, h = unit % total.height;
                 T* sum = total.row(b, h);
                 const T* before = nullptr;
                 for (const int reader : readers) {
                   const Map<T>& own = plan.value(reader).delta;
                   const T* part = own.row(b, h);
                   if (before) plan.kernels().add_run(before, part, sum, run), before = sum;
                   else before = part;
                 }
                 if (before != sum) std::memcpy(sum, before, sizeof(T) * size_t(run));   // one reader only
               }
             });
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }
};

// `count` channels of every pixel, from pixels of `from_channels` to pixels of `to_channels`.
template <class T>
void copy_channels(const T* from, int from_channels, int count, T* to, int to_channels, int width, int lanes) {
  if (from_channels == to_channels) {
    std::memcpy(to, from, sizeof(T) * size_t(width) * size_t(count) * size_t(lanes));
    return;
  }
  for (int w = 0; w < width; w++)
    std::memcpy(to + ptrdiff_t(w) * to_channels * lanes, from + ptrdiff_t(w) * from_channels * lanes,
                sizeof(T) * size_t(count) * size_t(lanes));
}

// Some channels of a value that lie side by side.
template <class T>
class SliceOperation final : public Operation<T> {
 public:
  int first = 0;

  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    require(x.height == z.height && x.width == z.width && first >= 0 && first + int64_t(z.channels) <= x.channels,
            "a slice must have the positions of its input, and channels that this has");
  }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override {
    const Map<T>&x = plan.map(this->x), &z = plan.map(this->z);
    rows(plan, samples, [&](int b, int h) {
      copy_channels(x.row(b, h) + ptrdiff_t(first) * plan.lanes(), x.channels, z.channels, z.row(b, h), z.channels, z.width,
                    plan.lanes());
    });
  }
  void delta(Plan<T>& plan, int samples) override {
    const Map<T>&x = plan.delta(this->x), &z = plan.delta(this->z);
    rows(plan, samples, [&](int b, int h) {
      T* const to = x.row(b, h);
      std::memset(to, 0, sizeof(T) * size_t(x.width) * size_t(x.channels) * size_t(plan.lanes()));
      copy_channels(z.row(b, h), z.channels, z.channels, to + ptrdiff_t(first) * plan.lanes(), x.channels, z.width,
                    plan.lanes());
    });
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Body>
  void rows(Plan<T>& plan, int samples, Body&& body) {
    const ValueShape& x = plan.value(this->x).shape;
    parallel(plan.blocks(samples) * x.height, int64_t(plan.blocks(samples)) * x.features(), [&](int begin, int end, int) {
      for (int unit = begin; unit < end; unit++) body(unit / x.height, unit % x.height);
    });
  }
};

// The outputs of the branches, summed or with their channels one after another.
template <class T>
class JoinOperation final : public Operation<T> {
 public:
  std::vector<int> inputs, saved_of;
  std::vector<Post<T>> posts;
  bool concat = false;

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  std::vector<int> reads() const override { return inputs; }
  void check(const Plan<T>& plan) const override {
    const ValueShape& z = plan.value(this->z).shape;
    int64_t channels = 0;
    for (const int i : inputs) {
      const ValueShape& own = plan.value(i).shape;
      require(own.height == z.height && own.width == z.width && (concat || own.channels == z.channels),
              "what is joined must have the positions of the output, and in a sum its channels");
      channels += own.channels;
    }
    require(!concat || channels == z.channels, "the channels that are joined must be those of the output");
  }
  void bind(Plan<T>& plan) override {
    for (size_t i = 0; i < inputs.size(); i++) posts[i].saved = plan.map(saved_of[i]);
  }
  bool hands_down(const Plan<T>& plan) const override {
    return std::any_of(inputs.begin(), inputs.end(), [&](int i) { return plan.value(i).with_delta; });
  }

  void forward(Plan<T>& plan, int samples) override {
    const Map<T>& z = plan.value(this->z).map;
    const auto& shape = plan.value(this->z).shape;
    const bool by_pixel = concat && shape.lanes == InLanes::channels;   // where one ends within a vector, the next begins
    rows(plan, z, samples, [&](int b, int h) {
      T* to = z.row(b, h);
      ptrdiff_t first = 0;
      for (size_t i = 0; by_pixel && i < inputs.size(); i++) {
        const auto& x = plan.value(inputs[i]);
        copy_pixels(x.map.row(b, h), plan.pixel(x.shape), to + first, plan.pixel(shape), x.shape.channels, z.width);
        first += x.shape.channels;
      }
      if (by_pixel) return;
      for (size_t i = 0; i < inputs.size(); i++) {
        const Map<T>& x = plan.value(inputs[i]).map;
        const T* from = x.row(b, h);
        if (concat) copy_channels(from, x.channels, x.channels, to + first * plan.lanes(), z.channels, z.width, plan.lanes());
        else if (i == 0) std::memcpy(to, from, sizeof(T) * size_t(z.width) * size_t(z.channels) * size_t(plan.lanes()));
        else plan.kernels().add_run(to, from, to, ptrdiff_t(z.width) * z.channels * plan.lanes());
        first += x.channels;
      }
    });
  }

  void delta(Plan<T>& plan, int samples) override {
    const Map<T>& z = plan.value(this->z).delta;
    rows(plan, z, samples, [&](int b, int h) {
      const T* from = z.row(b, h);
      ptrdiff_t first = 0;
      for (const int input : inputs) {
        const auto& value = plan.value(input);
        const Map<T>& x = value.delta;
        const int channels = value.shape.channels;
        if (value.with_delta)
          copy_channels(from + first * plan.lanes(), z.channels, channels, x.row(b, h), channels, z.width, plan.lanes());
        if (concat) first += channels;
      }
    });
    for (size_t i = 0; i < inputs.size(); i++)
      if (plan.value(inputs[i]).with_delta) multiply_by_derivative(plan, inputs[i], posts[i], samples);
  }

 private:
  template <class Body>
  void rows(Plan<T>& plan, const Map<T>& z, int samples, Body&& body) const {
    const int blocks = plan.blocks(this->z, samples);
    parallel(blocks * z.height, int64_t(blocks) * z.height * z.width * z.channels * 2, [&](int begin, int end, int) {
      for (int unit = begin; unit < end; unit++) body(unit / z.height, unit % z.height);
    });
  }
};

// Image to vector where a halo stands in the way (otherwise a flattened value is a view of the same memory).
template <class T>
class FlattenOperation final : public Operation<T> {
 public:
  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    require(is_vector(z.shape) && z.shape.features() == x.shape.features() && without_halo(z),
            "a flattened value must be a vector of as many numbers, without zeros around it");
  }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    if (x.shape.lanes == InLanes::samples) return copy(x.map, z.map, plan, samples, true);
    const int64_t run = int64_t(x.shape.width) * x.shape.channels;
    for (int b = 0; b < samples; b++)
      for (int h = 0; h < x.map.height; h++)
        copy_pixels(x.map.row(b, h), plan.pixel(x.shape), z.map.block(b) + h * run, x.shape.channels, x.shape.channels,
                    x.map.width);
  }
  void delta(Plan<T>& plan, int samples) override {
    copy(plan.delta(this->x), plan.delta(this->z), plan, samples, false);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  static void copy(const Map<T>& image, const Map<T>& vector, const Plan<T>& plan, int samples, bool forward) {
    const ptrdiff_t run = ptrdiff_t(image.width) * image.channels * plan.lanes();
    for (int b = 0; b < plan.blocks(samples); b++)
      for (int h = 0; h < image.height; h++) {
        T* row = image.row(b, h);
        T* part = vector.block(b) + h * run;
        if (forward) std::memcpy(part, row, sizeof(T) * size_t(run));
        else std::memcpy(row, part, sizeof(T) * size_t(run));
      }
  }
};

}   // namespace chainrule
