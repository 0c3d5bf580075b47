#include "cpu.hpp"

#include <stdexcept>

namespace chainrule {

#define CHAINRULE_DECLARE(level)               \
  namespace level {                            \
  extern const Kernels<float> kernels_float;   \
  extern const Kernels<double> kernels_double; \
  }
CHAINRULE_DECLARE(x86_64_v2)
CHAINRULE_DECLARE(x86_64_v3)
CHAINRULE_DECLARE(x86_64_v4)
CHAINRULE_DECLARE(arm64)
namespace x86_64_v4_bfloat16 {
extern const PairKernels pair_kernels;
}

namespace {
struct Level {
  const char* name;
  bool (*supported)();
  const Kernels<float>* single;
  const Kernels<double>* twice;
};

const Level levels[] = {
#ifdef CHAINRULE_HAS_x86_64_v2
    {"x86-64-v2", [] { return bool(__builtin_cpu_supports("sse4.2")); }, &x86_64_v2::kernels_float, &x86_64_v2::kernels_double},
#endif
#ifdef CHAINRULE_HAS_x86_64_v3
    {"x86-64-v3",
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"); },
     &x86_64_v3::kernels_float, &x86_64_v3::kernels_double},
#endif
#ifdef CHAINRULE_HAS_x86_64_v4
    {"x86-64-v4",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
     },
     &x86_64_v4::kernels_float, &x86_64_v4::kernels_double},
#endif
#ifdef CHAINRULE_HAS_arm64
    {"arm64", [] { return true; }, &arm64::kernels_float, &arm64::kernels_double},
#endif
};

const Level& find(const std::string& name) {
  const Level* best = nullptr;
  std::string choices;
  for (const Level& level : levels) {
    if (!level.supported()) continue;
    if (name == level.name) return level;
    best = &level;
    choices += (choices.empty() ? "" : ", ") + std::string(level.name);
  }
  if (!best) throw std::invalid_argument("this processor runs none of the ISA levels chainrule was built for");
  if (name.empty()) return *best;
  throw std::invalid_argument("ISA level '" + name + "' is not available here; choose one of " + choices);
}
}   // namespace

std::vector<std::string> built_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels) names.emplace_back(level.name);
  return names;
}
std::vector<std::string> supported_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels)
    if (level.supported()) names.emplace_back(level.name);
  return names;
}
template <>
const Kernels<float>& kernels<float>(const std::string& level) {
  return *find(level).single;
}
template <>
const Kernels<double>& kernels<double>(const std::string& level) {
  return *find(level).twice;
}
const PairKernels& pair_kernels(const std::string& level) {
  const Kernels<float>& single = *find(level).single;
#ifdef CHAINRULE_HAS_x86_64_v4
  if (&single == &x86_64_v4::kernels_float && __builtin_cpu_supports("avx512bf16")) return x86_64_v4_bfloat16::pair_kernels;
#endif
  return single.pairs;
}

}   // namespace chainrule
