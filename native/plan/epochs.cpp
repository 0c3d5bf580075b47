// Plan: an epoch, step by step, and how often the caller is asked meanwhile.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "../machine/float_exceptions.hpp"
#include "checks.hpp"
#include "parallel.hpp"
#include "plan.hpp"

namespace chainrule {

template <class T>
Plan<T>::Asking::Asking(Plan& plan, std::function<void()> ask) : plan_(plan) {
  using Clock = std::chrono::steady_clock;
  plan.poll_between_ = [&plan, ask = std::move(ask), last = Clock::now()]() mutable {
    plan.interruptions_++;
    if (plan.handed_ > 0) plan.sharing_.advance();
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

// What nothing before this operation adds to any more, of the shards from `first` on, which are this process's last.
template <class T>
void Plan<T>::hand_over(int operation, int first) {
  for (; handed_ < int(parts_.size()) && parts_[size_t(handed_)].operation >= operation; handed_++) {
    const GradientPart& part = parts_[size_t(handed_)];
    for (int shard = first; shard < sharing_.end; shard++) {
      if (shard > sharing_.first && !beside_.empty())
        std::copy(beside_[size_t(shard - sharing_.first - 1)]->gradient_ + part.begin,
                  beside_[size_t(shard - sharing_.first - 1)]->gradient_ + part.end, gradient_ + part.begin);
      sharing_.computed(shard, handed_);
    }
    sharing_.complete(handed_);
  }
}

template <class T>
void Plan<T>::one_after_the_other(Batch batch, int samples) {
  const int64_t* const order = batch.inputs.order;
  for (int shard = sharing_.first; shard < sharing_.end; shard++) {
    const bool is_last = shard + 1 == sharing_.end;
    pass.first = first_of_shard(shard, samples), pass.whole = samples;
    batch.inputs.order = order + pass.first;
    const int count = first_of_shard(shard + 1, samples) - pass.first;
    ShardNumbers own;
    last_shard_ = is_last ? shard : -1;
    if (count > 0) own.progress = loss(batch, count, true, true, false, false);
    else std::fill_n(gradient_, parameter_size_, T(0));
    last_shard_ = -1;
    own.overflowed = take_overflowed();
    for (int part = 0; part < int(parts_.size()) && !is_last; part++) sharing_.computed(shard, part);
    if (is_last) hand_over(-1, shard);
    sharing_.counted(shard, own);
  }
}

// What one operation of all shards has to agree on before it goes on.
template <class T>
void Plan<T>::exchange(const std::vector<Plan<T>*>& plans, const std::vector<int>& counts, size_t operation, bool backward) {
  const int numbers = operations_[operation]->exchanged(), shards = sharing_.end - sharing_.first;
  for (int stage = 0; stage < operations_[operation]->stages(backward); stage++) {
    std::vector<double> own(size_t(shards) * size_t(numbers)), sums(static_cast<size_t>(numbers));
    const FloatWatch watch;
    for (size_t k = 0; k < plans.size(); k++)
      if (counts[k] > 0)
        plans[k]->operations_[operation]->share(*plans[k], counts[k], backward, stage, own.data() + k * size_t(numbers));
    if (!backward && watch.raised()) overflowed_ = true;
    sharing_.exchange(own, numbers, sums);
    for (size_t k = 0; k < plans.size(); k++)
      plans[k]->operations_[operation]->take(*plans[k], backward, stage, sums.data(), sharing_.first + int(k) == 0);
  }
}

// All shards operation by operation, as some of these take the whole batch together; a process without one takes part in that.
template <class T>
void Plan<T>::side_by_side(const Batch& batch, int samples) {
  std::vector<Plan<T>*> plans{this};
  plans.insert(plans.end(), beside_.begin(), beside_.end());
  std::vector<int> counts;
  for (size_t k = 0; k < plans.size(); k++) {
    Plan<T>& p = *plans[k];
    const int shard = sharing_.first + int(k), first = first_of_shard(shard, samples);
    counts.push_back(shard < sharing_.end ? first_of_shard(shard + 1, samples) - first : 0);
    p.pass = pass, p.pass.training = true, p.pass.first = first, p.pass.whole = samples;
    if (k > 0) std::copy_n(theta_, parameter_size_, p.theta_), p.version_++;
    if (counts[k] == 0) std::fill_n(p.gradient_, parameter_size_ + uses_size_, T(0));
    else p.gather(batch, batch.inputs.order + first, counts[k]);
    Batch own = batch;
    own.inputs.order += first;
    if (counts[k] > 0) p.set_targets(own, counts[k]);
    p.renew_uses();
  }
  const auto each = [&](auto&& body) {
    for (size_t k = 0; k < plans.size(); k++)
      if (counts[k] > 0) body(*plans[k], counts[k]);
    if (poll_between_) poll_between_();
  };
  for (size_t i = 0; i < operations_.size(); i++) {
    exchange(plans, counts, i, false);
    const FloatWatch watch;   // not over an exchange: NumPy clears what it finds
    each([&](Plan<T>& p, int count) { p.operations_[i]->forward(p, count); });
    if (watch.raised()) overflowed_ = true;
  }
  each([&](Plan<T>& p, int count) { p.evaluate_loss(count, true); });
  for (size_t i = operations_.size(); i-- > 0;) {
    const Operation<T>& o = *operations_[i];
    if (wants_gradients(o)) {
      if (value(o.z).with_delta) exchange(plans, counts, i, true);
      if (!o.stages(true)) each([&](Plan<T>& p, int count) { p.operations_[i]->gradients(p, count); });
    }
    if (o.hands_down(*this) && o.x != input_) each([&](Plan<T>& p, int count) { p.operations_[i]->delta(p, count); });
    hand_over(int(i), sharing_.first);
  }
  for (Plan<T>* p : plans) p->add_uses();   // also of an empty shard, which may keep a gradient of the whole batch
  hand_over(-1, sharing_.first);
  bool overflowed = false;
  for (Plan<T>* p : plans) overflowed = p->take_overflowed() || overflowed;
  for (int shard = sharing_.first; shard < sharing_.end; shard++) {
    const size_t k = size_t(shard - sharing_.first);
    ShardNumbers own;
    if (counts[k] > 0) plans[k]->reduce_loss(counts[k], own.progress);
    own.overflowed = overflowed;
    sharing_.counted(shard, own);
  }
}

// The shards that are this process's, and then the sums over all of them, the same in every process.
template <class T>
Progress Plan<T>::loss_of_shards(Batch batch, int samples, bool& stop) {
  handed_ = 0;
  const bool together = std::any_of(operations_.begin(), operations_.end(), [](const auto& o) { return o->stages(false) > 0; });
  together ? side_by_side(batch, samples) : one_after_the_other(batch, samples);
  pass.first = pass.whole = 0;
  hand_over(-1, sharing_.end);   // of no shards
  handed_ = 0;
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
    explicit Epoch(Plan& own) : plan(own) {}
    ~Epoch() {
      serial_loops = before, plan.pass.step = 0, plan.pass.dropout = 1, plan.pass.first = plan.pass.whole = 0;
      plan.handed_ = 0, plan.last_shard_ = -1;
    }
    Plan& plan;
    const bool before = serial_loops;   // of the epoch whose poll or host layer trains this plan
  } epoch(*this);
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
    const bool agreed = stop;   // by all who share the step; whoever is asked from here on says so in the next one
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
    progress.add(of_batch);
    progress.step = step + 1;
    poll_between_();
    if (sharing_.shards ? agreed : stop) return Outcome::stopped;
  }
  return Outcome::done;
}

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
