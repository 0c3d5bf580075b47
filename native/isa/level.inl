// One ISA level: the kernels, compiled for it inside a namespace of their own, and their table.
// The including file defines CHAINRULE_LEVEL (a namespace), CHAINRULE_NAME and CHAINRULE_BYTES (of a vector); the build, which
// compiles it once per scalar type, CHAINRULE_SCALAR and CHAINRULE_TABLE (the table's name).
#include "../kernels/api.hpp"

namespace chainrule {
namespace CHAINRULE_LEVEL {
namespace {

#include "../kernels/arithmetic/vector.inl"
#include "../kernels/arithmetic/math.inl"
#include "../kernels/arithmetic/bfloat16.inl"
#include "../kernels/arithmetic/tile.inl"
#include "../kernels/arithmetic/peak.inl"
#include "../kernels/elementwise.inl"
#include "../kernels/layers/dense.inl"
#include "../kernels/layers/conv.inl"
#include "../kernels/pairs.inl"
#include "../kernels/layers/depthwise.inl"
#include "../kernels/layers/winograd.inl"
#include "../kernels/layers/rows.inl"
#include "../kernels/layers/pool.inl"
#include "../kernels/layers/masking.inl"
#include "../kernels/layers/normalization.inl"
#include "../kernels/layers/dropout.inl"
#include "../kernels/layers/recurrent.inl"
#include "../kernels/loss.inl"
#include "../kernels/data.inl"
#include "../kernels/update.inl"
#include "../kernels/layers/embedding.inl"
#include "../kernels/layers/attention.inl"
#include "../kernels/program.inl"

template <class T>
constexpr Kernels<T> table() {
  Kernels<T> k{};
  k.lanes = lanes<T>;
  k.name = CHAINRULE_NAME;
  k.dense_forward = dense_forward<T>;
  k.dense_backward = dense_backward<T>;
  k.dense_gradient = dense_gradient<T>;
  k.dense_present = dense_present<T>;
  k.dense_groups = dense_groups<T>;
  k.dense_gather_rows = dense_gather_rows<T>;
  k.dense_spread = dense_spread<T>;
  k.dense_forward_units = dense_forward_units<T>;
  k.dense_backward_units = dense_backward_units<T>;
  k.dense_gradient_units = dense_gradient_units<T>;
  k.dense_scratch = dense_scratch<T>;
  k.dense_norms = dense_norms<T>;
  k.rows_units = rows_units<T>;
  k.rows_forward = rows_forward<T>;
  k.turn_panels = turn_panels<T>;
  k.rows_gradient_units = rows_gradient_units<T>;
  k.rows_gradient_scratch = rows_gradient_scratch<T>;
  k.rows_gradient = rows_gradient<T>;
  k.winograd_rows_units = winograd_rows_units<T>;
  k.winograd_rows_scratch = winograd_rows_scratch<T>;
  k.winograd_rows_pack = winograd_pack<T, lanes<T>>;
  k.winograd_rows = winograd_rows<T>;
  k.norm_channels = norm_channels<T>;
  k.conv_packed_size = conv_packed_size<T>;
  k.conv_pack_forward = conv_pack_forward<T>;
  k.conv_pack_backward = conv_pack_backward<T>;
  k.conv_forward = conv_forward<T>;
  k.conv_backward = conv_backward<T>;
  k.conv_gradient = conv_gradient<T>;
  k.conv_gradient_units = conv_gradient_units<T>;
  k.conv_by_filters = conv_by_filters<T>;
  k.conv_filters_size = conv_filters_size<T>;
  k.conv_filters_rows = conv_filters_rows<T>;
  k.conv_filters_blocks = conv_filters_blocks<T>;
  k.conv_filters_units = conv_filters_units<T>;
  k.conv_filters_transpose = conv_filters_transpose<T>;
  k.conv_filters_gradient = conv_filters_gradient<T>;
  k.conv_filters_finish_units = conv_filters_finish_units<T>;
  k.conv_filters_finish = conv_filters_finish<T>;
  k.conv_transposed_bias = conv_transposed_bias<T>;
  k.depthwise_forward = depthwise_forward<T>;
  k.depthwise_backward = depthwise_backward<T>;
  k.depthwise_gradient = depthwise_gradient<T>;
  k.depthwise_gradient_units = depthwise_gradient_units<T>;
  k.winograd_packed_size = winograd_packed_size<T>;
  k.winograd_scratch = winograd_scratch<T>;
  k.winograd_partial_size = winograd_partial_size<T>;
  k.winograd_pack = winograd_pack<T, wide_channels>;
  k.winograd_forward = winograd_forward<T>;
  k.winograd_backward = winograd_backward<T>;
  k.winograd_gradient = winograd_gradient<T>;
  k.winograd_gradient_finish = winograd_gradient_finish<T>;
  k.pool_forward = pool_forward<T>;
  k.pool_backward = pool_backward<T>;
  k.pool_backward_units = pool_backward_units<T>;
  k.steps_mean = steps_mean<T>;
  k.steps_mean_backward = steps_mean_backward<T>;
  k.activation_forward = activation_forward<T>;
  k.activation_backward = activation_backward<T>;
  k.softmax_forward = softmax_forward<T>;
  k.softmax_backward = softmax_backward<T>;
  k.recurrent_forward = recurrent_forward<T>;
  k.recurrent_backward = recurrent_backward<T>;
  k.recurrent_channels = recurrent_channels<T>;
  k.recurrent_channels_backward = recurrent_channels_backward<T>;
  k.masking_forward = masking_forward<T>;
  k.masking_backward = masking_backward<T>;
  k.masked_pool_forward = masked_pool_forward<T>;
  k.masked_pool_backward = masked_pool_backward<T>;
  k.embedding_forward = embedding_forward<T>;
  k.embedding_gradient = embedding_gradient<T>;
  k.embedding_gradient_units = embedding_gradient_units<T>;
  k.embedding_count = embedding_count<T>;
  k.attention_scratch = attention_scratch<T>;
  k.attention_forward = attention_forward<T>;
  k.attention_backward = attention_backward<T>;
  k.attention_channels_scratch = attention_channels_scratch<T>;
  k.attention_channels = attention_channels<T>;
  k.attention_positions_scratch = attention_positions_scratch<T>;
  k.attention_positions_forward = attention_positions_forward<T>;
  k.attention_positions_backward = attention_positions_backward<T>;
  k.turn_pairs = turn_pairs<T>;
  k.add_table = add_table<T>;
  k.norm_batch_sums = norm_batch_sums<T>;
  k.norm_batch_finish = norm_batch_finish<T>;
  k.norm_running = norm_running<T>;
  k.norm_group_statistics = norm_group_statistics<T>;
  k.norm_forward = norm_forward<T>;
  k.norm_gradient_sums = norm_gradient_sums<T>;
  k.norm_gradient_finish = norm_gradient_finish<T>;
  k.norm_group_averages = norm_group_averages<T>;
  k.norm_backward = norm_backward<T>;
  k.dropout = dropout<T>;
  k.add_run = add_run<T>;
  k.loss = loss<T>;
  k.program_scratch = program_scratch<T>;
  k.program = program<T>;
  k.program_finish = program_finish<T>;
  k.program_loss = program_loss<T>;
  k.gather = gather<T>;
  k.scatter = scatter<T>;
  k.shift_lanes = shift_lanes<T>;
  k.move_lanes = move_lanes<T>;
  k.repeat_lane = repeat_lane<T>;
  k.update = update<T>;
  k.limit_norms = limit_norms<T>;
  k.square_sum = square_sum<T>;
  k.peak = peak<T>;
  if constexpr (is_float<T>) k.pairs = pair_table();
  return k;
}

}   // namespace

extern const Kernels<CHAINRULE_SCALAR> CHAINRULE_TABLE = table<CHAINRULE_SCALAR>();

}   // namespace CHAINRULE_LEVEL
}   // namespace chainrule
