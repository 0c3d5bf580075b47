// A recurrence through the steps of a sequence. What does not depend on the state is one product over all steps and samples:
// W x_t before the passage, ∂W, ∂U and Wᵀ δ behind it; to those, every step of every block is a block of a dense layer.
#pragma once
#include "elementwise.hpp"

namespace chainrule {

// body(begin, end) over `count` blocks, or samples, in as few groups as keep every thread busy, of at most so many, which are
// what the largest register tile takes: a group reads U once a step (0025). No lane's numbers depend on its group.
template <class Body>
void in_groups(int count, int most, int64_t work, Body&& body) {
  const int busy = std::min(ThreadPool::instance().threads(), count), groups = std::max(busy, (count + most - 1) / most);
  parallel(groups, work, [&](int begin, int end, int) {
    for (int i = begin; i < end; i++) body(int(int64_t(count) * i / groups), int(int64_t(count) * (i + 1) / groups));
  });
}

// ∂P of an LSTM's gates, units numbers of each behind one another: the sum of the shares of `count` blocks or samples, in which
// a unit has `width` numbers and a gate `row` of them. In double: a float kept 4 digits of 16,384 alike.
template <class T>
void sum_peepholes(const T* shares, int count, int units, ptrdiff_t row, int width, T* gradient) {
  for (int k = 0; k < 3; k++)
    for (int unit = 0; unit < units; unit++) {
      double sum = 0;
      for (int b = 0; b < count; b++)
        for (int l = 0; l < width; l++) sum += double(shares[(3 * b + k) * row + ptrdiff_t(unit) * width + l]);
      gradient[k * units + unit] = T(sum);
    }
}

template <class T>
class RecurrentOperation final : public Operation<T> {
 public:
  int weights = -1, state_weights = -1, bias = -1, inner_bias = -1, projection = -1, peepholes = -1, mask = -1;
  int first = -1;            // the states in front of the first step
  RecurrentArgs<T> args{};   // cell, act, units, gates, every, reverse, truncate, ends

