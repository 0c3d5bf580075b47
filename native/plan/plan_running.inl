// Plan: a pass, a step, an epoch. Included by plan.cpp.

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
  const int64_t pixels = int64_t(value(output_).shape.height) * value(output_).shape.width;
  for (int s = 0; s < count * l; s++) {
    const bool present = s < samples;
    const int64_t row = present ? (order ? order[s] : s) : 0;
    if (batch.labels)
      for (int64_t p = 0; p < pixels; p++)
        labels_[(s / l * pixels + p) * l + s % l] = present ? T(batch.labels[row * pixels + p]) : T(0);
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
    losses_[s] = s < samples && weights_[s] != 0 ? values[s] * double(weights_[s]) : 0.0;
    correct_[s] = T(0);
  }
}

template <class T>
void Plan<T>::set_profiling(bool on) {
  profiling_ = on;
  seconds_.assign(3 * operations_.size() + 3, 0.0);
}

template <class T>
std::vector<int> Plan<T>::outputs() const {
  std::vector<int> found;
  for (const auto& o : operations_) found.push_back(o->z);
  return found;
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
  const PieceByPiece pieces(poll_between_);
  const FloatWatch watch;
  for (size_t i = 0; i < operations_.size(); i++) {
    timed(3 + 3 * i, [&] { operations_[i]->forward(*this, samples); });
    if (poll_between_) poll_between_();
  }
  if (watch.raised()) overflowed_ = true;
}

template <class T>
void Plan<T>::run_backward(int samples, bool input_delta) {
  const PieceByPiece pieces(poll_between_);
  for (size_t i = operations_.size(); i-- > 0;) {
    Operation<T>& o = *operations_[i];
    const bool needed = o.hands_down(*this) && (o.x != input_ || input_delta);
    timed(4 + 3 * i, [&] { o.gradients(*this, samples); });
    if (needed) timed(5 + 3 * i, [&] { o.delta(*this, samples); });
    if (poll_between_) poll_between_();
  }
}

template <class T>
void Plan<T>::forward(const Batch& batch, int samples) {
  pass.training = false;
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
  for (int s = 0; s < samples; s++) loss += losses_[s], correct += double(correct_[s]);
  progress.loss += loss * samples;
  progress.correct += correct;
  progress.samples += samples;
}

template <class T>
double Plan<T>::penalty_value() const {
  if (lambda_ == 0 && lambda1_ == 0) return 0;
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes(), [&](int begin, int end, int) {
    for (int i = begin; i < end; i++)
      partial_[size_t(i)] = chunks_[size_t(i)].penalised ? kernels_.square_sum(theta_, nullptr, T(0), T(0), 1.0,
                                                                               chunks_[size_t(i)].begin, chunks_[size_t(i)].end)
                                                         : 0.0;
  });
  double sum = 0, absolute = 0;
  for (const double part : partial_) sum += part;
  if (lambda1_ != 0)
    for (const Chunk& c : chunks_)
      for (size_t i = c.begin; c.penalised && i < c.end; i++) absolute += std::abs(double(theta_[i]));
  return 0.5 * lambda_ * sum + lambda1_ * absolute;
}

// A norm from `squares(s)`, a sum of squares of numbers times s; s is 1 unless the sum then overflows, or all but vanishes.
template <class Squares>
double norm_from(Squares&& squares) {
  const double sum = squares(1.0);
  if (!(sum <= least_squares || sum > most_squares)) return std::sqrt(sum);
  const double scale = sum <= least_squares ? scale_up : scale_down;
  return std::sqrt(squares(scale)) / scale;
}

template <class T>
double Plan<T>::gradient_norm(bool with_penalty) const {
  return norm_from([&](double scale) {
    parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes(), [&](int begin, int end, int) {
      for (int i = begin; i < end; i++) {
        const Chunk& c = chunks_[size_t(i)];
        partial_[size_t(i)] = kernels_.square_sum(gradient_, theta_, with_penalty && c.penalised ? T(lambda_) : T(0),
                                                  with_penalty && c.penalised ? T(lambda1_) : T(0), scale, c.begin, c.end);
      }
    });
    double sum = 0;
    for (const double part : partial_) sum += part;
    return sum;
  });
}

