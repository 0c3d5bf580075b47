// Formulas compiled to programs: a layer's forward and backward, and a loss.
#pragma once
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "elementwise.hpp"

namespace chainrule {

// What a program may refer to: values (x, z, and the δ that there are) by their channels, parameters by their sizes, sums by
// theirs, on so many positions and channels.
struct ProgramScope {
  std::vector<int> values;
  std::vector<int64_t> parameters, sums;
  int64_t positions, channels;
};

// Numbers a program refers to; checked here, because the kernels trust them.
inline void check_program(const ProgramCode& code, const ProgramScope& scope) {
  const auto refuse = [](bool wrong) {
    if (wrong) throw std::invalid_argument("the program refers to what does not exist");
  };
  refuse(code.slots.size() > size_t(program_slots) || code.full < 0 || code.thin < 0);
  refuse(code.full > program_slots || code.thin > program_slots);
  // The last number that a slot reaches in an array of `size`; a parameter that is alike everywhere is read from its start.
  const auto reaches_out = [&](const ProgramSlot& s, int64_t size) {
    const double step = s.kind == SlotKind::parameter && s.pixel == 0 && s.channel ? 1 : s.channel;
    return double(scope.positions - 1) * s.pixel + double(scope.channels - 1) * step >= double(size);
  };
  for (const ProgramSlot& s : code.slots) {
    const size_t limit[] = {code.constants.size(), scope.values.size(), scope.parameters.size(),
                            size_t(code.full),     size_t(code.thin),   scope.sums.size()};
    refuse(int(s.kind) < 0 || int(s.kind) > int(SlotKind::accumulator) || s.index < 0 || s.pixel < 0 || s.channel < 0);
    refuse(size_t(s.index) >= limit[int(s.kind)]);
    if (s.kind == SlotKind::map) {
      const int64_t channels = scope.values[size_t(s.index)];
      refuse(s.channel > 0 && s.channel + scope.channels > channels);
      refuse(channels != 1 && channels < scope.channels);
    }
    if (s.kind == SlotKind::parameter) refuse(reaches_out(s, scope.parameters[size_t(s.index)]));
    if (s.kind == SlotKind::accumulator) refuse(reaches_out(s, scope.sums[size_t(s.index)]));
  }
  for (const ProgramStep& e : code.steps) {
    refuse(e.op < 0 || e.op >= int(ProgramOp::count));
    for (const int slot : {e.out, e.a, e.b, e.c}) refuse(slot < 0 || size_t(slot) >= code.slots.size());
  }
}

// A program and the arrays its arguments point to.
template <class T>
class Program {
 public:
  explicit Program(ProgramCode code) : code_(std::move(code)) {}
  bool empty() const { return code_.steps.empty(); }

  ProgramArgs<T> bind(const Map<T>* values, int count, const T* const* parameters, const int64_t* sums) {
    constants_.assign(code_.constants.begin(), code_.constants.end());
    ProgramArgs<T> g{};
    g.steps = code_.steps.data(), g.step_count = int(code_.steps.size());
    g.slots = code_.slots.data(), g.slot_count = int(code_.slots.size());
    g.constants = constants_.data(), g.parameters = parameters, g.sums = sums;
    g.full_count = code_.full, g.thin_count = code_.thin, g.whole = code_.whole;
    for (int i = 0; i < count; i++) {
      g.values[i] = values[i];
      g.height = values[i].height, g.width = values[i].width, g.channels = std::max(g.channels, values[i].channels);
    }
    if (code_.halved) g.channels /= 2;
    return g;
  }

