// Plan: an epoch, step by step, and how often the caller is asked meanwhile.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

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
Outcome Plan<T>::train(Batch batch, const int64_t* order, int64_t count, const Strengths& strengths, const Poll& poll,
                       const Look& look, Progress& progress) {
  const int64_t steps = (count + batch_size_ - 1) / batch_size_;
  progress.step = 0, progress.steps = steps;
  bool stop = false;
  struct Epoch {   // what holds during an epoch only, however it ends
    explicit Epoch(Pass& own) : pass(own) {}
    ~Epoch() { serial_loops = before, pass.step = 0, pass.dropout = 1; }
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
    pass.dropout = strengths.dropouts ? strengths.dropouts[step] : 1;
    const Progress of_batch = loss(batch, samples, true, true, false, false);
    if (!std::isfinite(of_batch.loss)) return Outcome::nonfinite;
    if (take_overflowed() && look) look(step);
    bool at_rest = false;
    timed(2, [&] {
      const FloatWatch watch;
      update(strengths.rates[step], strengths.decays ? strengths.decays[step] : decay_);
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

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