template <class T>
void Plan<T>::add_penalty() {
  if (lambda_ == 0 && lambda1_ == 0) return;
  for (const Chunk& c : chunks_)
    if (c.penalised)
      for (size_t i = c.begin; i < c.end; i++)
        gradient_[i] += T(lambda_) * theta_[i] + T(lambda1_) * T((theta_[i] > 0) - (theta_[i] < 0));
}

template <class T>
Progress Plan<T>::loss(const Batch& batch, int samples, bool training, bool backward, bool input_delta, bool with_penalty) {
  pass.training = training || backward;
  timed(0, [&] {
    gather(batch, batch.inputs.order, samples);
    set_targets(batch, samples);
  });
  run_forward(samples);
  timed(1, [&] { evaluate_loss(samples, backward); });
  Progress progress;
  reduce_loss(samples, progress);
  if (backward) {
    if (clip_sample_ > 0 && !clip_samples(samples)) {
      progress.loss = std::numeric_limits<double>::quiet_NaN();   // the step is refused
      return progress;
    }
    run_backward(samples, input_delta);
    if (with_penalty) add_penalty();
  }
  if (with_penalty) progress.loss += penalty_value() * samples;
  return progress;
}

template <class T>
void Plan<T>::evaluate_loss(int samples, bool backward) {
  if (loss_kind_ == -2) {
    host.call(-1, backward ? HostCall::backward : HostCall::forward, samples);
    if (backward) multiply_by_derivative(*this, output_, loss_post_, samples);
  } else {
    LossArgs<T> g{};
    g.output = map(output_);
    g.activation = map(output_activation_);
    if (backward) g.delta = delta(output_);
    g.targets = dense_targets_ ? targets_ : nullptr;
    g.labels = dense_targets_ ? nullptr : labels_;
    g.weights = weights_, g.loss = losses_, g.correct = correct_;
    g.blocks = blocks(samples), g.post = loss_post_;
    if (program_loss_) {
      if (!dense_targets_) throw std::invalid_argument("a loss that is a program takes targets as numbers");
      return program_loss_->run(*this, g, samples);
    }
    g.scale = T(loss_options_.scale), g.delta_cut = T(loss_options_.delta_cut);
    g.target_scale = T(loss_options_.target_scale), g.target_shift = T(loss_options_.target_shift);
    g.kind = LossKind(loss_kind_);
    const int64_t work = int64_t(g.blocks) * value(output_).shape.features() * 30;   // exp is about 20 operations
    parallel(g.blocks, work, [&](int begin, int end, int) { kernels_.loss(g, begin, end); });
  }
}

// ŝ = s · this, Adam's correction of the second moment.
template <class T>
T Plan<T>::second_correction() const {
  return Rule(rule_) == Rule::rmsprop ? T(1) : T(1 / (1 - std::pow(beta2_, double(steps_taken))));
}

template <class T>
void Plan<T>::update(double rate) {
  steps_taken++;
  UpdateArgs<T> g{};
  g.clip[0] = g.clip[1] = T(1);
  if (clip_norm_ > 0) {
    const double norm = gradient_norm(true);
    if (norm > clip_norm_) {
      const double half = std::exp2(std::floor(std::log2(clip_norm_ / norm) / 2));
      g.clip[0] = T(half), g.clip[1] = T(clip_norm_ / norm / half);
    }
  }
  g.theta = theta_, g.gradient = gradient_, g.first = first_, g.second = second_;
  g.rule = Rule(rule_);
  g.rate = T(rate), g.momentum = T(momentum_), g.beta2 = T(beta2_), g.epsilon = T(epsilon_);
  g.rest1 = T(1 - momentum_), g.rest2 = T(1 - beta2_);
  g.correction1 = T(1 / (1 - std::pow(momentum_, double(steps_taken))));
  g.correction2 = second_correction();
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes() * 4, [&](int begin, int end, int) {
    for (int i = begin; i < end; i++) {
      const Chunk& c = chunks_[size_t(i)];
      UpdateArgs<T> own = g;
      own.penalty = c.penalised ? T(lambda_) : T(0), own.penalty1 = c.penalised ? T(lambda1_) : T(0);
      own.decoupled_decay = c.penalised ? T(decay_) : T(0);
      kernels_.update(own, c.begin, c.end);
    }
  });
  limit_norms();
}

