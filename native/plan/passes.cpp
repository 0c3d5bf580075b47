// Plan: a pass over one batch. Read from the top: samples into lanes, forward, loss, backward.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../operations/elementwise.hpp"
#include "../operations/program.hpp"
#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

// Rows as they are, where no lane is a sample.
template <class T>
void Plan<T>::copy_in(const Batch& batch, const int64_t* order, int samples) {
  const Value& v = value(input_);
  const int64_t features = batch.inputs.features, run = int64_t(v.shape.width) * v.shape.channels, to_pixel = pixel(v.shape);
  parallel(samples * v.map.height, int64_t(samples) * features / lanes(), [&](int begin, int end, int) {
    for (int unit = begin; unit < end; unit++) {
      const int s = unit / v.map.height, h = unit % v.map.height;
      const int64_t first = (order ? order[s] : s) * features + h * run;
      T* to = v.map.row(s, h);
      if (batch.input_kind == source_same) {
        copy_pixels(static_cast<const T*>(batch.inputs.source) + first, v.shape.channels, to, to_pixel, v.shape.channels,
                    v.shape.width);
        continue;
      }
      const uint8_t* from = static_cast<const uint8_t*>(batch.inputs.source) + first;
      for (int w = 0; w < v.shape.width; w++, from += v.shape.channels, to += to_pixel)
        for (int c = 0; c < v.shape.channels; c++) to[c] = T(from[c]) * T(batch.inputs.scale);
    }
  });
}

// A sample's positions into lanes.
template <class T>
void Plan<T>::gather_positions(const Batch& batch, const int64_t* order, int samples) {
  const Value& v = value(input_);
  const int64_t bytes = int64_t(batch.input_kind == source_same ? sizeof(T) : 1) * batch.inputs.features;
  const int vectors = v.map.width;
  parallel(samples * vectors, int64_t(samples) * batch.inputs.features / lanes() * 4, [&](int begin, int end, int) {
    for (int unit = begin; unit < end; unit++) {
      const int s = unit / vectors, k = unit % vectors;
      GatherArgs g = batch.inputs;
      g.source = static_cast<const char*>(g.source) + (order ? order[s] : s) * bytes;
      g.order = nullptr, g.repeat = true;
      g.samples = v.shape.height * v.shape.width, g.features = g.piece = v.shape.channels;
      kernels_.gather(g, one_sample(v.map, s), batch.input_kind, k, k + 1);
    }
  });
}

// Row by row of a band, which is a piece of a row of the data set; what lies beyond the image holds its last row. Rows that
// every band has, and that have no zeros beside them, are one piece.
template <class T>
void Plan<T>::gather_bands(const Batch& batch, const int64_t* order, int samples) {
  const ValueShape& shape = value(input_).shape;
  const Map<T>& m = value(input_).map;
  const int count = samples * shape.bands;
  GatherArgs g = batch.inputs;
  g.samples = count, g.features = g.piece = int64_t(m.width) * m.channels, g.repeat = true;
  const int of_last = shape.whole - (shape.bands - 1) * m.height;
  const int together = shape.left || shape.right ? 1 : std::max(of_last, 1), pieces = m.height - together + 1;
  const auto row_of = [&](int piece) { return piece == 0 ? 0 : together - 1 + piece; };
  for (int v = 0; v < count; v++)
    for (int piece = 0; piece < pieces; piece++) {
      const int s = v / shape.bands, row = std::min(v % shape.bands * m.height + row_of(piece), shape.whole - 1);
      bands_[size_t(piece) * size_t(count) + size_t(v)] = (order ? order[s] : s) * shape.whole + row;
    }
  parallel(blocks(count) * pieces, int64_t(blocks(count)) * m.height * g.features * 4, [&](int begin, int end, int) {
    for (int unit = begin; unit < end; unit++) {
      const int b = unit / pieces, piece = unit % pieces;
      GatherArgs row = g;
      row.order = bands_.data() + int64_t(piece) * count + int64_t(b) * lanes(),
      row.samples = std::min(lanes(), count - b * lanes());
      Map<T> to = m;
      to.data = m.row(b, row_of(piece)), to.height = 1;
      if (piece == 0) to.width *= together, row.piece *= together;
      kernels_.gather(row, to, batch.input_kind, 0, 1);
    }
  });
}

