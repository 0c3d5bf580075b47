// Programs from Python: lists of numbers, as engine/programs.py writes them.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <vector>

#include "../plan/plan.hpp"

namespace chainrule {

using StepNumbers = std::vector<std::array<int, 6>>;   // op, thin, out, a, b, c
using SlotNumbers = std::vector<std::array<int, 4>>;   // kind, index, pixel, channel

inline void bind_program(nanobind::module_& m) {
  using namespace nanobind::literals;
  nanobind::class_<ProgramCode>(m, "Program")
      .def(
          "__init__",
          [](ProgramCode* place, const StepNumbers& steps, const SlotNumbers& slots, const std::vector<double>& constants,
             int full, int thin, bool whole, bool halved) {
            ProgramCode& code = *new (place) ProgramCode{{}, {}, constants, full, thin, whole, halved};
            for (const auto& s : steps) code.steps.push_back({s[0], s[1], s[2], s[3], s[4], s[5]});
            for (const auto& s : slots) code.slots.push_back({SlotKind(s[0]), s[1], s[2], s[3]});
          },
          "steps"_a, "slots"_a, "constants"_a, "full"_a, "thin"_a, "whole"_a, "halved"_a = false);
}

}   // namespace chainrule