template <class T>
void Plan<T>::limit_norms() {
  for (const MaxNorm& m : max_norms_)
    parallel(m.groups, m.groups * m.length * m.units / lanes() * 2, [&](int begin, int end, int) {
      kernels_.limit_norms(theta(m.parameter), m.length, m.units, m.limit, begin, end);
    });
}

template <class T>
Plan<T>::Asking::Asking(Plan& plan, std::function<void()> ask) : plan_(plan) {
  using Clock = std::chrono::steady_clock;
  plan.poll_between_ = [&plan, ask = std::move(ask), last = Clock::now()]() mutable {
    plan.interruptions_++;
    if (Clock::now() - last < std::chrono::milliseconds(50)) return;
    ask();
    last = Clock::now();
  };
}

template <class T>
Outcome Plan<T>::train(Batch batch, const int64_t* order, int64_t count, const double* rates, const Poll& poll,
                       const Look& look, Progress& progress) {
  const int64_t steps = (count + batch_size_ - 1) / batch_size_;
  progress = {};
  progress.steps = steps;
  bool stop = false;
  struct Epoch {   // what holds during an epoch only, however it ends
    explicit Epoch(Pass& own) : pass(own) {}
    ~Epoch() { serial_loops = before, pass.step = 0; }
    Pass& pass;
    const bool before = serial_loops;   // of the epoch whose poll or host layer trains this plan
  } epoch(pass);
  const Asking asking(*this, [&] { stop = poll(progress) || stop; });
  for (int64_t step = 0; step < steps; step++) {
    batch.inputs.order = order + step * batch_size_;
    const int samples = int(std::min<int64_t>(batch_size_, count - step * batch_size_));
    serial_loops = pace_.serial();
    pace_.begin();
    pass.step = uint64_t(steps_taken) + 1;
    const Progress of_batch = loss(batch, samples, true, true, false, false);
    if (!std::isfinite(of_batch.loss)) return Outcome::nonfinite;
    if (take_overflowed() && look) look(step);
    bool at_rest = false;
    timed(2, [&] {
      const FloatWatch watch;
      update(rates[step]);
      at_rest = look && watch.raised() && first_at_rest() >= 0;
      for (auto& o : operations_) o->renew(*this);
    });
    if (at_rest) return Outcome::at_rest;
    if (samples == batch_size_) pace_.end();
    progress.loss += of_batch.loss, progress.correct += of_batch.correct, progress.samples += samples;
    progress.step = step + 1;
    poll_between_();
    if (stop) return Outcome::stopped;
  }
  return Outcome::done;
}

// -- gradients of single samples ----------------------------------------------------------------------------------------------

// For an operation without a way of its own: δ of all samples but one set to zero, one sample after the other.
template <class T>
void Plan<T>::norms_one_by_one(Operation<T>& o, int samples) {
  const Map<T>& d = value(o.z).delta;
  const ptrdiff_t run = ptrdiff_t(d.width) * d.channels * lanes();
  const auto rows = [&](auto&& body) {
    for (int b = 0; b < blocks(samples); b++)
      for (int h = 0; h < d.height; h++)
        body(b, d.data + b * d.block + h * d.row, held_.data() + (ptrdiff_t(b) * d.height + h) * run);
  };
  held_.resize(size_t(blocks(samples)) * size_t(d.height) * size_t(run));
  rows([&](int, T* row, T* kept) { std::memcpy(kept, row, sizeof(T) * size_t(run)); });
  for (int s = 0; s < samples; s++) {
    rows([&](int b, T* row, const T* kept) {
      for (ptrdiff_t i = 0; i < run; i++) row[i] = b * lanes() + i % lanes() == s ? kept[i] : T(0);
    });
    o.gradients(*this, samples);
    if (o.hands_down(*this)) o.delta(*this, samples);
    for (int p = o.first_parameter; p < o.end_parameter; p++) {
      const Parameter& own = parameter(p);
      const double norm = norm_from([&](double scale) {
        return kernels_.square_sum(gradient_, nullptr, T(0), T(0), scale, own.offset, own.offset + own.padded);
      });
      norms_[size_t(s)] = std::hypot(norms_[size_t(s)], norm);
    }
  }
  rows([&](int, T* row, const T* kept) { std::memcpy(row, kept, sizeof(T) * size_t(run)); });
}

