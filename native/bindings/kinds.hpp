// Everything of which there are several kinds, by name: Python mirrors no numbers.
#pragma once
#include <nanobind/nanobind.h>

#include "../plan/plan.hpp"

namespace chainrule {

inline void bind_kinds(nanobind::module_& m) {
  namespace nb = nanobind;
  nb::enum_<Act>(m, "Act")
      .value("identity", Act::identity)
      .value("relu", Act::relu)
      .value("leaky_relu", Act::leaky_relu)
      .value("elu", Act::elu)
      .value("sigmoid", Act::sigmoid)
      .value("tanh", Act::tanh)
      .value("softplus", Act::softplus)
      .value("gelu", Act::gelu)
      .value("silu", Act::silu)
      .value("hard_swish", Act::hard_swish);
  nb::enum_<InLanes>(m, "InLanes")
      .value("samples", InLanes::samples)
      .value("channels", InLanes::channels)
      .value("nothing", InLanes::nothing)
      .value("positions", InLanes::positions);
  nb::enum_<Cell>(m, "Cell")
      .value("rnn", Cell::rnn)
      .value("lstm", Cell::lstm)
      .value("gru", Cell::gru)
      .value("gru_before", Cell::gru_before)
      .value("peephole", Cell::peephole);
  nb::enum_<JoinKind>(m, "JoinKind")
      .value("sum", JoinKind::sum)
      .value("concat", JoinKind::concat)
      .value("product", JoinKind::product)
      .value("maximum", JoinKind::maximum)
      .value("minimum", JoinKind::minimum)
      .value("quotient", JoinKind::quotient)
      .value("power", JoinKind::power);
  nb::enum_<PoolKind>(m, "PoolKind")
      .value("max", PoolKind::max)
      .value("average", PoolKind::average)
      .value("l2", PoolKind::l2)
      .value("lp", PoolKind::lp);
  nb::enum_<ConvMethod>(m, "ConvMethod")
      .value("direct", ConvMethod::direct)
      .value("winograd", ConvMethod::winograd)
      .value("winograd_gradient", ConvMethod::winograd_gradient)
      .value("depthwise", ConvMethod::depthwise);
  nb::enum_<LossKind>(m, "LossKind")
      .value("squared_error", LossKind::squared_error)
      .value("sigmoid_cross_entropy", LossKind::sigmoid_cross_entropy)
      .value("softmax_cross_entropy", LossKind::softmax_cross_entropy)
      .value("absolute_error", LossKind::absolute_error)
      .value("huber", LossKind::huber)
      .value("poisson", LossKind::poisson)
      .value("poisson_log", LossKind::poisson_log)
      .value("hinge", LossKind::hinge)
      .value("squared_hinge", LossKind::squared_hinge)
      .value("categorical_hinge", LossKind::categorical_hinge)
      .value("squared_categorical_hinge", LossKind::squared_categorical_hinge);
  nb::enum_<Rule>(m, "Rule")
      .value("sgd", Rule::sgd)
      .value("nesterov", Rule::nesterov)
      .value("adam", Rule::adam)
      .value("adamw", Rule::adamw)
      .value("rmsprop", Rule::rmsprop)
      .value("adagrad", Rule::adagrad)
      .value("adadelta", Rule::adadelta)
      .value("nadam", Rule::nadam)
      .value("radam", Rule::radam)
      .value("lion", Rule::lion)
      .value("lamb", Rule::lamb);
  nb::enum_<Judged>(m, "Judged").value("none", Judged::none).value("classes", Judged::classes).value("signs", Judged::signs);
  nb::enum_<Outcome>(m, "Outcome")
      .value("done", Outcome::done)
      .value("stopped", Outcome::stopped)
      .value("nonfinite", Outcome::nonfinite)
      .value("at_rest", Outcome::at_rest);
  nb::enum_<HostCall>(m, "HostCall")
      .value("forward", HostCall::forward)
      .value("backward", HostCall::backward)
      .value("renew", HostCall::renew);
  nb::enum_<ProgramOp>(m, "ProgramOp")
      .value("copy", ProgramOp::copy)
      .value("add", ProgramOp::add)
      .value("subtract", ProgramOp::subtract)
      .value("multiply", ProgramOp::multiply)
      .value("divide", ProgramOp::divide)
      .value("negative", ProgramOp::negative)
      .value("sqrt", ProgramOp::sqrt)
      .value("exp", ProgramOp::exp)
      .value("expm1", ProgramOp::expm1)
      .value("log", ProgramOp::log)
      .value("log1p", ProgramOp::log1p)
      .value("xlogy", ProgramOp::xlogy)
      .value("tanh", ProgramOp::tanh)
      .value("cos", ProgramOp::cos)
      .value("sin", ProgramOp::sin)
      .value("erf", ProgramOp::erf)
      .value("absolute", ProgramOp::absolute)
      .value("floor", ProgramOp::floor)
      .value("maximum", ProgramOp::maximum)
      .value("minimum", ProgramOp::minimum)
      .value("greater", ProgramOp::greater)
      .value("where", ProgramOp::where)
      .value("power", ProgramOp::power)
      .value("sum_features", ProgramOp::sum_features)
      .value("max_features", ProgramOp::max_features)
      .value("largest_feature", ProgramOp::largest_feature)
      .value("accumulate", ProgramOp::accumulate);
  nb::enum_<SlotKind>(m, "SlotKind")
      .value("constant", SlotKind::constant)
      .value("map", SlotKind::map)
      .value("parameter", SlotKind::parameter)
      .value("full", SlotKind::full)
      .value("thin", SlotKind::thin)
      .value("accumulator", SlotKind::accumulator);
  m.attr("PROGRAM_SLOTS") = program_slots;
  m.attr("OVER_BATCH") = over_batch;
  m.attr("EACH_POSITION") = each_position;
  m.attr("LARGEST_BATCH") = largest_batch;
}

}   // namespace chainrule
