// What is computed outside the engine.
#pragma once
#include "elementwise.hpp"

namespace chainrule {

// A layer that has formulas but no kernel: computed outside, on rows.
template <class T>
class HostOperation final : public Operation<T> {
 public:
  int number = 0;
  void check(const Plan<T>& plan) const override {
    require(number >= 0 && plan.host.call, "an operation of the host needs a number of at least 0, and set_host");
  }
  void bind(Plan<T>& plan) override { this->bind_posts(plan); }
  void forward(Plan<T>& plan, int samples) override { plan.host.call(number, HostCall::forward, samples_ = samples); }
  void gradients(Plan<T>& plan, int samples) override { plan.host.call(number, HostCall::backward, samples); }   // δ as well
  bool gradients_before_delta() const override { return true; }
  void renew(Plan<T>& plan) override { plan.host.call(number, HostCall::renew, samples_); }
  void delta(Plan<T>& plan, int samples) override { multiply_by_derivative(plan, this->x, this->input_post, samples); }

 private:
  int samples_ = 0;
};

}   // namespace chainrule