  std::vector<int> reads() const override { return first < 0 ? std::vector{this->x} : std::vector{this->x, first}; }
  void check(const Plan<T>& plan) const override {
    const auto& x = plan.value(this->x).shape;
    require(is_sequence(x), "a recurrence runs along a sequence");
    require_delta(plan, *this);
    if (mask >= 0) require_mask(plan, mask, x);
    if (args.ends) require(!has_halo(plan.value(this->z).shape), "a recurrence puts its states out in a row");
    if (first >= 0) {
      const auto &own = plan.value(first), &in = plan.value(this->x);
      require(!has_halo(own.shape) && own.shape.lanes == InLanes::samples && own.with_delta == in.with_delta,
              "the first states of a recurrence are a vector per sample, with a δ where its input has one");
    }
    const double steps = double(plan.max_blocks()) * plan.lanes() * x.width;
    require(
        steps * (double(args.gates) * args.units + args.size) <= most_scalars && double(args.gates) * args.units < largest_size,
        "the states of this recurrence would need more memory than can be addressed");
  }
  void reserve(Plan<T>& plan) override {
    const size_t blocks = size_t(plan.max_blocks()), lanes = size_t(plan.lanes()),
                 steps = size_t(plan.value(this->x).shape.width);
    args.steps = int(steps);
    const size_t states = blocks * steps * size_t(args.units) * lanes, rows = states * size_t(args.gates),
                 shown = blocks * steps * size_t(args.size) * lanes;
    const bool learns = plan.value(this->z).with_delta;
    const auto take = [&](Region& region, size_t count) { region = plan.arena().reserve(count, sizeof(T)); };
    take(p_, rows), take(h_, shown), take(last_, (shown + states) / steps);
    if (args.cell != Cell::rnn) take(s_, states);
    if (is_lstm(args.cell)) take(c_, states);
    if (projection >= 0) take(out_, states);
    const size_t outputs = size_t(args.gates) * size_t(args.units) + lanes;
    if (is_gru(args.cell)) take(q_, rows);
    if (args.cell == Cell::gru) take(inner_, outputs);
    if (learns) take(dp_, rows), take(arrived_, (shown + states) / steps);
    if (learns && projection >= 0) take(dh_, shown), take(d_out_, states / steps);
    if (learns && peepholes >= 0) take(d_peepholes_, 3 * states / steps);
    if (learns && is_gru(args.cell)) take(dq_, rows);
    if (learns && args.cell == Cell::gru_before) take(reset_, outputs * size_t(args.units));
    const size_t inputs = blocks * steps * size_t(plan.value(this->x).shape.channels) * lanes;
    if (has_halo(plan.value(this->x).shape)) take(x_, inputs);
    if (plan.value(this->x).with_delta && has_halo(plan.value(this->x).delta_shape)) take(dx_, inputs);
  }

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    // What a cell has not is never read; it points somewhere all the same, so that addresses can be computed.
    const auto at = [&](const Region& region) { return plan.arena().template at<T>(region.bytes ? region : p_); };
    RecurrentArgs<T>& g = args;
    g.weights = plan.theta(state_weights), g.inner_bias = plan.theta(inner_bias);
    g.projection = plan.theta(projection), g.out = at(out_), g.dh = at(dh_), g.d_out = at(d_out_);
    g.peepholes = plan.theta(peepholes), g.d_peepholes = at(d_peepholes_);
    g.p = at(p_), g.q = at(q_), g.h = at(h_), g.c = at(c_), g.s = at(s_), g.last = at(last_);
    g.dp = at(dp_), g.dq = is_gru(g.cell) ? at(dq_) : g.dp, g.arrived = at(arrived_);
    g.z = plan.map(this->z), g.z_delta = plan.delta(this->z), g.mask = plan.map(mask), g.first = plan.map(first);
    const int inputs = plan.value(this->x).shape.channels, rows = g.gates * g.units;
    input_.x = x_.bytes ? at(x_) : plan.map(this->x).data, input_.x_block = ptrdiff_t(inputs) * plan.lanes();
    input_.weights = plan.theta(weights), input_.bias = plan.theta(bias);
    input_.z = g.p, input_.z_block = ptrdiff_t(rows) * plan.lanes();
    input_.inputs = inputs, input_.outputs = rows;
    of_input_ = input_;
    of_input_.z = g.dp;
    of_input_.x_delta = dx_.bytes ? at(dx_) : plan.delta(this->x).data, of_input_.x_delta_block = input_.x_block;
    of_input_.weight_gradient = plan.gradient(weights), of_input_.bias_gradient = plan.gradient(bias);
    of_state_ = of_input_;
    of_state_.x = g.h, of_state_.x_block = ptrdiff_t(g.size) * plan.lanes(), of_state_.inputs = g.size;
    of_state_.z = g.dq, of_state_.weight_gradient = plan.gradient(state_weights),
    of_state_.bias_gradient = inner_.bytes ? at(inner_) : nullptr;
    by_both_ = of_input_;   // of one δ, but for a GRU
    by_both_.other = of_state_.x, by_both_.other_block = of_state_.x_block, by_both_.other_inputs = g.size;
    by_both_.other_gradient = of_state_.weight_gradient;
    of_reset_ = of_state_;
    of_reset_.x = g.s, of_reset_.z = g.dp, of_reset_.weight_gradient = at(reset_);
    of_out_ = of_state_;
    of_out_.x = g.out, of_out_.x_block = ptrdiff_t(g.units) * plan.lanes(), of_out_.inputs = g.units;
    of_out_.z = g.dh, of_out_.z_block = of_state_.x_block, of_out_.outputs = g.size;
    of_out_.weight_gradient = plan.gradient(projection), of_out_.bias_gradient = nullptr;
  }

  void forward(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    if (x_.bytes) copy(plan, plan.map(this->x), plan.arena().template at<T>(x_), samples, true);
    size(plan, input_, samples);
    parallel(k.dense_forward_units(input_), work(input_),
             [&](int begin, int end, int) { k.dense_forward(input_, begin, end); });
    through_time(k.recurrent_forward);
  }