template <class T>
void Plan<T>::run_backward_with_norms(int samples, bool with_gradients) {
  std::fill(norms_.begin(), norms_.end(), 0.0);
  const PieceByPiece pieces(poll_between_);
  for (size_t i = operations_.size(); i-- > 0;) {
    Operation<T>& o = *operations_[i];
    timed(4 + 3 * i, [&] {
      const bool learned = o.first_parameter < o.end_parameter && value(o.z).with_delta;
      if (learned && o.norms(*this, samples, with_gradients, norms_.data())) return;
      if (learned) norms_one_by_one(o, samples);
      o.gradients(*this, samples);
    });
    if (o.hands_down(*this) && o.x != input_) timed(5 + 3 * i, [&] { o.delta(*this, samples); });
    if (poll_between_) poll_between_();
  }
}

// Scales the samples' δ so that no sample's own gradient is longer than the limit: the backward pass is linear in δ. The
// factor goes into the sample's weight; where T would hold that with few digits or as 0, half of its exponent goes into δ
// itself. Where T may lack digits all the same the norms are measured anew. False: some norm is out of range, or not held.
template <class T>
bool Plan<T>::clip_samples(int samples) {
  constexpr double epsilon = std::numeric_limits<T>::epsilon(), least = std::numeric_limits<T>::min() / (epsilon * epsilon);
  struct Clipped {
    int sample;
    T rest;   // of the factor, besides the weight
  };
  std::vector<Clipped> clipped;
  run_backward_with_norms(samples, false);
  for (int s = 0; s < samples; s++) {
    const double norm = norms_[size_t(s)] * samples, weight = double(weights_[s]);   // 1/m is in δ
    if (!std::isfinite(norm)) return scale_delta(s, std::numeric_limits<T>::quiet_NaN()), false;
    if (!(norm > clip_sample_)) continue;
    const double factor = clip_sample_ / norm;
    const bool split = std::abs(weight) * factor < least;
    const double half = split ? std::exp2(std::floor(std::log2(factor) / 2)) : factor;
    weights_[s] = T(weight * half);
    clipped.push_back({s, T(factor / half)});
  }
  evaluate_loss(samples, true);
  bool faint = false;
  for (const Clipped& c : clipped) faint = double(scale_delta(c.sample, c.rest)) < least || c.rest != T(1) || faint;
  if (!faint) return true;
  run_backward_with_norms(samples, false);
  for (const Clipped& c : clipped)
    if (!(std::abs(norms_[size_t(c.sample)] * samples / clip_sample_ - 1) < 128 * epsilon))
      return scale_delta(c.sample, std::numeric_limits<T>::quiet_NaN()), false;
  return true;
}

// Multiplies δ of the output by `factor`, for one sample; the largest |δ| that results.
template <class T>
T Plan<T>::scale_delta(int sample, T factor) {
  const Map<T>& d = value(output_).delta;
  const ptrdiff_t pixels = ptrdiff_t(d.width) * d.channels, l = lanes();
  T largest = 0;
  for (int h = 0; h < d.height; h++) {
    T* row = d.data + sample / l * d.block + h * d.row + sample % l;
    for (ptrdiff_t i = 0; i < pixels; i++) {
      row[i * l] *= factor;
      largest = std::max(largest, std::abs(row[i * l]));
    }
  }
  return largest;
}

template <class T>
Progress Plan<T>::norms(const Batch& batch, int samples, double* norms) {
  pass.training = true;
  timed(0, [&] {
    gather(batch, batch.inputs.order, samples);
    set_targets(batch, samples);
  });
  run_forward(samples);
  timed(1, [&] { evaluate_loss(samples, true); });
  Progress progress;
  reduce_loss(samples, progress);
  run_backward_with_norms(samples, true);
  std::copy_n(norms_.begin(), samples, norms);
  return progress;
}
