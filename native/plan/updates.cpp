// Plan: the penalty, the norm of the gradient, the update of all parameters, and what holds after it.
#include <algorithm>
#include <cmath>

#include "checks.hpp"
#include "norm_from.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

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

template <class T>
double Plan<T>::gradient_norm(bool with_penalty) const {
  return norm_from([&](double scale) {
    parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes(), [&](int begin, int end, int) {
      for (int i = begin; i < end; i++) {
        const Chunk& c = chunks_[size_t(i)];
        partial_[size_t(i)] = 0;
        if (c.rate_factor == 0) continue;
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

// ŝ = s · this, Adam's correction of the second moment.
template <class T>
T Plan<T>::second_correction() const {
  return corrects_second(*rule_) ? T(1 / (1 - std::pow(beta2_, double(steps_taken)))) : T(1);
}

// Of NAdam (Dozat 2016): μ_t = β₁ (1 − ½ 0.96^{tψ}) of step t.
static double nadam_momentum(double beta1, double decay, int64_t t) {
  return beta1 * (1 - 0.5 * std::pow(0.96, double(t) * decay));
}

template <class T>
void Plan<T>::update(double rate, double decay) {
  steps_taken++, version_++;
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
  g.rule = *rule_;
  g.rate = T(rate), g.momentum = T(momentum_), g.beta2 = T(beta2_);
  g.epsilon = T(early_epsilon_ ? epsilon_ / std::sqrt(1 - std::pow(beta2_, double(steps_taken))) : double(epsilon_));
  g.rest1 = T(1 - momentum_), g.rest2 = T(1 - beta2_);
  g.correction1 = T(1 / (1 - std::pow(momentum_, double(steps_taken))));
  g.correction2 = second_correction();
  g.direction = gradient_, g.start = T(extra_);
  const double t = double(steps_taken), rest = 1 - std::pow(beta2_, t);
  if (is_plain(*rule_)) g.rest1 = T(steps_taken == 1 ? 1 : 1 - extra_);   // PyTorch's velocity starts as the gradient
  if (*rule_ == Rule::nadam) {
    const auto mu = [&](int64_t step) { return nadam_momentum(momentum_, extra_, step); };
    if (momenta_steps_ != steps_taken - 1) momenta_ = 1, momenta_steps_ = 0;
    while (momenta_steps_ < steps_taken) momenta_ *= mu(++momenta_steps_);
    const double next = mu(steps_taken + 1);
    g.correction1 = T(next / (1 - momenta_ * next)), g.of_gradient = T((1 - mu(steps_taken)) / (1 - momenta_));
  }
  if (*rule_ == Rule::radam) {
    const double longest = 2 / (1 - beta2_) - 1, length = longest - 2 * t * (1 - rest) / rest;
    const double share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length);
    g.correction2 = length > 5 ? T(std::sqrt(share * rest)) : T(0);
  }
  parallel(int(chunks_.size()), int64_t(parameter_size_) / lanes() * 4, [&](int begin, int end, int) {
    for (int i = begin; i < end; i++) {
      const Chunk& c = chunks_[size_t(i)];
      if (c.rate_factor == 0) continue;
      UpdateArgs<T> own = g;
      own.rate = T(rate * c.rate_factor);
      own.penalty = c.penalised ? T(lambda_) : T(0), own.penalty1 = c.penalised ? T(lambda1_) : T(0);
      own.decoupled_decay = T(decay * c.decay_factor);
      kernels_.update(own, c.begin, c.end);
    }
  });
  if (*rule_ == Rule::lamb) scale_by_norms(rate);
  limit_norms();
}

// LAMB: θ ← θ − η ‖θ‖/‖u‖ u for every parameter array; the factor is 1 where one of the norms is 0.
template <class T>
void Plan<T>::scale_by_norms(double rate) {
  for (size_t p = 0; p < parameters_.size(); p++) {
    const Parameter& own = parameters_[p];
    const size_t begin = own.offset, end = own.offset + own.padded;
    if (own.of >= 0 || own.shape.rate_factor == 0) continue;
    const auto norm = [&](const T* values) {
      return norm_from([&](double scale) { return kernels_.square_sum(values, nullptr, T(0), T(0), scale, begin, end); });
    };
    const double of_theta = norm(theta_), of_move = norm(gradient_);
    UpdateArgs<T> g{};
    g.clip[0] = g.clip[1] = T(1);
    g.theta = theta_, g.gradient = gradient_, g.rule = Rule::sgd;
    g.rate = T(rate * own.shape.rate_factor * (of_theta > 0 && of_move > 0 ? of_theta / of_move : 1.0));
    kernels_.update(g, begin, end);
  }
}

template <class T>
void Plan<T>::limit_norms() {
  for (const MaxNorm& m : max_norms_)
    parallel(m.groups, m.groups * m.length * m.units / lanes() * 2, [&](int begin, int end, int) {
      kernels_.limit_norms(theta(m.parameter), m.length, m.units, m.limit, begin, end);
    });
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
