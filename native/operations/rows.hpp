// What is done otherwise where a vector's lanes are channels (docs/decisions/0015-lanes.md): products of rows with W, which
// only predict, and the way between arrangements.
#pragma once
#include <algorithm>
#include <cstring>

#include "elementwise.hpp"

namespace chainrule {

// A dense layer, or a convolution, in panels or by Winograd.
template <class T>
class RowsOperation final : public Operation<T> {
 public:
  int weights = -1, bias = -1;
  bool winograd = false;
  ConvArgs<T> geometry{};   // kernel, stride, padding, dilation

  bool accepts(const Plan<T>&, int i, InLanes lanes) const override {
    return lanes == InLanes::channels || (i == this->x && lanes == InLanes::nothing && !winograd);
  }
  void check(const Plan<T>& plan) const override {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    const ConvArgs<T>& g = geometry;
    require_windows(g);
    const ParameterShape& w = plan.parameter(weights).shape;
    const int64_t inputs = int64_t(g.kernel_h) * g.kernel_w * x.channels;
    if (winograd) require_plain(plan, weights, double(inputs) * z.channels);
    else
      require(w.layout == Layout::panels && w.outputs == z.channels && w.inputs == inputs,
              "the weights of a product of rows do not fit its values");
    if (bias >= 0) require_plain(plan, bias, z.channels);
    require(!winograd || is_winograd(g), "Winograd's convolution has kernels of 3 x 3 at stride 1");
    const auto size = [&](int count) { return winograd ? (count + 1) / 2 * 2 : count; };   // tiles are 2 x 2 outputs
    require(inside(x.height, x.top, x.bottom, size(z.height), g.kernel_h, g.stride_h, g.dilation_h, g.pad_top) &&
                inside(x.width, x.left, x.right, size(z.width), g.kernel_w, g.stride_w, g.dilation_w, g.pad_left),
            "a window of a convolution stands out of the zeros around its image");
  }
  void reserve(Plan<T>& plan) override {
    if (!winograd) return;
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    packed_ = plan.arena().reserve(size_t(16) * size_t(plan.vectors(z) * plan.lanes()) * size_t(x.channels), sizeof(T));
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    const auto& x = plan.value(this->x);
    RowsArgs<T>& g = args_;
    g.x = x.map, g.z = plan.map(this->z), g.a = this->saved < 0 ? g.z : plan.map(this->saved);
    g.x_pixel = ptrdiff_t(plan.pixel(x.shape));
    g.channels = x.shape.channels;
    g.kernel_h = geometry.kernel_h, g.kernel_w = geometry.kernel_w, g.stride_h = geometry.stride_h,
    g.stride_w = geometry.stride_w;
    g.dilation_h = geometry.dilation_h, g.dilation_w = geometry.dilation_w;
    g.pad_top = geometry.pad_top, g.pad_left = geometry.pad_left;
    g.weights = winograd ? plan.arena().template at<T>(packed_) : plan.theta(weights), g.bias = plan.theta(bias);
    g.act = this->post.kind, g.slope = this->post.slope;
  }
  void forward(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    RowsArgs<T>& g = args_;
    g.samples = samples;
    const int64_t work = int64_t(samples) * g.z.height * g.z.width * g.z.channels * g.kernel_h * g.kernel_w * g.channels;
    if (!winograd) {
      parallel(k.rows_units(g), work, [&](int begin, int end, int) { k.rows_forward(g, begin, end); });
      return;
    }
    if (!prepared_.holds(plan, 0)) {
      ConvArgs<T> pack{};
      pack.x.channels = g.channels, pack.z.channels = plan.value(this->z).shape.channels;
      pack.weights = plan.theta(weights), pack.packed = plan.arena().template at<T>(packed_);
      parallel(pack.z.channels, int64_t(9) * g.channels * pack.z.channels,
               [&](int begin, int end, int) { k.winograd_rows_pack(pack, false, begin, end); });
      prepared_.made(plan, 0);
    }
    const size_t scratch = k.winograd_rows_scratch(g);
    parallel(k.winograd_rows_units(g), work / 2,
             [&](int begin, int end, int) { k.winograd_rows(g, begin, end, thread_scratch<T>(scratch)); });
  }
  void delta(Plan<T>&, int) override {}

