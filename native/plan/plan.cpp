#include "plan.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <sstream>
#include <tuple>

#include "attention_operation.hpp"
#include "checks.hpp"
#include "cpu.hpp"
#include "masking_operation.hpp"
#include "embedding_operation.hpp"
#include "normalization_operations.hpp"
#include "operations.hpp"
#include "recurrent_operation.hpp"
#include "program_operation.hpp"
#include "structure_operations.hpp"
#include "window_operations.hpp"

namespace chainrule {
namespace {
// Scalars an update or a norm handles as one unit; a fixed number, because it fixes the order of the sums.
constexpr size_t chunk_scalars = 8192;
}   // namespace

template <class T>
Plan<T>::Plan(const std::string& level, int batch_size) : kernels_(chainrule::kernels<T>(level)), batch_size_(batch_size) {
  if (batch_size < 1 || batch_size > (1 << 24)) throw std::invalid_argument("batch_size must be between 1 and 16777216");
}
template <class T>
Plan<T>::~Plan() = default;

#include "plan_checking.inl"
#include "plan_building.inl"
#include "plan_memory.inl"
#include "plan_running.inl"

template class Plan<float>;
template class Plan<double>;

}   // namespace chainrule
