// A plan as Python sees it: whatever a caller can get wrong is an error, never a crash (tests/engine/random_builds.py looks for
// one). Outside of that promise: two threads within one plan, and memory that the system grants but does not have. Part of
// module.cpp.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>

#include "../plan/plan.hpp"
#include "gil.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace chainrule;

namespace {

template <class T>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Output = nb::ndarray<T, nb::c_contig, nb::device::cpu>;   // always .noconvert(): a result written into a copy is lost
using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Halo = std::tuple<int, int, int, int>;              // top, bottom, left, right
using Two = std::tuple<int, int>;                         // rows, columns
using Depth = std::tuple<int, int, int, int, int, int>;   // kernel, stride, dilation, padding; planes of image and windows
using PoolDepth = std::tuple<int, int, int, int, int>;    // window, stride, padding; planes of image and windows

template <class T>
T* checked(const Output<T>& array, int64_t size, const char* what) {
  if (int64_t(array.size()) != size) throw nb::value_error((std::string(what) + " has the wrong number of elements").c_str());
  return array.data();
}

// The batch a call describes; checks that every array is as long as the kernels will read.
template <class T>
Batch make_batch(const Plan<T>& plan, int input, int output, const Any& x, double scale, const std::optional<Any>& targets,
                 const std::optional<Array<double>>& weights) {
  Batch batch;
  const int64_t rows = x.ndim() ? int64_t(x.shape(0)) : 0;
  batch.inputs.source = x.data();
  batch.inputs.features = plan.value(input).shape.numbers();
  batch.inputs.scale = scale;
  if (x.dtype() == nb::dtype<uint8_t>()) batch.input_kind = source_uint8;
  else if (x.dtype() != nb::dtype<T>()) throw nb::type_error("inputs must have the plan's dtype or be uint8");
  if (int64_t(x.size()) != rows * batch.inputs.features) throw nb::value_error("inputs have the wrong number of features");
  if (targets) {
    if (rows < 1) throw nb::value_error("at least one sample is needed");
    if (targets->dtype() == nb::dtype<int64_t>()) {
      const int64_t pixels = output < 0 ? 1 : int64_t(plan.value(output).shape.height) * plan.value(output).shape.width;
      if (int64_t(targets->size()) != rows * pixels) throw nb::value_error("labels and inputs differ in length");
      batch.labels = static_cast<const int64_t*>(targets->data());
      const int64_t classes = output < 0 ? 0 : plan.value(output).shape.channels;
      for (int64_t i = 0; i < rows * pixels; i++)
        if (batch.labels[i] < 0 || batch.labels[i] >= classes)
          throw nb::value_error(("class numbers must be from 0 to " + std::to_string(classes - 1) + ", received " +
                                 std::to_string(batch.labels[i]))
                                    .c_str());
    } else if (targets->dtype() == nb::dtype<T>()) {
      if (output < 0 || int64_t(targets->size()) != rows * plan.value(output).shape.features())
        throw nb::value_error("targets have the wrong number of elements");
      batch.targets = targets->data();
    } else {
      throw nb::type_error("targets must be int64 labels or have the plan's dtype");
    }
  }
  if (weights) {
    const int64_t columns = weights->ndim() == 2 ? int64_t(weights->shape(1)) : 1;
    if (columns != 1 && columns != plan.outputs_of_loss())
      throw nb::value_error("weights are one for every sample, or for every sample and output");
    if (int64_t(weights->size()) != rows * columns) throw nb::value_error("weights and inputs differ in length");
    batch.weights = weights->data(), batch.weight_columns = int(columns);
  }
  return batch;
}

// Rows [first, first + samples) of a batch given without an order.
template <class T>
Batch advance(const Plan<T>& plan, const Batch& batch, int output, int64_t first) {
  Batch b = batch;
  const size_t item = b.input_kind == source_uint8 ? 1 : sizeof(T);
  b.inputs.source = static_cast<const char*>(b.inputs.source) + size_t(first) * size_t(b.inputs.features) * item;
  if (b.targets)
    b.targets = static_cast<const char*>(b.targets) + size_t(first) * size_t(plan.value(output).shape.features()) * sizeof(T);
  if (b.labels) b.labels += first * plan.value(output).shape.height * plan.value(output).shape.width;
  if (b.weights) b.weights += first * b.weight_columns;
  return b;
}

// In sums side by side, which the compiler makes vectors of: x · 0 is NaN where x is no number.
template <class T>
bool all_finite(const T* values, int64_t count) {
  constexpr int64_t side = 16;
  T sums[side] = {};
  int64_t i = 0;
  for (; i + side <= count; i += side)
    for (int64_t k = 0; k < side; k++) sums[k] += values[i + k] * T(0);
  for (; i < count; i++) sums[0] += values[i] * T(0);
  T sum = 0;
  for (const T part : sums) sum += part;
  return sum == T(0);
}

// loss, correct, judged and samples; of several outputs then loss, correct and judged of each.
std::vector<double> sums_of(const Progress& p) {
  std::vector<double> sums{p.loss, p.correct, p.judged, p.samples};
  for (const Sums& part : p.parts) sums.insert(sums.end(), {part.loss, part.correct, part.judged});
  return sums;
}
void set_sums(Progress& p, const std::vector<double>& sums, int parts) {
  if (const size_t count = size_t(4 + 3 * parts); sums.size() != count)
    throw nb::value_error(("the sums of this plan are " + std::to_string(count) +
                           ", loss, correct, judged, samples and three " + "of every output of several, received " +
                           std::to_string(sums.size()))
                              .c_str());
  p.loss = sums[0], p.correct = sums[1], p.judged = sums[2], p.samples = sums[3];
  p.parts.clear();
  for (size_t i = 4; i < sums.size(); i += 3) p.parts.push_back({sums[i], sums[i + 1], sums[i + 2]});
}

void check_signals() {
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

template <class T>
class BoundPlan : public Plan<T> {
 public:
  using Plan<T>::Plan;
  int input = -1, output = -1;
  bool with_loss = false, with_optimizer = false;
  nb::object host_function, beside_;
  // Of the last call that was no epoch: the first samples of the batches in which a number may have gone beyond the range.
  std::vector<int64_t> overflows;

  void note(int64_t batch) {
    if (this->take_overflowed()) overflows.push_back(batch);
  }
  void forget() { overflows.clear(), this->take_overflowed(); }

  // What a caller can get wrong about the plan itself: an error, never a crash.
  void require_finished() const {
    if (!this->finished()) throw nb::value_error("the plan must be finished first");
  }
  void require_loss() const {
    require_finished();
    if (!with_loss) throw nb::value_error("the plan has no loss: it can only predict");
  }
  void require_gradients() const {
    if (!this->has_gradients()) throw nb::value_error("the plan was built to predict: it has no gradients");
  }
  int known_value(int i) const {
    if (i < 0 || i >= this->value_count()) throw nb::index_error("the plan has no such value");
    return i;
  }
  int readable_value(int i, bool delta) const {
    require_finished();
    if (delta && !this->value(known_value(i)).delta.data) throw nb::value_error("the plan keeps no δ of this value");
    return known_value(i);
  }
  int known_parameter(int i) const {
    require_finished();
    if (i < 0 || i >= this->parameter_count()) throw nb::index_error("the plan has no such parameter");
    return i;
  }
  int64_t parameter_size(int i) const { return this->parameter(known_parameter(i)).shape.size; }
  static int known_slot(int slot) {
    if (slot < 0 || slot > 1) throw nb::index_error("the slots of an optimizer's state are 0 and 1");
    return slot;
  }

  void require_input() const {
    require_finished();
    if (input < 0) throw nb::value_error("the plan has no input");
  }

  void set_program(int i, const ProgramCode& value, const ProgramCode& both, Judged judged) {
    this->set_program_loss(known_value(i), value, both, judged);
    output = i, with_loss = true;
  }
  void set_host(nb::object function) {
    if (this->finished()) throw nb::value_error("the plan is finished already: nothing can be added or changed");
    host_function = std::move(function);
    this->host.call = [this](int operation, HostCall what, int samples) {
      const WithGil gil;
      host_function(operation, what, samples);
    };
  }

  // computed(shard, part), complete(part) and advance(); counted(shard, sums, overflowed), and sum(stop), which returns what
  // that is told of all shards, and whether to stop.
  // exchange(own), of this process's shards, a row of each, returns the sums over all shards.
  void share(int shards, int first, int end, int batch_size, int64_t least_part, nb::object computed, nb::object complete,
             nb::object advance, nb::object counted, nb::object sum, nb::object exchange, nb::list beside) {
    Sharing sharing{shards, first, end, batch_size, least_part, {}, {}, {}, {}, {}, {}};
    sharing.computed = [computed](int shard, int part) {
      const WithGil gil;
      computed(shard, part);
    };
    sharing.complete = [complete](int part) {
      const WithGil gil;
      complete(part);
    };
    sharing.advance = [advance] {
      const WithGil gil;
      advance();
    };
    sharing.counted = [this, counted](int shard, const ShardNumbers& n) {
      const WithGil gil;
      Progress own = n.progress;
      own.parts.resize(size_t(this->outputs_of_loss()));   // of an empty shard, too
      counted(shard, sums_of(own), n.overflowed);
    };
    sharing.sum = [this, sum](bool stop) {
      const WithGil gil;
      ShardNumbers all;
      std::vector<double> sums;
      std::tie(sums, all.overflowed, all.stop) = nb::cast<std::tuple<std::vector<double>, bool, bool>>(sum(stop));
      set_sums(all.progress, sums, this->outputs_of_loss());
      return all;
    };
    sharing.exchange = [exchange, rows = size_t(end - first)](const std::vector<double>& own, int count,
                                                              std::vector<double>& sums) {
      const WithGil gil;
      const nb::ndarray<nb::numpy, const double> given(own.data(), {rows, size_t(count)}, nb::none());
      const auto taken = nb::cast<Array<double>>(exchange(nb::cast(given, nb::rv_policy::copy)));
      if (taken.size() != sums.size()) throw nb::value_error("sums over all shards have the wrong number of elements");
      std::copy_n(taken.data(), sums.size(), sums.begin());
    };
    std::vector<Plan<T>*> plans;
    for (nb::handle plan : beside) plans.push_back(nb::cast<BoundPlan*>(plan));
    this->set_sharing(std::move(sharing), std::move(plans));
    beside_ = beside;
  }

  // Ctrl-C ends a call that is not an epoch; to be made without the GIL.
  struct Interruptible : Plan<T>::Asking {
    explicit Interruptible(BoundPlan& plan)
        : Plan<T>::Asking(plan, [] {
            const WithGil gil;
            check_signals();
          }) {}
  };

  void predict(const Any& x, double scale, int value, const Output<T>& out) { run_predict(x, scale, value, out, false); }

  // The same where nobody has looked at x; whether all is in order: numbers finite within and without, none beyond the range.
  bool predict_at_once(const Any& x, double scale, int value, const Output<T>& out) {
    return run_predict(x, scale, value, out, true);
  }

  bool run_predict(const Any& x, double scale, int value, const Output<T>& out, bool looking) {
    require_input();
    readable_value(value, false);
    const Batch batch = make_batch(*this, input, -1, x, scale, std::nullopt, std::nullopt);
    const int64_t rows = int64_t(x.shape(0)), features = this->value(value).shape.numbers();
    T* to = checked(out, rows * features, "the output");
    forget();
    const WithoutGil release;
    const Interruptible asking(*this);
    const int64_t numbers = rows > 0 ? int64_t(x.size()) / rows : 0;
    for (int64_t first = 0; first < rows; first += this->batch_size()) {
      const int samples = int(std::min<int64_t>(this->batch_size(), rows - first));
      // A batch at a time, which the cache then holds for the pass.
      if (looking && batch.input_kind == source_same &&
          !all_finite(static_cast<const T*>(x.data()) + first * numbers, samples * numbers))
        return false;
      this->forward(advance(*this, batch, -1, first), samples);
      this->read_value(value, false, samples, to + first * features);
      note(first);
    }
    return overflows.empty() && (!looking || all_finite(to, rows * features));
  }

  // The sums over the samples, as of an epoch.
  std::vector<double> evaluate(const Any& x, double scale, const Any& targets, const std::optional<Array<double>>& weights,
                               bool training, const std::optional<Output<double>>& losses) {
    require_input();
    require_loss();
    const Batch batch = make_batch(*this, input, output, x, scale, targets, weights);
    const int64_t rows = int64_t(x.shape(0));
    double* const each = losses ? checked(*losses, rows, "the array of losses") : nullptr;
    forget();
    const WithoutGil release;
    const Interruptible asking(*this);
    Progress all;
    all.parts.resize(size_t(this->outputs_of_loss()));   // of no samples, too
    for (int64_t first = 0; first < rows; first += this->batch_size()) {
      const int samples = int(std::min<int64_t>(this->batch_size(), rows - first));
      const Progress p = this->loss(advance(*this, batch, output, first), samples, training, false, false, false);
      if (each) this->read_losses(each + first, samples);
      all.add(p);
      note(first);
    }
    return sums_of(all);
  }

  // One batch: J with the penalty; gradients, δ and activations stay in the arena to be read.
  double backpropagate(const Any& x, double scale, const Any& targets, const std::optional<Array<double>>& weights,
                       bool input_delta, bool with_penalty) {
    require_input();
    require_loss();
    const Batch batch = make_batch(*this, input, output, x, scale, targets, weights);
    const int64_t rows = int64_t(x.shape(0));
    if (rows > this->batch_size()) throw nb::value_error("more samples than the plan's batch size");
    forget();
    const WithoutGil release;
    const Interruptible asking(*this);
    const double loss = this->loss(batch, int(rows), true, true, input_delta, with_penalty).loss / double(rows);
    note(0);
    return loss;
  }

  // One batch: the norms of the samples' own gradients of J, ∂(w·J)/∂θ; the gradients of the batch stay in the arena.
  double norms(const Any& x, double scale, const Any& targets, const std::optional<Array<double>>& weights,
               const Output<double>& out) {
    require_input();
    require_loss();
    if (!this->per_sample()) throw nb::value_error("the plan was not built for gradients of single samples");
    const Batch batch = make_batch(*this, input, output, x, scale, targets, weights);
    const int64_t rows = int64_t(x.shape(0));
    if (rows < 1 || rows > this->batch_size()) throw nb::value_error("between one sample and the batch size are needed");
    double* found = checked(out, rows, "the norms");
    forget();
    const WithoutGil release;
    const Interruptible asking(*this);
    const double loss = Plan<T>::norms(batch, int(rows), found).loss / double(rows);
    for (int64_t i = 0; i < rows; i++) found[i] *= double(rows);
    note(0);
    return loss;
  }

  // How it ended, steps, and sums over the samples seen. last: no batch of the epoch comes after these, so that an update takes
  // what is gathered. before: these sums of the epoch's earlier steps, so that an epoch in parts adds in the order of a whole
  // one.
  std::tuple<Outcome, int64_t, std::vector<double>> train_epoch(
      const Any& x, double scale, const Any& targets, const std::optional<Array<double>>& weights, const Array<int64_t>& order,
      const Array<double>& rates, const nb::object& poll, const nb::object& look, bool last, const std::vector<double>& before,
      const std::optional<Array<double>>& decays, const std::optional<Array<double>>& dropouts) {
    require_input();
    require_loss();
    if (!with_optimizer) throw nb::value_error("the plan has no optimizer: it cannot train");
    const Batch batch = make_batch(*this, input, output, x, scale, targets, weights);
    const int64_t rows = int64_t(x.shape(0)), count = int64_t(order.size());
    if (count < 1) throw nb::value_error("order names no sample: at least one is needed");
    for (int64_t i = 0; i < count; i++)
      if (order.data()[i] < 0 || order.data()[i] >= rows) throw nb::index_error("order names a sample that does not exist");
    if (int64_t(rates.size()) != (count + this->step_samples() - 1) / this->step_samples())
      throw nb::value_error("one rate per step is needed");
    for (const auto* strengths : {&decays, &dropouts}) {
      if (!*strengths) continue;
      if ((*strengths)->size() != rates.size())
        throw nb::value_error("one decay and one factor of dropout per step are needed");
      for (size_t i = 0; i < rates.size(); i++)
        if (!((*strengths)->data()[i] >= 0 &&
              (strengths == &decays ? std::isfinite((*strengths)->data()[i]) : (*strengths)->data()[i] <= 1)))
          throw nb::value_error("a decay must be finite and at least 0, a factor of dropout from 0 to 1");
    }
    const Strengths strengths{rates.data(), decays ? decays->data() : nullptr, dropouts ? dropouts->data() : nullptr};
    const auto look_with_gil = [&](int64_t step) {
      const WithGil gil;
      look(step);
    };
    Progress progress;
    if (!before.empty()) set_sums(progress, before, this->outputs_of_loss());
    Outcome outcome;
    forget();
    {
      const WithoutGil release;
      outcome = this->train(
          batch, order.data(), count, strengths,
          [&](const Progress& p) {
            const WithGil gil;
            check_signals();
            if (poll.is_none()) return false;
            const double seen = p.samples > 0 ? p.samples : 1;
            return nb::cast<bool>(poll(p.step, p.steps, p.loss / seen, p.correct / std::max(p.judged, 1.0)));
          },
          look.is_none() ? typename Plan<T>::Look() : look_with_gil, progress, last);
    }
    return {outcome, progress.step, sums_of(progress)};
  }
};

}   // namespace
