#include "plan.hpp"

#include <chrono>
#include <cmath>
#include <limits>

#include "cpu.hpp"
#include "operations.hpp"

namespace chainrule {
namespace {
// Scalars an update or a norm handles as one unit; a fixed number, because it fixes the order of the sums.
constexpr size_t chunk_scalars = 8192;
}   // namespace

template <class T>
Plan<T>::Plan(const std::string& level, int batch_size) : kernels_(chainrule::kernels<T>(level)), batch_size_(batch_size) {
  if (batch_size < 1 || batch_size > (1 << 24)) throw std::invalid_argument("batch_size must be between 1 and 16777216");
}
template <class T>
Plan<T>::~Plan() = default;

// -- building ---------------------------------------------------------------------------------------------------------------

template <class T>
int Plan<T>::add_value(const ValueShape& shape, bool with_delta, const ValueShape& halo) {
  const double count = double(shape.height + shape.top + shape.bottom) * double(shape.width + shape.left + shape.right) *
                       double(shape.channels) * double(max_blocks()) * lanes();
  if (shape.height < 1 || shape.width < 1 || shape.channels < 1)
    throw std::invalid_argument("a value needs at least one entry");
  if (count > 1e15 || shape.features() > (int64_t(1) << 30))
    throw std::length_error("a value of this network would need more memory than can be addressed");
  Value v;
  v.shape = shape;
  v.delta_shape = halo;
  v.with_delta = with_delta;
  values_.push_back(v);
  return int(values_.size()) - 1;
}

template <class T>
int Plan<T>::add_parameter(const ParameterShape& shape) {
  Parameter p;
  p.shape = shape;
  const size_t l = size_t(lanes());
  const size_t count = shape.layout == Layout::panels ? (size_t(shape.outputs) + l - 1) / l * l * size_t(shape.inputs)
                                                      : (size_t(shape.size) + l - 1) / l * l;
  // A cache line between parameters; every parameter is whole vectors of zeros beyond its end, and stays so.
  const size_t line = 64 / sizeof(T);
  p.offset = parameter_size_;
  p.padded = (count + line - 1) / line * line;
  parameter_size_ += p.padded;
  parameters_.push_back(p);
  return int(parameters_.size()) - 1;
}

template <class T>
void Plan<T>::set_post(int activation, double slope, int saved) {
  next_post_ = Post<T>{Act(activation), T(slope), {}};
  next_saved_ = saved;
}
template <class T>
void Plan<T>::set_input_post(int activation, double slope, int saved) {
  next_input_post_ = Post<T>{Act(activation), T(slope), {}};
  next_input_saved_ = saved;
}

namespace {
template <class T, class O>
void place(std::vector<std::unique_ptr<Operation<T>>>& operations, std::unique_ptr<O> operation, int x, int z, Post<T>& post,
           int& saved, Post<T>& input_post, int& input_saved) {
  operation->x = x, operation->z = z;
  operation->post = post, operation->saved = saved;
  operation->input_post = input_post, operation->input_saved = input_saved;
  post = {}, input_post = {};
  saved = input_saved = -1;
  operations.push_back(std::move(operation));
}
}   // namespace
#define CHAINRULE_PLACE(o) \
  place<T>(operations_, std::move(o), x, z, next_post_, next_saved_, next_input_post_, next_input_saved_)

template <class T>
void Plan<T>::add_dense(int x, int z, int weights, int bias) {
  auto o = std::make_unique<DenseOperation<T>>();
  o->weights = weights, o->bias = bias;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_convolution(int x, int z, int weights, int bias, int kernel_h, int kernel_w, int stride_h, int stride_w,
                              int pad_top, int pad_left, bool winograd, bool winograd_gradient) {
  auto o = std::make_unique<ConvolutionOperation<T>>();
  o->weights = weights, o->bias = bias, o->winograd = winograd;
  o->winograd_gradient = winograd_gradient;
  o->geometry.kernel_h = kernel_h, o->geometry.kernel_w = kernel_w;
  o->geometry.stride_h = stride_h, o->geometry.stride_w = stride_w;
  o->geometry.pad_top = pad_top, o->geometry.pad_left = pad_left;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_pool(int x, int z, int window_h, int window_w, int stride_h, int stride_w, bool average) {
  auto o = std::make_unique<PoolOperation<T>>();
  o->args.window_h = window_h, o->args.window_w = window_w;
  o->args.stride_h = stride_h, o->args.stride_w = stride_w;
  o->args.average = average;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_activation(int x, int z, int kind, double slope) {
  auto o = std::make_unique<ElementwiseOperation<T>>();
  o->kind = Act(kind), o->slope = slope;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_softmax(int x, int z) {
  auto o = std::make_unique<ElementwiseOperation<T>>();
  o->softmax = true;
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_flatten(int x, int z) {
  auto o = std::make_unique<FlattenOperation<T>>();
  CHAINRULE_PLACE(o);
}
template <class T>
void Plan<T>::add_host(int number, int x, int z) {
  auto o = std::make_unique<HostOperation<T>>();
  o->number = number;
  CHAINRULE_PLACE(o);
}
template <class T>
int Plan<T>::add_view(int of) {
  const int i = add_value(value(of).shape, value(of).with_delta, value(of).delta_shape);
  Value& v = value(i);
  v.shape.channels = int(v.shape.features());
  v.shape.height = v.shape.width = 1;
  v.delta_shape = v.shape;
  v.memory_of = v.delta_of = of;
  return i;
}
template <class T>
void Plan<T>::share_delta(int i, int with) {
  value(i).delta_of = with;
}
#undef CHAINRULE_PLACE

template <class T>
void Plan<T>::set_loss(int kind, int output, int activation, double scale) {
  loss_kind_ = kind, output_ = output, output_activation_ = activation, loss_scale_ = scale;
  loss_post_ = next_input_post_, loss_saved_ = next_input_saved_;
  next_input_post_ = {}, next_input_saved_ = -1;
}
template <class T>
void Plan<T>::set_host_loss(int output) {
  set_loss(-2, output, -1, 1);
}
template <class T>
void Plan<T>::set_input(int value) {
  input_ = value;
}
template <class T>
void Plan<T>::set_penalty(double lambda) {
  lambda_ = lambda;
}
template <class T>
void Plan<T>::set_optimizer(int rule, double momentum, double beta2, double epsilon, double decoupled_decay, double clip_norm) {
  rule_ = rule, momentum_ = momentum, beta2_ = beta2, epsilon_ = epsilon, decay_ = decoupled_decay, clip_norm_ = clip_norm;
}

template <class T>
void Plan<T>::finish() {
  const size_t l = size_t(lanes()), blocks = size_t(max_blocks());
  const auto scalars = [&](const ValueShape& s) {
    return blocks * size_t(s.height + s.top + s.bottom) * size_t(s.width + s.left + s.right) * size_t(s.channels) * l;
  };
  for (Value& v : values_) {
    if (v.memory_of < 0) v.region = arena_.reserve(scalars(v.shape), sizeof(T));
    if (v.with_delta && v.delta_of < 0) v.delta_region = arena_.reserve(scalars(v.delta_shape), sizeof(T));
  }
  for (auto& o : operations_) o->reserve(*this);
  const bool momentum = rule_ >= 0 && (Rule(rule_) == Rule::adam || Rule(rule_) == Rule::adamw || momentum_ != 0);
  const bool second = rule_ >= 0 && Rule(rule_) != Rule::sgd && Rule(rule_) != Rule::nesterov;
  theta_region_ = arena_.reserve(parameter_size_, sizeof(T));
  gradient_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (momentum) first_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (second) second_region_ = arena_.reserve(parameter_size_, sizeof(T));
  if (output_ >= 0) {
    target_region_ = arena_.reserve(scalars(value(output_).shape), sizeof(T));
    for (Region* r : {&label_region_, &weight_region_, &loss_region_, &correct_region_})
      *r = arena_.reserve(blocks * l, sizeof(T));
  }
  arena_.allocate();

  const auto map = [&](const ValueShape& s, const Region& r) {
    Map<T> m;
    m.height = s.height, m.width = s.width, m.channels = s.channels;
    const ptrdiff_t pixel = ptrdiff_t(s.channels) * ptrdiff_t(l);
    m.row = (s.left + s.width + s.right) * pixel;
    m.block = (s.top + s.height + s.bottom) * m.row;
    m.data = arena_.at<T>(r) + s.top * m.row + s.left * pixel;
    return m;
  };
  for (Value& v : values_) {
    v.map = map(v.shape, v.memory_of < 0 ? v.region : value(v.memory_of).region);
    const Value& owner = v.delta_of < 0 ? v : value(v.delta_of);
    if (v.with_delta) v.delta = map(v.memory_of < 0 ? owner.delta_shape : v.delta_shape, owner.delta_region);
  }
  theta_ = arena_.at<T>(theta_region_), gradient_ = arena_.at<T>(gradient_region_);
  first_ = momentum ? arena_.at<T>(first_region_) : nullptr;
  second_ = second ? arena_.at<T>(second_region_) : nullptr;
  if (output_ >= 0) {
    targets_ = arena_.at<T>(target_region_), labels_ = arena_.at<T>(label_region_), weights_ = arena_.at<T>(weight_region_);
    losses_ = arena_.at<T>(loss_region_), correct_ = arena_.at<T>(correct_region_);
    loss_post_.saved = this->map(loss_saved_);
  }
  for (auto& o : operations_) o->bind(*this);
  for (const Parameter& p : parameters_)
    for (size_t at = 0; at < p.padded; at += chunk_scalars)
      chunks_.push_back({p.offset + at, p.offset + std::min(p.padded, at + chunk_scalars), p.shape.penalised});
  partial_.resize(chunks_.size());
}

// -- parameters -------------------------------------------------------------------------------------------------------------

template <class T>
void Plan<T>::pack_parameter(int i, const T* canonical, T* packed) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(packed, canonical, sizeof(T) * size_t(p.shape.size));
    return;
  }
  const int64_t l = lanes(), inputs = p.shape.inputs;
  for (int64_t o = 0; o < p.shape.outputs; o++)
    for (int64_t k = 0; k < inputs; k++) packed[((o / l) * inputs + k) * l + o % l] = canonical[o * inputs + k];
}
template <class T>
void Plan<T>::copy_parameter(int i, const T* packed, T* canonical) const {
  const Parameter& p = parameter(i);
  if (p.shape.layout == Layout::plain) {
    std::memcpy(canonical, packed, sizeof(T) * size_t(p.shape.size));
    return;
  }
  const int64_t l = lanes(), inputs = p.shape.inputs;
  for (int64_t o = 0; o < p.shape.outputs; o++)
    for (int64_t k = 0; k < inputs; k++) canonical[o * inputs + k] = packed[((o / l) * inputs + k) * l + o % l];
}
template <class T>
void Plan<T>::set_parameter(int i, const T* values) {
  pack_parameter(i, values, theta(i));
}
template <class T>
void Plan<T>::get_parameter(int i, T* values) const {
  copy_parameter(i, theta(i), values);
}
template <class T>
void Plan<T>::get_gradient(int i, T* values) const {
  copy_parameter(i, gradient(i), values);
}
template <class T>
void Plan<T>::set_gradient(int i, const T* values) {
  pack_parameter(i, values, gradient(i));
}
template <class T>
bool Plan<T>::get_state(int i, int slot, T* values) const {
  const T* state = slot == 0 ? first_ : second_;
  if (state) copy_parameter(i, state + parameter(i).offset, values);
  return state != nullptr;
}
template <class T>
void Plan<T>::set_state(int i, int slot, const T* values) {
  T* state = slot == 0 ? first_ : second_;
  if (state) pack_parameter(i, values, state + parameter(i).offset);
}

// -- values -----------------------------------------------------------------------------------------------------------------

template <class T>
void Plan<T>::read_value(int i, bool delta, int samples, T* rows) const {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  kernels_.scatter(m, rows, samples, 0, blocks(samples) * m.height);
}
template <class T>
void Plan<T>::write_value(int i, bool delta, int samples, const T* rows) {
  const Map<T>& m = delta ? value(i).delta : value(i).map;
  GatherArgs g{};
  g.source = rows, g.features = value(i).shape.features(), g.samples = samples, g.repeat = !delta;
  g.piece = int64_t(m.width) * m.channels;
  kernels_.gather(g, m, source_same, 0, blocks(samples) * m.height);
}

template <class T>
int64_t Plan<T>::first_nonfinite(bool delta) const {
  const auto count = int64_t(values_.size());
  for (int64_t n = 0; n < count; n++) {
    const int64_t i = delta ? count - 1 - n : n;
    const Value& v = values_[size_t(i)];
    if (delta && !v.with_delta) continue;
    const Map<T>& m = delta ? v.delta : v.map;
    for (int b = 0; b < max_blocks(); b++)
      for (int h = 0; h < m.height; h++) {
        const T* row = m.data + b * m.block + h * m.row;
        for (ptrdiff_t k = 0; k < ptrdiff_t(m.width) * m.channels * lanes(); k++)
          if (!std::isfinite(row[k])) return i;
      }
  }
  return -1;
}
template <class T>
int64_t Plan<T>::first_nonfinite_parameter(bool of_gradient) const {
  const T* from = of_gradient ? gradient_ : theta_;
  for (size_t i = 0; i < parameters_.size(); i++)
    for (size_t k = 0; k < parameters_[i].padded; k++)
      if (!std::isfinite(from[parameters_[i].offset + k])) return int64_t(i);
  return -1;
}

// -- running ----------------------------------------------------------------------------------------------------------------

template <class T>
void Plan<T>::gather(const Batch& batch, const int64_t* order, int samples) {
  GatherArgs g = batch.inputs;
  g.order = order, g.samples = samples, g.repeat = true;
  const Map<T>& m = value(input_).map;
  // Long runs read best; only where there are few rows of blocks are they cut for the threads.
  const int64_t run = int64_t(m.width) * m.channels, rows = int64_t(blocks(samples)) * m.height;
  g.piece = rows >= 8 ? run : 256;
  parallel(int(rows * ((run + g.piece - 1) / g.piece)), int64_t(blocks(samples)) * g.features * 4,
           [&](int begin, int end, int) { kernels_.gather(g, m, batch.input_kind, begin, end); });
}

template <class T>
void Plan<T>::set_targets(const Batch& batch, int samples) {
  const int l = lanes(), count = blocks(samples);
  const int64_t* order = batch.inputs.order;
  dense_targets_ = batch.targets != nullptr;
  if (dense_targets_) {
    GatherArgs g{};
    g.source = batch.targets, g.order = order, g.samples = samples;
    const ValueShape& s = value(output_).shape;
    g.features = s.features();
    Map<T> m;
    m.data = targets_, m.width = 1, m.height = 1, m.channels = int(g.features);
    m.block = ptrdiff_t(g.features) * l, m.row = m.block;
    g.piece = g.features;
    kernels_.gather(g, m, source_same, 0, count);
  }
  for (int s = 0; s < count * l; s++) {
    const bool present = s < samples;
    const int64_t row = present ? (order ? order[s] : s) : 0;
    if (batch.labels) labels_[s] = present ? T(batch.labels[row]) : T(0);
    weights_[s] = present ? T((batch.weights ? batch.weights[row] : 1.0) / samples) : T(0);
  }
}

template <class T>
void Plan<T>::read_batch(int samples, T* targets, double* weights) const {
  Map<T> m;
  m.data = targets_, m.channels = int(value(output_).shape.features());
  m.block = m.row = ptrdiff_t(m.channels) * lanes();
  kernels_.scatter(m, targets, samples, 0, blocks(samples));
  for (int s = 0; s < samples; s++) weights[s] = double(weights_[s]);
}

template <class T>
void Plan<T>::set_losses(const double* values, int samples) {
  for (int s = 0; s < blocks(samples) * lanes(); s++) {
    losses_[s] = s < samples ? T(values[s]) * weights_[s] : T(0);
    correct_[s] = T(0);
  }
}

template <class T>
void Plan<T>::set_profiling(bool on) {
  profiling_ = on;
  seconds_.assign(3 * operations_.size() + 3, 0.0);
}
template <class T>
template <class Body>
void Plan<T>::timed(size_t place, Body&& body) {
  if (!profiling_) return body();
  const auto begin = std::chrono::steady_clock::now();
  body();
  seconds_[place] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <class T>
void Plan<T>::run_forward(int samples) {
  for (size_t i = 0; i < operations_.size(); i++) {
    timed(3 + 3 * i, [&] { operations_[i]->forward(*this, samples); });
    if (poll_between_) poll_between_();
  }
}

template <class T>
void Plan<T>::run_backward(int samples, bool input_delta) {
  for (size_t i = operations_.size(); i-- > 0;) {
    Operation<T>& o = *operations_[i];
    const bool needed = value(o.x).with_delta && (o.x != input_ || input_delta);
    timed(4 + 3 * i, [&] { o.gradients(*this, samples); });
    if (needed) timed(5 + 3 * i, [&] { o.delta(*this, samples); });
    if (poll_between_) poll_between_();
  }
}

template <class T>
void Plan<T>::forward(const Batch& batch, int samples) {
  gather(batch, batch.inputs.order, samples);
  run_forward(samples);
  if (output_activation_ < 0) return;
  ElementwiseArgs<T> g;   // the output activation of a pair is otherwise part of the loss
  g.x = map(output_), g.z = map(output_activation_), g.blocks = blocks(samples);
  g.post.kind = Act::sigmoid;
  const auto kernel =
      LossKind(loss_kind_) == LossKind::softmax_cross_entropy ? kernels_.softmax_forward : kernels_.activation_forward;
  kernel(g, 0, g.blocks * g.x.height);
}

template <class T>
void Plan<T>::reduce_loss(int samples, Progress& progress) const {
  double loss = 0, correct = 0;
  for (int s = 0; s < samples; s++) loss += double(losses_[s]), correct += double(correct_[s]);
  progress.loss += loss * samples;
  progress.correct += correct;
  progress.samples += samples;
}

template <class T>
double Plan<T>::penalty_value() const {
  if (lambda_ == 0) return 0;
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes(), [&](int begin, int end, int) {
    for (int i = begin; i < end; i++)
      partial_[size_t(i)] = chunks_[size_t(i)].penalised
                                ? kernels_.square_sum(theta_, nullptr, T(0), chunks_[size_t(i)].begin, chunks_[size_t(i)].end)
                                : 0.0;
  });
  double sum = 0;
  for (const double part : partial_) sum += part;
  return 0.5 * lambda_ * sum;
}

template <class T>
double Plan<T>::gradient_norm(bool with_penalty) const {
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes(), [&](int begin, int end, int) {
    for (int i = begin; i < end; i++) {
      const Chunk& c = chunks_[size_t(i)];
      partial_[size_t(i)] =
          kernels_.square_sum(gradient_, theta_, with_penalty && c.penalised ? T(lambda_) : T(0), c.begin, c.end);
    }
  });
  double sum = 0;
  for (const double part : partial_) sum += part;
  return std::sqrt(sum);
}

template <class T>
void Plan<T>::add_penalty() {
  if (lambda_ == 0) return;
  for (const Chunk& c : chunks_)
    if (c.penalised)
      for (size_t i = c.begin; i < c.end; i++) gradient_[i] += T(lambda_) * theta_[i];
}

template <class T>
Progress Plan<T>::loss(const Batch& batch, int samples, bool backward, bool input_delta, bool with_penalty) {
  timed(0, [&] {
    gather(batch, batch.inputs.order, samples);
    set_targets(batch, samples);
  });
  run_forward(samples);
  timed(1, [&] { evaluate_loss(samples, backward); });
  Progress progress;
  reduce_loss(samples, progress);
  if (backward) {
    run_backward(samples, input_delta);
    if (with_penalty) add_penalty();
  }
  if (with_penalty) progress.loss += penalty_value() * samples;
  return progress;
}

template <class T>
void Plan<T>::evaluate_loss(int samples, bool backward) {
  if (loss_kind_ == -2) {
    host.call(-1, backward, samples);
    if (backward) multiply_by_derivative(*this, output_, loss_post_, samples);
  } else {
    LossArgs<T> g{};
    g.output = map(output_);
    g.activation = map(output_activation_);
    if (backward) g.delta = delta(output_);
    g.targets = dense_targets_ ? targets_ : nullptr;
    g.labels = dense_targets_ ? nullptr : labels_;
    g.weights = weights_, g.loss = losses_, g.correct = correct_;
    g.scale = T(loss_scale_), g.kind = LossKind(loss_kind_), g.blocks = blocks(samples), g.post = loss_post_;
    const int64_t work = int64_t(g.blocks) * value(output_).shape.features() * 30;   // exp is about 20 operations
    parallel(g.blocks, work, [&](int begin, int end, int) { kernels_.loss(g, begin, end); });
  }
}

template <class T>
void Plan<T>::update(double rate) {
  steps_taken++;
  UpdateArgs<T> g{};
  double clip = 1;
  if (clip_norm_ > 0) {
    const double norm = gradient_norm(true);
    if (norm > clip_norm_) clip = clip_norm_ / norm;
    g.rate_scale = &clip;
  }
  g.theta = theta_, g.gradient = gradient_, g.first = first_, g.second = second_;
  g.rule = Rule(rule_);
  g.rate = T(rate), g.momentum = T(momentum_), g.beta2 = T(beta2_), g.epsilon = T(epsilon_);
  g.correction1 = T(1 / (1 - std::pow(momentum_, double(steps_taken))));
  g.correction2 = T(1 / (1 - std::pow(beta2_, double(steps_taken))));
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes() * 4, [&](int begin, int end, int) {
    for (int i = begin; i < end; i++) {
      const Chunk& c = chunks_[size_t(i)];
      UpdateArgs<T> own = g;
      own.penalty = c.penalised ? T(lambda_) : T(0);
      own.decoupled_decay = c.penalised ? T(decay_) : T(0);
      kernels_.update(own, c.begin, c.end);
    }
  });
}

template <class T>
Outcome Plan<T>::train(Batch batch, const int64_t* order, int64_t count, const double* rates, const Poll& poll,
                       Progress& progress) {
  using Clock = std::chrono::steady_clock;
  constexpr auto interval = std::chrono::milliseconds(50);
  const int64_t steps = (count + batch_size_ - 1) / batch_size_;
  progress = {};
  progress.steps = steps;
  bool stop = false;
  auto last = Clock::now();
  struct Epoch {   // what holds during an epoch only, however it ends
    Plan& plan;
    ~Epoch() {
      plan.poll_between_ = nullptr;
      serial_loops = false;
    }
  } epoch{*this};
  if (poll)
    poll_between_ = [&] {   // also between the operations of a long step
      const auto now = Clock::now();
      if (now - last < interval) return;
      stop = poll(progress) || stop;
      last = Clock::now();
    };
  for (int64_t step = 0; step < steps; step++) {
    batch.inputs.order = order + step * batch_size_;
    const int samples = int(std::min<int64_t>(batch_size_, count - step * batch_size_));
    serial_loops = pace_.serial();
    pace_.begin();
    const Progress of_batch = loss(batch, samples, true, false, false);
    if (!std::isfinite(of_batch.loss)) return Outcome::nonfinite;
    timed(2, [&] { update(rates[step]); });
    if (samples == batch_size_) pace_.end();
    progress.loss += of_batch.loss, progress.correct += of_batch.correct, progress.samples += samples;
    progress.step = step + 1;
    if (poll_between_) poll_between_();
    if (stop) return Outcome::stopped;
  }
  return Outcome::done;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
