// Plan: gradients of single samples: their norms, and clipping by them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "norm_from.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

// For an operation without a way of its own: δ of all samples but one set to zero, one sample after the other.
template <class T>
void Plan<T>::norms_one_by_one(Operation<T>& o, int samples) {
  const Map<T>& d = value(o.z).delta;
  const ptrdiff_t run = ptrdiff_t(d.width) * d.channels * lanes();
  const auto rows = [&](auto&& body) {
    for (int b = 0; b < blocks(samples); b++)
      for (int h = 0; h < d.height; h++) body(b, d.row(b, h), held_.data() + (ptrdiff_t(b) * d.height + h) * run);
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
      if (frozen(p)) continue;
      const Parameter& own = parameter(p);
      const double norm = norm_from([&](double scale) {
        return kernels_.square_sum(gradient_, nullptr, T(0), T(0), scale, own.gradient_offset,
                                   own.gradient_offset + own.padded);
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
    if (wants_gradients(o))
      timed(4 + 3 * i, [&] {
        int learned = 0, frozen_ones = 0;
        for (int p = o.first_parameter; p < o.end_parameter; p++) (frozen(p) ? frozen_ones : learned)++;
        const bool counts = learned > 0 && value(o.z).with_delta;
        if (counts && !frozen_ones && o.norms(*this, samples, with_gradients, norms_.data())) return;
        if (counts) norms_one_by_one(o, samples);
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
    const double norm = norms_[size_t(s)] * in_mean(samples);   // 1/m is in δ
    if (!std::isfinite(norm)) return scale_delta(s, std::numeric_limits<T>::quiet_NaN()), false;
    if (!(norm > clip_sample_)) continue;
    const double factor = clip_sample_ / norm;
    double smallest = std::numeric_limits<double>::infinity();   // of the weights that the sample has
    for (int k = 0; k < int(loss_parts_.size()); k++)
      if (const double weight = double(weights_[at_part(k) + s]); weight > 0) smallest = std::min(smallest, weight);
    const bool split = smallest * factor < least;
    const double half = split ? std::exp2(std::floor(std::log2(factor) / 2)) : factor;
    for (int k = 0; k < int(loss_parts_.size()); k++) weights_[at_part(k) + s] = T(double(weights_[at_part(k) + s]) * half);
    clipped.push_back({s, T(factor / half)});
  }
  evaluate_loss(samples, true);
  bool faint = false;
  for (const Clipped& c : clipped) faint = double(scale_delta(c.sample, c.rest)) < least || c.rest != T(1) || faint;
  if (!faint) return true;
  run_backward_with_norms(samples, false);
  for (const Clipped& c : clipped)
    if (!(std::abs(norms_[size_t(c.sample)] * in_mean(samples) / clip_sample_ - 1) < 128 * epsilon))
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
    T* row = d.row(sample / l, h) + sample % l;
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

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