  // δ of every step's gates first: all else is computed from it.
  void gradients(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    size(plan, of_input_, samples), size(plan, of_state_, samples);
    through_time(k.recurrent_backward);
    for (DenseArgs<T>* g : {&by_both_, &of_reset_, &of_out_}) g->blocks = of_state_.blocks, g->samples = of_state_.samples;
    const auto gradient_of = [&](const DenseArgs<T>& g) {
      const size_t scratch = k.dense_scratch(g.samples);
      parallel(k.dense_gradient_units(g), work(g),
               [&](int begin, int end, int) { k.dense_gradient(g, begin, end, thread_scratch<T>(scratch)); });
    };
    if (!is_gru(args.cell)) gradient_of(by_both_);
    else gradient_of(of_input_), gradient_of(of_state_);
    if (reset_.bytes) gradient_of(of_reset_);
    if (projection >= 0) gradient_of(of_out_);
    const int lanes = plan.lanes();
    if (peepholes >= 0)
      sum_peepholes(args.d_peepholes, args.blocks, args.units, ptrdiff_t(args.units) * lanes, lanes, plan.gradient(peepholes));
    // Rows of U: what they were multiplied with is h, but of the last gate r h.
    T *const gradient = plan.gradient(state_weights), *const of_reset = of_reset_.weight_gradient;
    const ptrdiff_t units = args.units;
    for (ptrdiff_t row = 2 * units; reset_.bytes && row < 3 * units; row++)
      for (ptrdiff_t i = 0; i < units; i++) {
        const ptrdiff_t place = (row / lanes * units + i) * lanes + row % lanes;   // in panels
        gradient[place] = of_reset[place];
      }
    if (inner_.bytes && inner_bias >= 0)   // of ∂J/∂(U h + v) only the last gate has a bias of its own
      std::memcpy(plan.gradient(inner_bias), of_state_.bias_gradient + (args.gates - 1) * args.units,
                  sizeof(T) * size_t(args.units));
  }

  bool gradients_before_delta() const override { return true; }
  void delta(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    size(plan, of_input_, samples);
    parallel(k.dense_backward_units(of_input_), work(of_input_),
             [&](int begin, int end, int) { k.dense_backward(of_input_, begin, end); });
    if (dx_.bytes) copy(plan, plan.delta(this->x), plan.arena().template at<T>(dx_), samples, false);
    const ptrdiff_t size = ptrdiff_t(args.size) * plan.lanes(), both = size + ptrdiff_t(args.units) * plan.lanes();
    for (int b = 0; first >= 0 && b < args.blocks; b++)
      std::memcpy(plan.delta(first).block(b), args.arrived + b * both, sizeof(T) * size_t(is_lstm(args.cell) ? both : size));
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Kernel>
  void through_time(Kernel kernel) {
    in_groups(args.blocks, 3, work(of_state_), [&](int begin, int end) { kernel(args, begin, end); });
  }
  void size(Plan<T>& plan, DenseArgs<T>& g, int samples) {
    args.blocks = plan.blocks(samples);
    g.blocks = args.blocks * args.steps, g.samples = g.blocks * plan.lanes();   // lanes without a sample have δ 0
    of_state_.blocks = g.blocks;
  }
  static int64_t work(const DenseArgs<T>& g) { return int64_t(g.blocks) * (g.inputs + g.other_inputs) * g.outputs; }
  void copy(Plan<T>& plan, const Map<T>& image, T* dense, int samples, bool in) const {
    const ptrdiff_t run = ptrdiff_t(image.width) * image.channels * plan.lanes();
    for (int b = 0; b < plan.blocks(samples); b++) {
      if (in) std::memcpy(dense + b * run, image.block(b), sizeof(T) * size_t(run));
      else std::memcpy(image.block(b), dense + b * run, sizeof(T) * size_t(run));
    }
  }
  Region p_, q_, h_, c_, s_, last_, dp_, dq_, arrived_, inner_, reset_, x_, dx_, out_, dh_, d_out_, d_peepholes_;
  DenseArgs<T> input_{}, of_input_{}, of_state_{}, by_both_{}, of_reset_{}, of_out_{};
};

// The same where the lanes are units: a tile's rows are samples, and in the products over all steps rows are samples and steps.
template <class T>
class RecurrentRowsOperation final : public Operation<T> {
 public:
  int weights = -1, state_weights = -1, bias = -1, inner_bias = -1, projection = -1, peepholes = -1, mask = -1;
  RecurrentArgs<T> args{};   // cell, act, units, gates, every, reverse, truncate, size

