// Branches that read one value, and the value that joins them.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "bands.hpp"
#include "elementwise.hpp"

namespace chainrule {

// Several readers of one value: they share its memory, and its δ is the sum of theirs.
template <class T>
class BranchesOperation final : public Operation<T> {
 public:
  std::vector<int> readers;

  bool accepts(const Plan<T>&, int, InLanes) const override { return true; }
  bool trains_channels() const override { return true; }
  bool takes_bands(const Plan<T>&) const override { return true; }
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
    const int blocks = plan.blocks(this->x, samples);
    parallel(blocks * total.height, int64_t(blocks) * total.height * run / plan.lanes() * 2, [&](int begin, int end, int) {
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

// z_i = Σ_j w_ij x_j with few and fixed w: pixels that are repeated, mirrored, left out, or mixed with their neighbours. In
// runs of numbers that lie side by side in both values, each within one row of either.
template <class T>
class GatherOperation final : public Operation<T> {
 public:
  struct Run {
    int64_t to, from, count;   // numbers of a sample, without what stands around the image; of a band also of those beside
    T weight;
  };
  std::vector<Run> runs;
  bool repeats_edges = false;   // of bands: beyond the image lies its last row once more

  bool takes_bands(const Plan<T>&) const override { return true; }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    const int above = x.bands > 1 ? x.top : 0, below = x.bands > 1 ? x.bottom : 0;   // rows of the bands beside
    require(above <= x.height && below <= x.height, "a band reads its nearest neighbours only");
    for (const Run& run : runs)
      require(run.count > 0 && within(run.to, run.count, z, 0, 0) && within(run.from, run.count, x, above, below),
              "what is gathered must lie within a row of the input and of the output");
  }
  void reserve(Plan<T>& plan) override {
    const auto& x = plan.value(this->x);
    const int64_t row = row_of(x.shape);
    for (const Run& run : runs) {
      if (run.from < 0) above_ = std::max(above_, (row - 1 - run.from) / row);
      else below_ = std::max(below_, run.from / row + 1 - x.shape.height);
    }
    if (above_ + below_ == 0 || !x.with_delta) return;
    const size_t blocks = size_t(plan.blocks(plan.most_lanes(x.shape)));
    spread_ = plan.arena().reserve(blocks * size_t(with_beside(x.shape).height) * size_t(row * plan.lanes()), sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const ValueShape z = plan.value(this->z).shape, x = with_beside(plan.value(this->x).shape);
    forward_ = rows_of(z, x, &Run::to, &Run::from);
    back_ = rows_of(x, z, &Run::from, &Run::to);
    to_ = plan.delta(this->x);
    if (!spread_.bytes) return;
    to_.data = plan.arena().template at<T>(spread_), to_.height = x.height;
    to_.row_step = row_of(x) * plan.lanes(), to_.block_step = to_.height * to_.row_step;
  }
  void forward(Plan<T>& plan, int samples) override {
    if (above_ + below_ > 0) bring_neighbours(plan, this->x, false, samples);
    else clear_beyond(plan, this->x, false, samples);
    Map<T> from = plan.map(this->x);
    if (repeated())
      each_edge(plan, samples, [&](int v, int row, int beyond) { lane_row(plan, from, v, row, from, beyond, false); });
    from.data = from.row(0, -above_);
    gather(plan, forward_, from, plan.map(this->z), samples);
    if (repeated()) {   // others read zeros there
      const auto& x = plan.value(this->x);
      fill_beyond(plan, x.map, x.shape, x.shape.top, x.shape.bottom, T(0), samples);
    }
  }
  void delta(Plan<T>& plan, int samples) override {
    clear_beyond(plan, this->z, true, samples);
    gather(plan, back_, plan.delta(this->z), to_, samples);
    if (spread_.bytes) add_beside(plan, to_, plan.delta(this->x), plan.value(this->x).shape, int(above_), int(below_), samples);
    if (repeated()) {
      Map<T> from = to_;
      from.data = from.row(0, above_);
      const Map<T>& to = plan.delta(this->x);
      each_edge(plan, samples, [&](int v, int row, int beyond) { lane_row(plan, from, v, beyond, to, row, true); });
    }
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  struct Part {
    int row;   // of the source
    int64_t to, from, count;
    T weight;
    bool first;   // nothing is there yet
  };
  struct Row {
    std::vector<Part> parts;
    bool gaps = false;   // numbers that no part is the first of
  };
  static int64_t row_of(const ValueShape& s) { return int64_t(s.width) * s.channels; }
  static bool within(int64_t first, int64_t count, const ValueShape& s, int above, int below) {
    const int64_t row = row_of(s), before = above * row;
    if (first < -before || count > s.features() + below * row - first) return false;
    return (first + before) / row == (first + before + count - 1) / row;
  }
  bool repeated() const { return repeats_edges && above_ + below_ > 0; }
  // body(band, row, beyond) of the first and last row of every image, and of the row beyond it in or beside that band.
  template <class Body>
  void each_edge(const Plan<T>& plan, int samples, Body&& body) const {
    const ValueShape& x = plan.value(this->x).shape;
    const int l = plan.lanes();
    parallel(plan.blocks(samples), int64_t(samples) / x.bands * row_of(x) * 4, [&](int begin, int end, int) {
      for (int v = begin * l; v < std::min(end * l, samples); v++) {
        const int first = v % x.bands * x.height, last = x.whole - 1 - first;
        if (first == 0 && above_ > 0) body(v, 0, -1);
        if (0 <= last && last < x.height && last + 1 < x.height + below_) body(v, last, last + 1);
      }
    });
  }
  // Of lane v one row to another place, or added to what is there.
  static void lane_row(const Plan<T>& plan, const Map<T>& from, int v, int row, const Map<T>& to, int at, bool adds) {
    const int l = plan.lanes();
    const ptrdiff_t run = ptrdiff_t(from.width) * from.channels;
    const T* const source = from.row(v / l, row) + v % l;
    T* const target = to.row(v / l, at) + v % l;
    for (ptrdiff_t i = 0; i < run; i++) target[i * l] = adds ? target[i * l] + source[i * l] : source[i * l];
  }
  // With the rows that are read of the bands beside.
  ValueShape with_beside(ValueShape x) const {
    x.height += int(above_ + below_);
    return x;
  }
  std::vector<Row> rows_of(const ValueShape& target, const ValueShape& source, int64_t Run::* to, int64_t Run::* from) const {
    std::vector<Row> rows(size_t(target.height));
    std::vector<int64_t> ends(rows.size(), 0);   // of what has been written
    std::vector<Run> sorted = runs;
    for (Run& run : sorted) run.from += above_ * row_of(to == &Run::from ? target : source);
    std::stable_sort(sorted.begin(), sorted.end(), [&](const Run& a, const Run& b) { return a.*to < b.*to; });
    for (const Run& run : sorted) {
      const size_t number = size_t(run.*to / row_of(target));
      const int64_t begin = run.*to % row_of(target);
      int64_t& end = ends[number];
      rows[number].gaps |= begin > end || (begin < end && begin + run.count > end);
      rows[number].parts.push_back(
          {int(run.*from / row_of(source)), begin, run.*from % row_of(source), run.count, run.weight, begin >= end});
      end = std::max(end, begin + run.count);
    }
    for (size_t i = 0; i < rows.size(); i++) rows[i].gaps |= ends[i] < row_of(target);
    return rows;
  }
  static void gather(Plan<T>& plan, const std::vector<Row>& rows, const Map<T>& source, const Map<T>& target, int samples) {
    const int l = plan.lanes(), height = int(rows.size());
    const int64_t run = int64_t(target.width) * target.channels;
    parallel(plan.blocks(samples) * height, int64_t(plan.blocks(samples)) * height * run * 2, [&](int begin, int end, int) {
      for (int unit = begin; unit < end; unit++) {
        const int b = unit / height;
        const Row& row = rows[size_t(unit % height)];
        T* const to = target.row(b, unit % height);
        if (row.gaps) std::memset(to, 0, sizeof(T) * size_t(run * l));
        for (const Part& part : row.parts) {
          const T* const from = source.row(b, part.row) + part.from * l;
          T* const at = to + part.to * l;
          const int64_t count = part.count * l;
          if (part.weight == T(1)) {
            if (part.first) std::memcpy(at, from, sizeof(T) * size_t(count));
            else plan.kernels().add_run(at, from, at, ptrdiff_t(count));
          } else if (part.first) {
            for (int64_t i = 0; i < count; i++) at[i] = part.weight * from[i];
          } else {
            for (int64_t i = 0; i < count; i++) at[i] += part.weight * from[i];
          }
        }
      }
    });
  }
  std::vector<Row> forward_, back_;
  int64_t above_ = 0, below_ = 0;   // rows of the bands beside that are read
  Region spread_;                   // δ of a band, with what goes to those beside
  Map<T> to_{};
};

// The outputs of the branches, joined entry by entry, or with their channels one after another.
template <class T>
class JoinOperation final : public Operation<T> {
 public:
  std::vector<int> inputs, saved_of;
  std::vector<Post<T>> posts;
  JoinKind kind = JoinKind::sum;

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override { return this->as_output(plan, lanes); }
  bool takes_bands(const Plan<T>&) const override { return true; }
  std::vector<int> reads() const override { return inputs; }
  void check(const Plan<T>& plan) const override {
    const ValueShape& z = plan.value(this->z).shape;
    const bool concat = kind == JoinKind::concat;
    int64_t channels = 0;
    for (const int i : inputs) {
      const ValueShape& own = plan.value(i).shape;
      require(own.height == z.height && own.width == z.width && (concat || own.channels == z.channels),
              "what is joined must have the positions of the output, and entry by entry its channels");
      channels += own.channels;
    }
    require(!concat || channels == z.channels, "the channels that are joined must be those of the output");
    require((kind != JoinKind::quotient && kind != JoinKind::power) || inputs.size() == 2,
            "a quotient or power is of two values");
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
    const bool concat = kind == JoinKind::concat;
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
        else if (kind != JoinKind::sum) join(from, to, ptrdiff_t(z.width) * z.channels * plan.lanes());
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
      for (size_t i = 0; i < inputs.size(); i++) {
        const auto& value = plan.value(inputs[i]);
        const Map<T>& x = value.delta;
        const int channels = value.shape.channels;
        if (value.with_delta)
          copy_channels(from + first * plan.lanes(), z.channels, channels, x.row(b, h), channels, z.width, plan.lanes());
        for (size_t j = 0; value.with_delta && j < inputs.size(); j++)
          if (j != i)
            share(value.map.row(b, h), plan.value(inputs[j]).map.row(b, h), j < i, x.row(b, h),
                  ptrdiff_t(z.width) * z.channels * plan.lanes());
        if (kind == JoinKind::concat) first += channels;
      }
    });
    for (size_t i = 0; i < inputs.size(); i++)
      if (plan.value(inputs[i]).with_delta) multiply_by_derivative(plan, inputs[i], posts[i], samples);
  }

 private:
  template <class Of>
  static void each(ptrdiff_t count, T* to, Of&& of) {
    for (ptrdiff_t i = 0; i < count; i++) to[i] = of(to[i], i);
  }
  // What is joined so far, with the next. NaN in either gives NaN.
  void join(const T* next, T* joined, ptrdiff_t count) const {
    switch (kind) {
      case JoinKind::product:
        return each(count, joined, [&](T z, ptrdiff_t i) { return z * next[i]; });
      case JoinKind::maximum:
        return each(count, joined, [&](T z, ptrdiff_t i) { return (next[i] > z) | (next[i] != next[i]) ? next[i] : z; });
      case JoinKind::minimum:
        return each(count, joined, [&](T z, ptrdiff_t i) { return (next[i] < z) | (next[i] != next[i]) ? next[i] : z; });
      case JoinKind::quotient:
        return each(count, joined, [&](T z, ptrdiff_t i) { return z / next[i]; });
      case JoinKind::power:
        return each(count, joined, [&](T z, ptrdiff_t i) { return std::pow(z, next[i]); });
      case JoinKind::sum:
      case JoinKind::concat:
        return;
    }
  }
  // δ of an input, from that of the output, by one of the others; earlier: that stands in front of it.
  void share(const T* own, const T* other, bool earlier, T* delta, ptrdiff_t count) const {
    switch (kind) {
      case JoinKind::product:
        return each(count, delta, [&](T d, ptrdiff_t i) { return d * other[i]; });
      case JoinKind::maximum:   // of equal ones the first
        return each(count, delta,
                    [&](T d, ptrdiff_t i) { return (earlier ? own[i] > other[i] : !(other[i] > own[i])) ? d : T(0); });
      case JoinKind::minimum:
        return each(count, delta,
                    [&](T d, ptrdiff_t i) { return (earlier ? own[i] < other[i] : !(other[i] < own[i])) ? d : T(0); });
      case JoinKind::quotient:
        return each(count, delta,   // without the square of what is divided by, which may leave the range
                    [&](T d, ptrdiff_t i) { return earlier ? -d * (other[i] / own[i] / own[i]) : d / other[i]; });
      case JoinKind::power:
        return each(count, delta, [&](T d, ptrdiff_t i) {
          if (!earlier)   // 0 · 0^−1 is 0
            return d * (other[i] * (other[i] == T(0) ? T(0) : std::pow(own[i], other[i] - T(1))));
          const T z = std::pow(other[i], own[i]);
          const bool still = z == T(0) || (other[i] == T(0) && own[i] == T(0));   // 0 log 0 is 0, and so is it of 0^0
          return d * (still ? T(0) : z * std::log(other[i]));
        });
      case JoinKind::sum:
      case JoinKind::concat:
        return;
    }
  }
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