template <class T>
void Plan<T>::gather(const Batch& batch, const int64_t* order, int samples) {
  if (value(input_).shape.lanes == InLanes::positions) return gather_positions(batch, order, samples);
  if (value(input_).shape.lanes != InLanes::samples) return copy_in(batch, order, samples);
  if (value(input_).shape.bands > 1) return gather_bands(batch, order, samples);
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
    m.block_step = ptrdiff_t(g.features) * l, m.row_step = m.block_step;
    g.piece = g.features;
    kernels_.gather(g, m, source_same, 0, count);
  }
  const int64_t pixels = int64_t(value(output_).shape.height) * value(output_).shape.width;
  for (int b = 0; batch.labels && b < count; b++)
    for (int64_t p = 0; p < pixels; p++) {
      const int first = b * l, present = std::min(l, samples - first);
      T* const to = labels_ + (b * pixels + p) * l;
      for (int i = 0; i < present; i++) to[i] = T(batch.labels[(order ? order[first + i] : first + i) * pixels + p]);
      std::fill(to + present, to + l, T(0));
    }
  const T one = T(1.0 / in_mean(samples));
  for (int k = 0; k < int(loss_parts_.size()); k++) {
    T* const to = weights_ + at_part(k);
    const int column = batch.weight_columns > 1 ? k : 0;
    for (int s = 0; s < samples; s++)
      to[s] = batch.weights ? T(batch.weights[(order ? order[s] : s) * batch.weight_columns + column] / in_mean(samples)) : one;
    std::fill(to + samples, to + count * l, T(0));
  }
}

template <class T>
void Plan<T>::read_batch(int part, int samples, T* targets, double* weights) const {
  Map<T> m;
  m.data = targets_, m.channels = int(value(output_).shape.features());
  m.block_step = m.row_step = ptrdiff_t(m.channels) * lanes();
  kernels_.scatter(m, targets, samples, 0, blocks(samples));
  for (int s = 0; s < samples; s++) weights[s] = double(weights_[at_part(part) + s]);
}

// What a sample adds to J; a loss without weight adds nothing, whatever it is.
template <class T>
double Plan<T>::loss_of(int sample) const {
  double sum = 0;
  for (int k = 0; k < int(loss_parts_.size()); k++)
    if (const double weight = loss_parts_[size_t(k)].weight; weight > 0) sum += weight * losses_[at_part(k) + sample];
  return sum;
}

template <class T>
void Plan<T>::read_losses(double* values, int samples) const {
  for (int s = 0; s < samples; s++) values[s] = loss_of(s) * samples;
}

