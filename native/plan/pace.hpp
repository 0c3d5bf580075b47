// Whether a small step's loops run on all threads or on the calling one. That depends on where the system has put the threads:
// on two cores that share no cache a step of 50 µs has been seen to take twice as long on both as on one. Results do not
// depend on it, so it is simply timed: a few steps each way, now and then again.
#pragma once
#include <chrono>

namespace chainrule {

class Pace {
 public:
  bool serial() const { return serial_; }

  // Call around every whole step.
  void begin() {
    begin_ = Clock::now();
    if (begin_ - end_ < pause) return;
    // A thread that was asleep may share the caller's core for some milliseconds: a trial then would tell of that only.
    warm_ = begin_ + warm_up;
    if (!decided_) forget();
  }
  void end() {
    end_ = Clock::now();
    if (end_ < warm_) return;
    const double seconds = std::chrono::duration<double>(end_ - begin_).count();
    if (decided_) {
      if (seconds < longest && end_ >= again_) decided_ = false, forget();
      return;
    }
    double& best = best_[serial_];
    if (step_ == 0) best = 1e9;   // the first step of a trial does not count: it finds the other thread's cache
    else if (seconds < best) best = seconds;
    spent_ += seconds;
    if (++step_ < trial_steps || spent_ < trial_seconds) return;
    step_ = 0, spent_ = 0;
    if (!serial_ && best_[0] <= longest) {
      serial_ = true;   // the other way
      return;
    }
    // As fast on one as on all means that the system has put them on one core for now; it moves them if they go on.
    serial_ = serial_ && best_[1] < 0.85 * best_[0];
    decided_ = true;
    again_ = end_ + std::chrono::seconds(2);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int trial_steps = 6;
  static constexpr double trial_seconds = 0.005;
  static constexpr double longest = 2e-4;   // longer steps gain from threads wherever these are
  static constexpr auto pause = std::chrono::milliseconds(1);
  static constexpr auto warm_up = std::chrono::milliseconds(20);

  void forget() { serial_ = false, step_ = 0, spent_ = 0; }

  bool serial_ = false, decided_ = false;
  int step_ = 0;
  double spent_ = 0;
  double best_[2] = {1e9, 1e9};
  Clock::time_point begin_{}, end_{}, warm_{}, again_{};
};

}   // namespace chainrule