  bool accepts(const Plan<T>&, int i, InLanes lanes) const override {
    return lanes == InLanes::channels || (i == this->x && lanes == InLanes::nothing);
  }
  bool trains_channels() const override { return true; }
  void check(const Plan<T>& plan) const override {
    const auto& x = plan.value(this->x).shape;
    require(is_sequence(x), "a recurrence runs along a sequence");
    require(!plan.value(this->z).with_delta || (without_halo(plan.value(this->x)) && without_halo(plan.value(this->z))),
            "a recurrence over units is trained on values without zeros around them");
    require_delta(plan, *this);
    if (mask >= 0) require_mask(plan, mask, x);
    const double numbers = double(plan.batch_size()) * x.width * (double(args.gates) * args.units + args.size + plan.lanes());
    require(numbers <= most_scalars && double(args.gates) * args.units < largest_size,
            "the states of this recurrence would need more memory than can be addressed");
  }
  void reserve(Plan<T>& plan) override {
    const auto& x = plan.value(this->x).shape;
    RecurrentArgs<T>& g = args;
    g.steps = x.width;
    const auto padded = [&](int count) { return ptrdiff_t(count + plan.lanes() - 1) / plan.lanes() * plan.lanes(); };
    g.p_row = padded(g.gates * g.units), g.state_row = padded(g.units);
    const bool learns = plan.value(this->z).with_delta;
    g.state_step = learns ? g.state_row : 0, g.state_sample = learns ? g.steps * g.state_row : g.state_row;
    g.size_row = padded(g.size);
    g.size_step = learns ? g.size_row : 0, g.size_sample = learns ? g.steps * g.size_row : g.size_row;
    const size_t samples = size_t(plan.batch_size()), p_row = size_t(g.p_row), state = size_t(g.state_row),
                 steps = size_t(g.steps), rows = size_t(g.gates * g.units), states = samples * size_t(g.state_sample),
                 shown = size_t(g.size_row);
    const auto take = [&](Region& region, size_t count) { region = plan.arena().reserve(count, sizeof(T)); };
    take(p_, samples * steps * p_row), take(q_, samples * p_row), take(h_, samples * size_t(g.size_sample)), take(c_, states);
    if (projection >= 0) take(out_, states), take(d_out_, samples * std::max(state, shown));
    if (!learns) return;
    take(s_, states), take(dp_, samples * steps * p_row), take(turned_state_, shown * rows);
    take(last_, samples * (state + shown)), take(arrived_, samples * (state + shown));
    if (projection >= 0) take(dh_, samples * steps * shown), take(turned_projection_, state * size_t(g.size));
    if (peepholes >= 0) take(d_peepholes_, 3 * samples * state);
    if (g.cell == Cell::gru) take(dq_, samples * steps * p_row), take(inner_, p_row);
    if (plan.value(this->x).with_delta) take(turned_, size_t(padded(x.channels)) * rows);
  }
  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    // What a cell has not is never used; it points somewhere all the same, so that it can be read.
    const auto at = [&](const Region& region) { return plan.arena().template at<T>(region.bytes ? region : p_); };
    RecurrentArgs<T>& g = args;
    g.weights = plan.theta(state_weights), g.inner_bias = plan.theta(inner_bias), g.turned = at(turned_state_);
    g.projection = plan.theta(projection), g.turned_projection = at(turned_projection_);
    g.out = at(out_), g.dh = at(dh_), g.d_out = at(d_out_);
    g.peepholes = plan.theta(peepholes), g.d_peepholes = at(d_peepholes_);
    g.p = at(p_), g.q = at(q_), g.h = at(h_), g.c = at(c_), g.s = at(s_), g.last = at(last_);
    g.dp = at(dp_), g.dq = dq_.bytes ? at(dq_) : g.dp, g.arrived = at(arrived_);
    g.z = plan.map(this->z), g.z_delta = plan.delta(this->z), g.mask = plan.map(mask);
    const auto& x = plan.value(this->x);
    Map<T> p;
    p.data = g.p, p.width = g.steps, p.channels = int(g.p_row) / plan.lanes();
    p.row_step = p.block_step = g.steps * g.p_row;
    input_.x = x.map, input_.x_pixel = plan.pixel(x.shape), input_.channels = x.shape.channels;
    input_.weights = plan.theta(weights), input_.bias = plan.theta(bias);
    input_.z = input_.a = p;
    p.data = g.dp;
    of_input_.x = p, of_input_.x_pixel = g.p_row, of_input_.channels = g.gates * g.units;
    of_input_.weights = at(turned_), of_input_.bias = nullptr;
    of_input_.z = of_input_.a = x.delta;
    by_input_ = {
        x.map.data,         g.dp, input_.x_pixel, g.p_row, 0, x.shape.channels, g.gates * g.units, plan.gradient(weights),
        plan.gradient(bias)};
    by_state_ = {g.h,
                 g.dq,
                 g.size_row,
                 g.p_row,
                 0,
                 g.size,
                 g.gates * g.units,
                 plan.gradient(state_weights),
                 inner_.bytes ? at(inner_) : nullptr};
    by_out_ = {g.out, g.dh, g.state_row, g.size_row, 0, g.units, g.size, plan.gradient(projection), nullptr};
  }
  void forward(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    product(k, input_, samples);
    through_time(k.recurrent_channels, samples);
  }
  // δ of every step's gates first: all else is computed from it.
  void gradients(Plan<T>& plan, int samples) override {
    const auto& k = plan.kernels();
    const int rows = args.gates * args.units;
    turn(plan, state_weights, args.size, rows, turned_state_);
    if (projection >= 0) turn(plan, projection, args.units, args.size, turned_projection_);
    through_time(k.recurrent_channels_backward, samples);
    for (RowsGradientArgs<T>* g : {&by_input_, &by_state_, &by_out_}) {
      if (g == &by_out_ && projection < 0) continue;
      g->rows = samples * args.steps;
      const size_t scratch = k.rows_gradient_scratch(*g);
      parallel(k.rows_gradient_units(*g), int64_t(g->rows) * g->inputs * g->outputs,
               [&](int begin, int end, int) { k.rows_gradient(*g, begin, end, thread_scratch<T>(scratch)); });
    }
    if (inner_.bytes && inner_bias >= 0)   // of ∂J/∂(U h + v) only the last gate has a bias of its own
      std::memcpy(plan.gradient(inner_bias), by_state_.bias_gradient + (args.gates - 1) * args.units,
                  sizeof(T) * size_t(args.units));
    if (peepholes >= 0) sum_peepholes(args.d_peepholes, samples, args.units, args.state_row, 1, plan.gradient(peepholes));
  }
  bool gradients_before_delta() const override { return true; }
  void delta(Plan<T>& plan, int samples) override {
    turn(plan, weights, plan.value(this->x).shape.channels, args.gates * args.units, turned_);
    product(plan.kernels(), of_input_, samples);
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  template <class Kernel>
  void through_time(Kernel kernel, int samples) {
    in_groups(samples, 12, work(samples), [&](int begin, int end) { kernel(args, begin, end); });
  }
  int64_t work(int samples) const { return int64_t(samples) * args.steps * args.p_row * args.units; }
  void product(const Kernels<T>& k, RowsArgs<T>& g, int samples) {
    g.samples = samples;
    parallel(k.rows_units(g), int64_t(samples) * args.steps * g.z.channels * g.channels,
             [&](int begin, int end, int) { k.rows_forward(g, begin, end); });
  }
  void turn(Plan<T>& plan, int parameter, int inputs, int outputs, const Region& to) {
    parallel((inputs + plan.lanes() - 1) / plan.lanes(), int64_t(inputs) * outputs, [&](int begin, int end, int) {
      plan.kernels().turn_panels(plan.theta(parameter), inputs, outputs, plan.arena().template at<T>(to), begin, end);
    });
  }
  Region p_, q_, h_, c_, s_, last_, arrived_, dp_, dq_, inner_, turned_, turned_state_;
  Region out_, dh_, d_out_, d_peepholes_, turned_projection_;
  RowsArgs<T> input_{}, of_input_{};
  RowsGradientArgs<T> by_input_{}, by_state_{}, by_out_{};
};

}   // namespace chainrule