template <class T>
void Plan<T>::set_losses(int part, const double* values, int samples) {
  for (int s = 0; s < blocks(samples) * lanes(); s++) {
    const double weight = double(weights_[at_part(part) + s]);
    losses_[at_part(part) + s] = s < samples && weight != 0 ? values[s] * weight : 0.0;
    correct_[at_part(part) + s] = T(0);
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
void Plan<T>::run_forward(int samples) {
  const PieceByPiece pieces(poll_between_);
  const FloatWatch watch;
  renew_uses();
  for (size_t i = 0; i < operations_.size(); i++) {
    timed(3 + 3 * i, [&] { operations_[i]->forward(*this, operations_[i]->rows(*this, samples)); });
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
    const int rows = o.rows(*this, samples);
    if (wants_gradients(o)) timed(4 + 3 * i, [&] { o.gradients(*this, rows); });
    if (needed) timed(5 + 3 * i, [&] { o.delta(*this, rows); });
    if (last_shard_ >= 0) hand_over(int(i), last_shard_);
    if (poll_between_) poll_between_();
  }
  add_uses();
}

template <class T>
void Plan<T>::forward(const Batch& batch, int samples) {
  pass.training = false;
  gather(batch, batch.inputs.order, samples);
  run_forward(samples);
  if (output_activation_ < 0) return;
  for (const LossPart& part : loss_parts_) activate_part(part, samples);
}

template <class T>
void Plan<T>::reduce_loss(int samples, Progress& progress) const {
  double loss = 0;   // of several outputs; of one it is that output's
  for (int s = 0; of_outputs_ && s < samples; s++) loss += loss_of(s);
  progress.samples += samples;
  if (of_outputs_) progress.parts.resize(loss_parts_.size());
  for (size_t k = 0; k < loss_parts_.size(); k++) {
    Sums& sums = of_outputs_ ? progress.parts[k] : progress;
    double own = 0, correct = 0;
    for (int s = 0; s < samples; s++) {
      own += losses_[at_part(int(k)) + s];
      if (const T right = correct_[at_part(int(k)) + s]; right >= T(0)) correct += double(right), sums.judged += 1;
    }
    sums.correct += correct;
    sums.loss += own * in_mean(samples);
  }
  if (of_outputs_) progress.loss += loss * in_mean(samples);
}

// a of an output that belongs to the kind of its loss, or to its program; of another kernel's it is z. What the host
// computes it writes itself.
template <class T>
void Plan<T>::activate_part(const LossPart& part, int samples) {
  ElementwiseArgs<T> g;
  g.x = part_of(map(output_), part), g.z = part_of(map(output_activation_), part);
  if (part.by == LossBy::host) return;
  if (part.by == LossBy::program) return part.program->activate(*this, g.x, g.z, samples);
  g.blocks = blocks(samples), g.post.kind = Act::sigmoid;
  if (part.kind == LossKind::softmax_cross_entropy) return kernels_.softmax_forward(g, 0, g.blocks * g.x.height);
  if (part.kind == LossKind::sigmoid_cross_entropy) return kernels_.activation_forward(g, 0, g.blocks * g.x.height);
  const size_t bytes = sizeof(T) * size_t(part.positions) * size_t(part.features) * size_t(lanes());
  for (int b = 0; b < g.blocks; b++) std::memcpy(g.z.block(b), g.x.block(b), bytes);
}

// The losses of one output and its δ; the activation of an output is written with them.
template <class T>
void Plan<T>::evaluate_part(int k, int samples, bool backward) {
  const LossPart& part = loss_parts_[size_t(k)];
  if (part.by == LossBy::host) return host.call(-1 - k, backward ? HostCall::backward : HostCall::forward, samples);
  LossArgs<T> g{};
  g.output = part_of(map(output_), part);
  g.activation = part_of(map(output_activation_), part);
  if (backward) g.delta = part_of(delta(output_), part);
  g.targets = dense_targets_ ? targets_ + ptrdiff_t(part.first) * lanes() : nullptr;
  g.target_step = ptrdiff_t(value(output_).shape.features()) * lanes();
  g.labels = dense_targets_ ? nullptr : labels_;
  g.weights = weights_ + at_part(k), g.loss = losses_ + at_part(k), g.correct = correct_ + at_part(k);
  g.factor = T(part.weight);
  g.blocks = blocks(samples), g.post = loss_post_, g.kind = part.kind, g.judged = part.judged;
  if (!dense_targets_ && (of_outputs_ || part.by == LossBy::program))
    throw std::invalid_argument("a loss that is a program, or of several outputs, takes targets as numbers");
  if (part.by == LossBy::program) return part.program->run(*this, g, samples);
  g.positive = part.positive.empty() ? nullptr : part.positive.data(), g.negative = part.negative.data();
  g.scale = T(part.options.scale), g.delta_cut = T(part.options.delta_cut);
  g.target_scale = T(part.options.target_scale), g.target_shift = T(part.options.target_shift);
  const int64_t numbers = int64_t(g.output.height) * g.output.width * g.output.channels;
  const int64_t work = int64_t(g.blocks) * numbers * 30;   // exp is about 20 operations
  parallel(g.blocks, work, [&](int begin, int end, int) { kernels_.loss(g, begin, end); });
  if (of_outputs_ && output_activation_ >= 0 && !is_pair(part)) activate_part(part, samples);
}

template <class T>
void Plan<T>::evaluate_loss(int samples, bool backward) {
  for (int k = 0; k < int(loss_parts_.size()); k++) evaluate_part(k, samples, backward);
  if (backward && loss_parts_[0].by == LossBy::host) multiply_by_derivative(*this, output_, loss_post_, samples);
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

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