 private:
  Region packed_;
  Prepared prepared_;
  RowsArgs<T> args_{};
};

// One arrangement to another.
template <class T>
class RearrangeOperation final : public Operation<T> {
 public:
  bool accepts(const Plan<T>&, int, InLanes) const override { return true; }
  bool trains_channels() const override { return true; }
  bool takes_bands(const Plan<T>&) const override { return true; }
  bool cuts() const override { return true; }
  int rows(const Plan<T>&, int samples) const override { return samples; }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    const bool columns = in_columns(plan);
    const auto whole = [&](ValueShape shape) {
      shape.height = shape.rows(), shape.bands = 1;
      if (columns && is_sequence(shape)) std::swap(shape.height, shape.width);
      return shape;
    };
    require(same_size(whole(x.shape), whole(z.shape)), "the values of this operation must be of one shape");
    if (of_steps(plan)) {
      require(std::min(x.shape.bands, z.shape.bands) == 1 && is_sequence(x.shape) && is_sequence(z.shape) && without_halo(x) &&
                  without_halo(z),
              "steps one behind the other become positions in lanes of the same sequence, or these such steps");
      return;
    }
    if (in_bands(plan))
      require(std::min(x.shape.bands, z.shape.bands) == 1 && std::max(x.shape.bands, z.shape.bands) <= largest_bands &&
                  x.shape.lanes == z.shape.lanes,
              "bands of images become whole ones, or these bands");
    if (!of_positions(plan)) return;
    const bool between = x.shape.lanes == InLanes::samples || z.shape.lanes == InLanes::samples;
    require(between && is_sequence(x.shape), "positions in lanes are rearranged to samples or from them, of a sequence");
  }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    if (of_steps(plan)) return move(plan, x.map, z.map, z.shape.lanes == InLanes::positions, samples, true);
    if (of_positions(plan)) return turn(plan, x.map, z.map, z.shape.lanes == InLanes::positions, samples, true);
    if (in_bands(plan)) return cut(plan, x.map, x.shape, z.map, z.shape, samples, true);
    by_rows(plan, x.map, x.shape, z.map, z.shape, samples, true);
  }
  void delta(Plan<T>& plan, int samples) override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    if (of_steps(plan)) move(plan, z.delta, x.delta, x.shape.lanes == InLanes::positions, samples, false);
    else if (in_bands(plan)) cut(plan, z.delta, z.shape, x.delta, x.shape, samples, false);
    else if (of_positions(plan)) turn(plan, z.delta, x.delta, x.shape.lanes == InLanes::positions, samples, false);
    else by_rows(plan, z.delta, z.shape, x.delta, x.shape, samples, false);
    multiply_by_derivative(plan, this->x, this->input_post, samples * x.shape.bands);
  }

 private:
  static constexpr int most_lanes = 64 / int(sizeof(T));
  bool of_positions(const Plan<T>& plan) const {
    return plan.value(this->x).shape.lanes == InLanes::positions || plan.value(this->z).shape.lanes == InLanes::positions;
  }
  bool in_bands(const Plan<T>& plan) const {
    return plan.value(this->x).shape.bands > 1 || plan.value(this->z).shape.bands > 1;
  }
  // Whether one has a step in every lane, those of all samples one behind the other, and the other positions, where every
  // sample begins with a vector.
  bool of_steps(const Plan<T>& plan) const {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    const ValueShape& bands = x.bands > 1 ? x : z;
    return of_positions(plan) && in_bands(plan) && is_vector(bands) && bands.fills();
  }
  // Between these two. Unit: a vector of what is written.
  void move(Plan<T>& plan, const Map<T>& from, const Map<T>& to, bool to_positions, int samples, bool repeat) {
    const int l = plan.lanes(), channels = from.channels;
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    const int64_t steps = x.bands > 1 ? x.bands : z.bands, vectors = (steps + l - 1) / l, all = samples * steps;
    const int64_t units = to_positions ? samples * vectors : (all + l - 1) / l;
    const Map<T> one = plan.one_sample(to_positions ? to : from, 0);   // whose blocks are vectors of positions
    const auto at_position = [&](int64_t sample, int64_t step) {
      return (to_positions ? to : from).block(ptrdiff_t(sample)) + ptrdiff_t(step / l) * one.block_step;
    };
    parallel(int(units), units * channels * 4, [&](int begin, int end, int) {
      const auto& k = plan.kernels();
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t sample = to_positions ? unit / vectors : 0, step = to_positions ? unit % vectors * l : 0;
        const int64_t first = to_positions ? sample * steps + step : unit * l;   // of all steps
        const int count = int(std::min<int64_t>(l, to_positions ? steps - step : all - first));
        T* const target = to_positions ? at_position(sample, step) : to.block(ptrdiff_t(unit));
        for (int lane = 0; lane < count;) {
          const int64_t number = first + lane, s = number / steps, t = number % steps;
          const int at = int(to_positions ? number % l : t % l);   // the lane that it is in
          const int64_t rest = to_positions ? l - at : std::min<int64_t>(l - at, steps - t);
          const int behind = int(std::min<int64_t>(count, lane + rest));
          const T* const source = to_positions ? from.block(ptrdiff_t(number / l)) : at_position(s, t);
          k.move_lanes(source, at - lane, lane, behind, lane > 0, target, channels);
          lane = behind;
        }
        if (repeat && count < l) k.repeat_lane(target, count - 1, channels);
      }
    });
  }
  // Whether the bands are of a sequence: a column there, and a row where it is whole.
  bool in_columns(const Plan<T>& plan) const {
    const ValueShape &x = plan.value(this->x).shape, &z = plan.value(this->z).shape;
    if (!in_bands(plan)) return false;
    const ValueShape &banded = x.bands > 1 ? x : z, &other = x.bands > 1 ? z : x;
    return is_sequence(other) && banded.width == 1;
  }
  // From samples in the lanes to rows of channels, in vectors or as users have them, or back. Unit: row of a block.
  void by_rows(Plan<T>& plan, const Map<T>& from, const ValueShape& from_shape, const Map<T>& to, const ValueShape& to_shape,
               int samples, bool repeat) {
    const int height = from.height, l = plan.lanes(), width = from_shape.width, channels = from_shape.channels;
    const int64_t run = int64_t(width) * channels;
    const bool to_lanes = to_shape.lanes == InLanes::samples, from_lanes = from_shape.lanes == InLanes::samples;
    parallel(plan.blocks(samples) * height, int64_t(samples) * height * run / 4, [&](int begin, int end, int) {
      T* const rows = thread_scratch<T>(size_t(run * l));
      for (int unit = begin; unit < end; unit++) {
        const int b = unit / height, h = unit % height, count = std::min(l, samples - b * l);
        const auto one_row = [&](const Map<T>& m) {
          Map<T> row = m;
          row.data = m.row(b, h), row.height = 1;
          return row;
        };
        if (from_lanes) plan.kernels().scatter(one_row(from), rows, count, 0, 1);
        else
          for (int s = 0; s < count; s++)
            copy_pixels(from.row(b * l + s, h), plan.pixel(from_shape), rows + s * run, channels, channels, width);
        if (!to_lanes) {
          for (int s = 0; s < count; s++)
            copy_pixels(rows + s * run, channels, to.row(b * l + s, h), plan.pixel(to_shape), channels, width);
          continue;
        }
        GatherArgs g{};
        g.source = rows, g.features = g.piece = run, g.samples = count, g.repeat = repeat;
        plan.kernels().gather(g, one_row(to), source_same, 0, 1);
      }
    });
  }
  // From bands in the lanes to whole images or back. Unit: a block of images, and a row of each of their bands.
  void cut(Plan<T>& plan, const Map<T>& given, const ValueShape& from_shape, const Map<T>& taken, const ValueShape& to_shape,
           int samples, bool repeat) {
    const bool joins = from_shape.bands > 1, columns = in_columns(plan);
    const ValueShape& shape = joins ? from_shape : to_shape;
    const int l = plan.lanes(), bands = shape.bands, height = joins ? given.height : taken.height;
    const auto upright = [&](Map<T> m) {   // a sequence as a column
      if (columns && m.height == 1) m.height = m.width, m.width = 1, m.row_step = ptrdiff_t(m.channels) * l;
      return m;
    };
    const Map<T> from = upright(given), to = upright(taken);
    const int64_t run = int64_t(from.width) * from.channels;
    const auto row_of = [](const Map<T>& m, int b, int h) {
      Map<T> row = m;
      row.data = m.row(b, h), row.height = 1;
      return row;
    };
    parallel(plan.blocks(samples) * height, int64_t(samples) * bands * height * run / 4, [&](int begin, int end, int) {
      T* const rows = thread_scratch<T>(size_t(run) * size_t(l) * size_t(bands));   // [sample][band], or [band][sample]
      int64_t order[most_lanes * largest_bands];
      for (int unit = begin; unit < end; unit++) {
        const int b = unit / height, h = unit % height, count = std::min(l, samples - b * l), lanes = count * bands;
        GatherArgs g{};
        g.source = rows, g.features = g.piece = run, g.repeat = repeat, g.order = order;
        for (int k = 0; joins && k < lanes; k += l)
          plan.kernels().scatter(row_of(from, b * bands + k / l, h), rows + k * run, std::min(l, lanes - k), 0, 1);
        for (int s = 0; s < bands; s++) {
          const bool beyond = s * height + h >= shape.whole;
          if (joins && !beyond) {
            for (int i = 0; i < count; i++) order[i] = i * bands + s;
            g.samples = count;
            plan.kernels().gather(g, row_of(to, b, s * height + h), source_same, 0, 1);
          } else if (!joins && beyond) {
            std::memset(rows + int64_t(s) * count * run, 0, sizeof(T) * size_t(count * run));
          } else if (!joins) {
            plan.kernels().scatter(row_of(from, b, s * height + h), rows + int64_t(s) * count * run, count, 0, 1);
          }
        }
        if (joins) continue;
        for (int i = 0; i < lanes; i++) order[i] = int64_t(i % bands) * count + i / bands;
        for (int k = 0; k < lanes; k += l) {
          g.order = order + k, g.samples = std::min(l, lanes - k);
          plan.kernels().gather(g, row_of(to, b * bands + k / l, h), source_same, 0, 1);
        }
      }
    });
  }
  // From positions in the lanes to samples or back, a vector of positions of a block at a time. repeat: what lies in empty
  // lanes
  // (`gather`).
  void turn(Plan<T>& plan, const Map<T>& from, const Map<T>& to, bool to_positions, int samples, bool repeat) {
    const int l = plan.lanes(), steps = plan.value(this->x).shape.width, channels = from.channels;
    const int vectors = (steps + l - 1) / l;
    parallel(plan.blocks(samples) * vectors, int64_t(samples) * steps * channels / 4, [&](int begin, int end, int) {
      T* const rows = thread_scratch<T>(size_t(l) * size_t(l) * size_t(channels));
      for (int unit = begin; unit < end; unit++) {
        const int b = unit / vectors, k = unit % vectors, count = std::min(l, samples - b * l), first = k * l;
        const int width = std::min(l, steps - first);
        const int64_t run = int64_t(width) * channels;
        const auto of_block = [&](const Map<T>& m) {   // these steps of all samples
          Map<T> part = m;
          part.data = m.block(b) + ptrdiff_t(first) * channels * l, part.width = width;
          return part;
        };
        const auto of_sample = [&](const Map<T>& m, int s) {   // of one
          Map<T> part = plan.one_sample(m, b * l + s);
          part.data += k * part.block_step;
          return part;
        };
        GatherArgs g{};
        g.repeat = repeat;
        if (to_positions) {
          plan.kernels().scatter(of_block(from), rows, count, 0, 1);
          g.features = g.piece = channels, g.samples = width;
          for (int s = 0; s < count; s++) {
            g.source = rows + s * run;
            plan.kernels().gather(g, of_sample(to, s), source_same, 0, 1);
          }
        } else {
          for (int s = 0; s < count; s++) plan.kernels().scatter(of_sample(from, s), rows + s * run, width, 0, 1);
          g.source = rows, g.features = g.piece = run, g.samples = count;
          plan.kernels().gather(g, of_block(to), source_same, 0, 1);
        }
      }
    });
  }
};

}   // namespace chainrule
