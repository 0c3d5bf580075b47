// ISA levels: which are built, which this processor can run, which is in use.
#pragma once
#include <string>
#include <vector>

#include "../kernels/api.hpp"

namespace chainrule {

std::vector<std::string> built_levels();       // lowest first
std::vector<std::string> supported_levels();   // of those, what this processor runs
// The kernels of a level; "" is the highest supported. Throws std::invalid_argument that names the choices.
template <class T>
const Kernels<T>& kernels(const std::string& level);
// Of the same level, by the instruction for bfloat16 where the processor has it.
const PairKernels& pair_kernels(const std::string& level);

}   // namespace chainrule
