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

// Adds the batch's gradient to those before it; whether an update is due, which then takes the mean over all their samples.
template <class T>
bool Plan<T>::gather_gradient(int samples, bool last) {
  if (accumulation_ == 1) return true;
  if (pending_ == 0) std::fill_n(accumulated_, parameter_size_, T(0)), pending_samples_ = 0;
  for (size_t i = 0; i < parameter_size_; i++) accumulated_[i] += T(samples) * gradient_[i];
  pending_++, pending_samples_ += samples;
  if (pending_ < accumulation_ && !last) return false;
  for (size_t i = 0; i < parameter_size_; i++) gradient_[i] = accumulated_[i] / T(pending_samples_);
  pending_ = 0;
  return true;
}

// Shards are whole blocks: fewer samples would take as long.
template <class T>
int Plan<T>::first_of_shard(int shard, int samples) const {
  return int(std::min<int64_t>(samples, int64_t(blocks(samples)) * shard / sharing_.shards * lanes()));
}

// The shards that are this process's, one after the other; then the sums over all of them, the same in every process.
template <class T>
Progress Plan<T>::loss_of_shards(Batch batch, int samples, bool& stop) {
  const int64_t* const order = batch.inputs.order;
  const auto cut = [&](int shard) { return first_of_shard(shard, samples); };
  for (int shard = sharing_.first; shard < sharing_.end; shard++) {
    pass.first = cut(shard), pass.whole = samples;
    batch.inputs.order = order + pass.first;
    const int count = cut(shard + 1) - pass.first;
    ShardNumbers own;
    if (count > 0) own.progress = loss(batch, count, true, true, false, false);
    else std::fill_n(gradient_, parameter_size_, T(0));
    own.overflowed = take_overflowed();
    sharing_.computed(shard, own);
  }
  pass.first = pass.whole = 0;
  const ShardNumbers all = sharing_.sum(stop);
  stop = all.stop, overflowed_ = all.overflowed;
  return all.progress;
}

template <class T>
Outcome Plan<T>::train(Batch batch, const int64_t* order, int64_t count, const Strengths& strengths, const Poll& poll,
                       const Look& look, Progress& progress, bool last) {
  const int size = step_samples();
  const int64_t steps = (count + size - 1) / size;
  progress.step = 0, progress.steps = steps;
  bool stop = false;
  struct Epoch {   // what holds during an epoch only, however it ends
    explicit Epoch(Pass& own) : pass(own) {}
    ~Epoch() { serial_loops = before, pass.step = 0, pass.dropout = 1, pass.first = pass.whole = 0; }
    Pass& pass;
    const bool before = serial_loops;   // of the epoch whose poll or host layer trains this plan
  } epoch(pass);
  const Asking asking(*this, [&] { stop = poll(progress) || stop; });
  for (int64_t step = 0; step < steps; step++) {
    batch.inputs.order = order + step * size;
    const int samples = int(std::min<int64_t>(size, count - step * size));
    serial_loops = pace_.serial();
    pace_.begin();
    pass.step = uint64_t(steps_taken) + 1;
    pass.dropout = strengths.dropouts ? strengths.dropouts[step] : 1;
    const Progress of_batch =
        sharing_.shards ? loss_of_shards(batch, samples, stop) : loss(batch, samples, true, true, false, false);
    if (!std::isfinite(of_batch.loss)) return Outcome::nonfinite;
    if (take_overflowed() && look) look(step);
    bool at_rest = false;
    const bool due = gather_gradient(samples, last && step + 1 == steps);
    timed(2, [&] {
      const FloatWatch watch;
      if (due) update(strengths.rates[step], strengths.decays ? strengths.decays[step] : decay_);
      at_rest = look && watch.raised() && first_at_rest() >= 0;
      for (auto& o : operations_) o->renew(*this);
    });
    if (at_rest) return Outcome::at_rest;
    if (samples == size && !sharing_.shards) pace_.end();   // else it would time the others
    progress.loss += of_batch.loss, progress.correct += of_batch.correct, progress.samples += samples;
    progress.judged += of_batch.judged;
    progress.step = step + 1;
    poll_between_();
    if (stop) return Outcome::stopped;
  }
  return Outcome::done;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