 private:
  ProgramCode code_;
  std::vector<T> constants_;
};

template <class T>
int64_t work_of(const ProgramArgs<T>& g, int blocks) {
  return int64_t(g.step_count) * 4 * blocks * g.height * g.width * g.channels;
}

// A layer whose formulas are programs. `backward` writes the δ of the input and accumulates the gradients of the parameters;
// `infer` is what a prediction computes, empty where that is `forward`.
template <class T>
class ProgramOperation final : public Operation<T> {
 public:
  ProgramOperation(ProgramCode forward, ProgramCode backward, std::vector<int> parameters, ProgramCode infer)
      : forward_(std::move(forward)),
        backward_(std::move(backward)),
        infer_(std::move(infer)),
        parameters_(std::move(parameters)) {}

  bool accepts(const Plan<T>& plan, int, InLanes lanes) const override {
    if (lanes == InLanes::positions) return parameters_.empty() && plan.value(this->z).shape.lanes == lanes;
    return lanes == InLanes::samples;
  }
  bool takes_bands(const Plan<T>&) const override { return parameters_.empty(); }
  void check(const Plan<T>& plan) const override {
    const auto &x = plan.value(this->x), &z = plan.value(this->z);
    require(x.shape.lanes == z.shape.lanes, "a program leaves in the lanes what was there");
    require(backward_.empty() || z.with_delta, "a program that goes back needs a δ of its output");
    double size = 0;
    for (const int p : parameters_) size += double(plan.parameter(p).shape.size);
    require(size < largest_size && x.shape.width == z.shape.width, "the parameters of a program are too large");
  }
  void reserve(Plan<T>& plan) override {
    int64_t size = 0;
    for (const int p : parameters_) sums_.push_back(size), size += plan.parameter(p).shape.size;
    sum_vectors_ = size;
    if (backward_.empty() || parameters_.empty()) return;
    // Parts of the batch that are summed apart: a number that depends on shapes alone, so that sums do not depend on threads.
    // Parameters as large as the value itself get few, for memory.
    const auto& x = plan.value(this->x).shape;
    large_ = size > int64_t(x.channels) * 4;
    parts_ = std::min(large_ ? 4 : 16, plan.max_blocks() * x.height);
    partial_ = plan.arena().reserve(size_t(size) * size_t(parts_) * size_t(plan.lanes()), sizeof(T));
  }

  void bind(Plan<T>& plan) override {
    this->bind_posts(plan);
    for (const int p : parameters_) theta_.push_back(plan.theta(p));
    const Map<T> values[] = {plan.map(this->x), plan.map(this->z), plan.delta(this->z), plan.delta(this->x)};
    forward_args_ = forward_.bind(values, 2, theta_.data(), sums_.data());
    infer_args_ = infer_.bind(values, 2, theta_.data(), sums_.data());
    backward_args_ = backward_.bind(values, 2, theta_.data(), sums_.data());
    backward_args_.values[2] = values[2], backward_args_.values[3] = values[3];
    // A parameter as large as the value has one term a block, and not in double a second time.
    if (sizeof(T) < sizeof(double) && partial_.bytes && !large_) backward_args_.long_sums = sum_vectors_;
  }

  void forward(Plan<T>& plan, int samples) override {
    run(plan, plan.pass.training || infer_.empty() ? forward_args_ : infer_args_, plan.blocks(this->z, samples));
  }

  // With parameters, one pass computes their gradients and the δ.
  void gradients(Plan<T>& plan, int samples) override {
    if (!partial_.bytes) return;
    const auto g = of(backward_args_, samples);
    const auto& k = plan.kernels();
    const int units = plan.blocks(samples) * g.height;
    const ptrdiff_t step = ptrdiff_t(sum_vectors_) * plan.lanes();
    T* const partial = plan.arena().template at<T>(partial_);
    const size_t scratch = k.program_scratch(g);
    parallel(parts_, work_of(g, plan.blocks(samples)), [&](int begin, int end, int) {
      for (int part = begin; part < end; part++) {
        std::memset(partial + part * step, 0, sizeof(T) * size_t(step));
        const auto first = [&](int i) { return int(int64_t(units) * i / parts_); };
        k.program(g, first(part), first(part + 1), thread_scratch<T>(scratch), partial + part * step);
      }
    });
    for (size_t i = 0; i < parameters_.size(); i++) {
      const int size = int(plan.parameter(parameters_[i]).shape.size);
      T* const to = plan.gradient(parameters_[i]);
      parallel(size, int64_t(size) * parts_, [&](int begin, int end, int) {
        k.program_finish(partial + sums_[i] * plan.lanes(), step, parts_, to, begin, end);
      });
    }
  }

