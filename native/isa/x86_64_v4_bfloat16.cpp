// The kernels of pairs alone, by the instruction that multiplies two pairs of bfloat16: the level's others stay as they are.
#define CHAINRULE_LEVEL x86_64_v4_bfloat16
#define CHAINRULE_NAME "x86-64-v4-bfloat16"
#define CHAINRULE_BYTES 64
#include "../kernels/api.hpp"

namespace chainrule {
namespace CHAINRULE_LEVEL {
namespace {

#include "../kernels/arithmetic/vector.inl"
#include "../kernels/arithmetic/math.inl"
#include "../kernels/arithmetic/bfloat16.inl"
#include "../kernels/arithmetic/tile.inl"
#include "../kernels/elementwise.inl"
#include "../kernels/layers/dense.inl"
#include "../kernels/layers/conv.inl"
#include "../kernels/pairs.inl"

}   // namespace

extern const PairKernels pair_kernels = pair_table();

}   // namespace CHAINRULE_LEVEL
}   // namespace chainrule