  bool gradients_before_delta() const override { return true; }
  void delta(Plan<T>& plan, int samples) override {
    // The lanes behind a sample's last step hold it again, and there is no δ in them: nothing is to be cleared.
    const bool steps = plan.value(this->z).shape.lanes == InLanes::positions;
    if (!partial_.bytes && !backward_.empty())
      run(plan, of(backward_args_, steps ? 0 : samples), plan.blocks(this->z, samples));
    multiply_by_derivative(plan, this->x, this->input_post, samples);
  }

 private:
  static ProgramArgs<T> of(ProgramArgs<T> g, int samples) {
    g.samples = samples;
    return g;
  }

  static void run(Plan<T>& plan, const ProgramArgs<T>& g, int blocks) {
    const auto& k = plan.kernels();
    const size_t scratch = k.program_scratch(g);
    parallel(blocks * g.height, work_of(g, blocks),
             [&](int begin, int end, int) { k.program(g, begin, end, thread_scratch<T>(scratch), nullptr); });
  }

  Program<T> forward_, backward_, infer_;
  ProgramArgs<T> forward_args_{}, backward_args_{}, infer_args_{};
  std::vector<int> parameters_;
  std::vector<const T*> theta_;
  std::vector<int64_t> sums_;
  int64_t sum_vectors_ = 0;
  int parts_ = 1;
  bool large_ = false;
  Region partial_;
};

// A loss whose formulas are programs: values are what it reads, y, where its activation is written, and the δ. `value` alone
// where no gradient is wanted; `activation` writes the third of the first, empty where there is none.
template <class T>
class ProgramLoss {
 public:
  ProgramLoss(ProgramCode value, ProgramCode both, ProgramCode activation)
      : value_(std::move(value)), both_(std::move(both)), activation_(std::move(activation)) {}

  void run(Plan<T>& plan, LossArgs<T>& l, int samples) {
    Map<T> values[] = {l.output, l.output, l.activation, l.delta};
    values[1].data = const_cast<T*>(l.targets);
    values[1].row_step = ptrdiff_t(l.output.width) * l.output.channels * plan.lanes();
    values[1].block_step = l.target_step;
    const bool backward = l.delta.data != nullptr;
    const int64_t sum = 0;
    ProgramArgs<T> g = (backward ? both_ : value_).bind(values, backward ? 4 : 3, nullptr, &sum);
    g.height = l.output.height, g.width = l.output.width;   // also where there is no activation
    const auto& k = plan.kernels();
    const size_t scratch = k.program_scratch(g);
    parallel(l.blocks, work_of(g, plan.blocks(samples)),
             [&](int begin, int end, int) { k.program_loss(g, l, begin, end, thread_scratch<T>(scratch)); });
  }

  void activate(Plan<T>& plan, const Map<T>& z, const Map<T>& a, int samples) {
    if (activation_.empty()) return;
    const Map<T> values[] = {z, z, a};
    ProgramArgs<T> g = activation_.bind(values, 3, nullptr, nullptr);
    g.samples = samples;
    const auto& k = plan.kernels();
    const size_t scratch = k.program_scratch(g);
    parallel(plan.blocks(samples) * g.height, work_of(g, plan.blocks(samples)),
             [&](int begin, int end, int) { k.program(g, begin, end, thread_scratch<T>(scratch), nullptr); });
  }

 private:
  Program<T> value_, both_, activation_;
};

}   // namespace chainrule
