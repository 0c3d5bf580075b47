// The only place that knows Python. Arrays come in with their dtype and contiguity in the type; nothing is converted
// silently, and everything that runs for long runs without the GIL.
#include <chrono>

#include "../machine/cpu.hpp"
#include "../machine/thread_pool.hpp"
#include "bound_plan.hpp"
#include "kinds.hpp"
#include "program.hpp"

// threadpoolctl finds the pool by these names (chainrule/engine/isa.py registers them). It gives back what it was told, so
// it is told what the process has, never the number of the call around it.
extern "C" {
__attribute__((visibility("default"))) int chainrule_get_num_threads() { return ThreadPool::instance().threads_set(); }
__attribute__((visibility("default"))) void chainrule_set_num_threads(int count) { ThreadPool::instance().set_threads(count); }
}

namespace {

ValueShape with_halo(int height, int width, int channels, const Halo& halo) {
  const auto [top, bottom, left, right] = halo;
  return {height, width, channels, top, bottom, left, right};
}

template <class T>
void bind_plan(nb::module_& m, const char* name) {
  using P = BoundPlan<T>;
  nb::class_<P>(m, name)
      .def(nb::init<const std::string&, int>(), "level"_a, "batch_size"_a)
      .def(
          "add_value",
          [](P& p, int height, int width, int channels, Halo halo, bool with_delta, Halo delta_halo, InLanes lanes, int bands,
             int whole) {
            ValueShape shape = with_halo(height, width, channels, halo);
            shape.lanes = lanes, shape.bands = bands, shape.whole = whole;
            return p.add_value(shape, with_delta, with_halo(height, width, channels, delta_halo));
          },
          "height"_a, "width"_a, "channels"_a, "halo"_a, "with_delta"_a, "delta_halo"_a, "lanes"_a = InLanes::samples,
          "bands"_a = 1, "whole"_a = 1)
      .def(
          "add_parameter",
          [](P& p, int64_t size, int64_t outputs, int64_t inputs, bool panels, bool penalised) {
            return p.add_parameter({size, panels ? Layout::panels : Layout::plain, outputs, inputs, penalised});
          },
          "size"_a, "outputs"_a, "inputs"_a, "panels"_a, "penalised"_a)
      .def(
          "add_use",
          [](P& p, int of, int64_t size, int64_t outputs, int64_t inputs, bool panels) {
            return p.add_use(of, {size, panels ? Layout::panels : Layout::plain, outputs, inputs});
          },
          "of"_a, "size"_a, "outputs"_a, "inputs"_a, "panels"_a)
      .def("set_post", &P::set_post, "activation"_a, "slope"_a, "saved"_a)
      .def("set_input_post", &P::set_input_post, "activation"_a, "slope"_a, "saved"_a)
      .def("add_dense", &P::add_dense, "x"_a, "z"_a, "weights"_a, "bias"_a, "rounded"_a = false)
      .def(
          "add_convolution",
          [](P& p, int x, int z, int weights, int bias, Two kernel, Two stride, Two dilation, Two pad, int groups,
             ConvMethod method, bool transposed, bool rounded, const std::optional<Depth>& depth) {
            ConvArgs<T> g{};
            std::tie(g.kernel_h, g.kernel_w) = kernel;
            std::tie(g.stride_h, g.stride_w) = stride;
            std::tie(g.dilation_h, g.dilation_w) = dilation;
            std::tie(g.pad_top, g.pad_left) = pad;
            g.groups = groups, g.transposed = transposed, g.volume = depth.has_value();
            if (depth) std::tie(g.kernel_d, g.stride_d, g.dilation_d, g.pad_front, g.x_planes, g.z_planes) = *depth;
            p.add_convolution(x, z, weights, bias, g, method, rounded);
          },
          "x"_a, "z"_a, "weights"_a, "bias"_a, "kernel"_a, "stride"_a, "dilation"_a, "pad"_a, "groups"_a, "method"_a,
          "transposed"_a, "rounded"_a = false, "depth"_a.none() = nb::none())
      .def(
          "add_pool",
          [](P& p, int x, int z, Two window, Two stride, Two pad, bool padded, PoolKind kind, bool mean, bool count_padding,
             const std::optional<PoolDepth>& depth, double power) {
            PoolArgs<T> g{};
            std::tie(g.window_h, g.window_w) = window;
            std::tie(g.stride_h, g.stride_w) = stride;
            std::tie(g.pad_top, g.pad_left) = pad;
            g.padded = padded, g.kind = kind, g.power = power, g.mean = mean, g.count_padding = count_padding;
            g.volume = depth.has_value();
            if (depth) std::tie(g.window_d, g.stride_d, g.pad_front, g.x_planes, g.z_planes) = *depth;
            p.add_pool(x, z, g);
          },
          "x"_a, "z"_a, "window"_a, "stride"_a, "pad"_a, "padded"_a, "kind"_a, "mean"_a, "count_padding"_a,
          "depth"_a.none() = nb::none(), "power"_a = 2.0)
      .def("add_activation", &P::add_activation, "x"_a, "z"_a, "kind"_a, "slope"_a)
      .def("add_steps_mean", &P::add_steps_mean, "x"_a, "z"_a)
      .def("add_softmax", &P::add_softmax, "x"_a, "z"_a)
      .def(
          "add_recurrent",
          [](P& p, int x, int z, const std::vector<int>& parameters, int mask, Cell cell, int gates, int units, Act activation,
             bool every, bool reverse, int truncate, int first, bool ends, int size, int projection, int peepholes) {
            RecurrentArgs<T> g{};
            g.cell = cell, g.gates = gates, g.units = units, g.act = activation;
            g.every = every, g.reverse = reverse, g.truncate = truncate, g.ends = ends, g.size = size;
            p.add_recurrent(x, z, parameters, projection, peepholes, mask, first, g);
          },
          "x"_a, "z"_a, "parameters"_a, "mask"_a, "cell"_a, "gates"_a, "units"_a, "activation"_a, "every"_a, "reverse"_a,
          "truncate"_a, "first"_a, "ends"_a, "size"_a, "projection"_a, "peepholes"_a)
      .def("add_masking", &P::add_masking, "x"_a, "z"_a, "mask"_a, "value"_a)
      .def("add_masked_pool", &P::add_masked_pool, "x"_a, "z"_a, "mask"_a, "average"_a)
      .def("add_host", &P::add_host, "number"_a, "x"_a, "z"_a)
      .def(
          "add_program",
          [](P& p, int x, int z, const ProgramCode& forward, const ProgramCode& backward, const std::vector<int>& parameters,
             const ProgramCode* infer) { p.add_program(x, z, forward, backward, parameters, infer ? *infer : ProgramCode{}); },
          "x"_a, "z"_a, "forward"_a, "backward"_a, "parameters"_a, "infer"_a.none() = nb::none())
      .def("add_embedding", &P::add_embedding, "x"_a, "z"_a, "table"_a, "mask"_a, "vocabulary"_a, "padding"_a)
      .def("add_attention", &P::add_attention, "queries"_a, "keys"_a, "values"_a, "z"_a, "mask"_a, "seen"_a, "fixed"_a,
           "heads"_a, "key_heads"_a, "causal"_a, "rows"_a, "zero"_a, "places"_a, "table"_a, "numbers"_a)
      .def("add_table", &P::add_table, "x"_a, "z"_a, "table"_a)
      .def("add_turned", &P::add_turned, "x"_a, "z"_a, "heads"_a, "cosine"_a, "sine"_a)
      .def("add_norm", &P::add_norm, "x"_a, "z"_a, "groups"_a, "epsilon"_a, "momentum"_a, "parameters"_a, "centred"_a)
      .def("add_dropout", &P::add_dropout, "x"_a, "z"_a, "name"_a, "rate"_a)
      .def("add_slice", &P::add_slice, "x"_a, "z"_a, "first"_a)
      .def("add_gather", &P::add_gather, "x"_a, "z"_a, "to"_a, "from_"_a, "count"_a, "weights"_a, "repeats_edges"_a = false)
      .def("add_flatten", &P::add_flatten, "x"_a, "z"_a)
      .def("add_rearranged", &P::add_rearranged, "x"_a, "z"_a)
      .def("add_view", &P::add_view, "of"_a)
      .def(
          "add_reader", [](P& p, int of) { return p.add_reader(p.known_value(of)); }, "of"_a)
      .def("add_branches", &P::add_branches, "x"_a, "readers"_a)
      .def("add_join", &P::add_join, "inputs"_a, "activations"_a, "slopes"_a, "saved"_a, "z"_a, "kind"_a)
      .def("share_delta", &P::share_delta, "value"_a, "with_value"_a)
      .def(
          "set_seed", [](P& p, uint64_t seed) { p.pass.seed = seed; }, "seed"_a)
      .def("current_pass", [](const P& p) { return std::make_tuple(p.pass.training, p.pass.seed, p.pass.step, p.pass.first); })
      .def("set_host", &P::set_host, "function"_a)
      .def(
          "set_loss",
          [](P& p, LossKind kind, int output, int activation, double scale, double delta_cut, double target_scale,
             double target_shift, const std::vector<double>& positive, const std::vector<double>& negative) {
            p.known_value(output);
            if (activation >= 0) p.known_value(activation);
            p.set_loss(kind, output, activation, {scale, delta_cut, target_scale, target_shift, positive, negative});
            p.output = output, p.with_loss = true;
          },
          "kind"_a, "output"_a, "activation"_a, "scale"_a = 1.0, "delta_cut"_a = 1.0, "target_scale"_a = 1.0,
          "target_shift"_a = 0.0, "positive"_a = std::vector<double>(), "negative"_a = std::vector<double>())
      .def(
          "set_loss_of_parts",
          [](P& p, int output, int activation) {
            p.known_value(output);
            if (activation >= 0) p.known_value(activation);
            p.set_loss_of_parts(output, activation);
            p.output = output, p.with_loss = true;
          },
          "output"_a, "activation"_a)
      .def(
          "add_loss_part",
          [](P& p, LossKind kind, int first, int positions, int features, double weight, double scale, double delta_cut,
             double target_scale, double target_shift, const std::vector<double>& positive,
             const std::vector<double>& negative) {
            p.add_loss_part(kind, first, positions, features, weight,
                            {scale, delta_cut, target_scale, target_shift, positive, negative});
          },
          "kind"_a, "first"_a, "positions"_a, "features"_a, "weight"_a, "scale"_a = 1.0, "delta_cut"_a = 1.0,
          "target_scale"_a = 1.0, "target_shift"_a = 0.0, "positive"_a = std::vector<double>(),
          "negative"_a = std::vector<double>())
      .def("add_host_part", &P::add_host_part, "first"_a, "positions"_a, "features"_a, "weight"_a)
      .def("add_program_part", &P::add_program_part, "first"_a, "positions"_a, "features"_a, "weight"_a, "value"_a, "both"_a,
           "activation"_a, "judged"_a)
      .def(
          "set_host_loss",
          [](P& p, int output) {
            p.set_host_loss(p.known_value(output));
            p.output = output, p.with_loss = true;
          },
          "output"_a)
      .def("set_program_loss", &P::set_program, "output"_a, "value"_a, "both"_a, "judged"_a)
      .def(
          "set_input",
          [](P& p, int value) {
            p.set_input(p.known_value(value));
            p.input = value;
          },
          "value"_a)
      .def("set_penalty", &P::set_penalty, "factor"_a, "absolute"_a = 0.0)
      .def("set_rate_factor", &P::set_rate_factor, "parameter"_a, "factor"_a)
      .def("set_decay_factor", &P::set_decay_factor, "parameter"_a, "factor"_a)
      .def("add_max_norm", &P::add_max_norm, "parameter"_a, "groups"_a, "units"_a, "limit"_a)
      .def(
          "set_optimizer",
          [](P& p, Rule rule, double momentum, double beta2, double epsilon, bool early_epsilon, double decay, double clip_norm,
             double extra) {
            p.set_optimizer(rule, momentum, beta2, epsilon, early_epsilon, decay, clip_norm, extra);
            p.with_optimizer = true;
          },
          "rule"_a, "momentum"_a, "beta2"_a, "epsilon"_a, "early_epsilon"_a, "decoupled_decay"_a, "clip_norm"_a,
          "extra"_a = 0.0)
      .def("set_accumulation", &P::set_accumulation, "batches"_a)
      .def("finish", &P::finish)
      .def("set_parameter",
           [](P& p, int i, const Array<T>& a) {
             if (int64_t(a.size()) != p.parameter_size(i))
               throw nb::value_error("the parameter has the wrong number of elements");
             p.set_parameter(i, a.data());
           })
      .def(
          "get_parameter",
          [](const P& p, int i, const Output<T>& a) { p.get_parameter(i, checked(a, p.parameter_size(i), "the array")); },
          nb::arg(), nb::arg().noconvert())
      .def(
          "get_gradient",
          [](const P& p, int i, const Output<T>& a) {
            T* to = checked(a, p.parameter_size(i), "the array");
            p.require_gradients();
            p.get_gradient(i, to);
          },
          nb::arg(), nb::arg().noconvert())
      .def("penalty", [](const P& p) { return p.penalty_value(); })
      .def("set_gradient",
           [](P& p, int i, const Array<T>& a) {
             if (int64_t(a.size()) != p.parameter_size(i))
               throw nb::value_error("the gradient has the wrong number of elements");
             p.require_gradients();
             p.set_gradient(i, a.data());
           })
      .def(
          "get_state",
          [](const P& p, int i, int slot, const Output<T>& a) {
            return p.get_state(i, P::known_slot(slot), checked(a, p.parameter_size(i), "the array"));
          },
          nb::arg(), nb::arg(), nb::arg().noconvert())
      .def("set_state",
           [](P& p, int i, int slot, const Array<T>& a) {
             if (int64_t(a.size()) != p.parameter_size(i)) throw nb::value_error("the state has the wrong number of elements");
             p.set_state(i, P::known_slot(slot), a.data());
           })
      .def_rw("steps_taken", &P::steps_taken)
      .def(
          "read_value",
          [](const P& p, int i, bool delta, const Output<T>& a) {
            p.readable_value(i, delta);
            const int64_t rows = a.ndim() ? int64_t(a.shape(0)) : 0;
            if (rows < 1 || rows > p.batch_size()) throw nb::value_error("between one sample and the batch size can be read");
            p.read_value(i, delta, int(rows), checked(a, rows * p.value(i).shape.numbers(), "the array"));
          },
          nb::arg(), nb::arg(), nb::arg().noconvert())
      .def("write_value",
           [](P& p, int i, bool delta, const Array<T>& a) {
             p.readable_value(i, delta);
             const int64_t rows = a.ndim() ? int64_t(a.shape(0)) : 0;
             if (rows < 1 || rows > p.batch_size() || int64_t(a.size()) != rows * p.value(i).shape.numbers())
               throw nb::value_error("the array does not fit the value");
             p.write_value(i, delta, int(rows), a.data());
           })
      .def(
          "read_batch",
          [](const P& p, int part, const Output<T>& targets, const Output<double>& weights) {
            p.require_loss();
            const int64_t rows = int64_t(weights.size());
            if (rows < 1 || rows > p.batch_size()) throw nb::value_error("between one sample and the batch size can be read");
            p.read_batch(p.known_part(part), int(rows),
                         checked(targets, rows * p.value(p.output).shape.features(), "the targets"), weights.data());
          },
          nb::arg(), nb::arg().noconvert(), nb::arg().noconvert())
      .def("set_losses",
           [](P& p, int part, const Array<double>& a) {
             p.require_loss();
             if (int64_t(a.size()) < 1 || int64_t(a.size()) > p.batch_size())
               throw nb::value_error("one loss per sample is needed");
             p.set_losses(p.known_part(part), a.data(), int(a.size()));
           })
      .def(
          "first_nonfinite",
          [](const P& p, bool delta) {
            p.require_finished();
            return p.first_nonfinite(delta);
          },
          "delta"_a)
      .def(
          "first_nonfinite_parameter",
          [](const P& p, bool gradient) {
            p.require_finished();
            return p.first_nonfinite_parameter(gradient);
          },
          "gradient"_a)
      .def("first_at_rest",
           [](const P& p) {
             p.require_finished();
             return p.first_at_rest();
           })
      .def("predict", &P::predict, "x"_a, "scale"_a, "value"_a, "out"_a.noconvert())
      .def("predict_at_once", &P::predict_at_once, "x"_a, "scale"_a, "value"_a, "out"_a.noconvert())
      .def("evaluate", &P::evaluate, "x"_a, "scale"_a, "targets"_a, "weights"_a.none(), "training"_a,
           "losses"_a.none().noconvert() = nb::none())
      .def("backpropagate", &P::backpropagate, "x"_a, "scale"_a, "targets"_a, "weights"_a.none(), "input_delta"_a,
           "with_penalty"_a)
      .def("norms", &P::norms, "x"_a, "scale"_a, "targets"_a, "weights"_a.none(), "out"_a.noconvert())
      .def("set_per_sample", &P::set_per_sample, "clip"_a)
      .def("set_sharing", &P::share, "shards"_a, "first"_a, "end"_a, "batch_size"_a, "least_part"_a, "computed"_a, "complete"_a,
           "advance"_a, "counted"_a, "sum"_a, "exchange"_a, "beside"_a)
      .def("gradient_parts",
           [](P& p) {
             p.require_finished();
             std::vector<std::tuple<size_t, size_t>> parts;
             for (const GradientPart& part : p.gradient_parts()) parts.push_back({part.begin, part.end});
             return parts;
           })
      .def("all_gradients",
           [](P& p) {
             p.require_finished();
             p.require_gradients();
             return nb::ndarray<nb::numpy, T, nb::ndim<1>>(p.all_gradients(), {p.all_gradients_size()}, nb::find(p));
           })
      .def("train_epoch", &P::train_epoch, "x"_a, "scale"_a, "targets"_a, "weights"_a.none(), "order"_a, "rates"_a,
           "poll"_a.none(), "look"_a.none() = nb::none(), "last"_a = true, "before"_a = std::vector<double>(),
           "decays"_a.none() = nb::none(), "dropouts"_a.none() = nb::none())
      .def(
          "set_profiling",
          [](P& p, bool on) {
            p.require_finished();
            p.set_profiling(on);
          },
          "on"_a)
      .def("profile", &P::profile)
      .def("outputs", &P::outputs)
      .def_prop_ro("interruptions", &P::interruptions)
      .def_ro("overflows", &P::overflows)
      .def("note_overflow", &P::note_overflow)
      .def_prop_ro("lanes", &P::lanes)
      .def_prop_ro("batch_size", &P::batch_size)
      .def_prop_ro("arena_bytes", &P::arena_bytes);
}

// GFLOP/s of independent multiply-adds on every thread of the pool.
template <class T>
double peak(const std::string& level) {
  const auto& k = kernels<T>(level);
  auto& pool = ThreadPool::instance();
  const int threads = pool.threads();
  double best = 0;
  const WithoutGil release;
  for (int round = 0; round < 5; round++) {
    std::vector<double> operations(static_cast<size_t>(threads), 0.0);
    const auto begin = std::chrono::steady_clock::now();
    pool.run(threads, [&](int first, int last, int) {
      for (int i = first; i < last; i++) operations[size_t(i)] = k.peak(2000000);
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    double sum = 0;
    for (const double o : operations) sum += o;
    best = std::max(best, sum / seconds * 1e-9);
  }
  return best;
}

void check_thread_count(int count) {
  if (count < 1 || count > 256) throw nb::value_error("the number of threads must be between 1 and 256");
}

}   // namespace

NB_MODULE(_native, m) {
  m.doc() = "chainrule's compiled engine. Use it through chainrule.engine.";
  // Of what Python calls and passes: engine/isa.py has the same number, and both rise with every change.
  m.attr("INTERFACE") = 32;
  nb::set_leak_warnings(false);   // a plan that a daemon thread or a global still holds at exit is no mistake
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(&Interpreter::leave));
  bind_kinds(m);
  bind_program(m);
  bind_plan<float>(m, "PlanFloat32");
  bind_plan<double>(m, "PlanFloat64");
  m.def("built_levels", &built_levels);
  m.def("supported_levels", &supported_levels);
  m.def(
      "lanes",
      [](const std::string& level) { return std::make_tuple(kernels<float>(level).lanes, kernels<double>(level).lanes); },
      "level"_a);
  m.def("bfloat16_by", [](const std::string& level) { return pair_kernels(level).by; }, "level"_a);
  m.def("threads", [] { return ThreadPool::instance().threads(); });
  m.def("default_threads", &default_threads);
  // A context manager in C++: no signal's handler runs between its beginning and Python's promise to end it.
  nb::class_<ThreadsOfCall>(m, "ThreadsOfCall")
      .def(
          "__init__",
          [](ThreadsOfCall* own, int count) {
            check_thread_count(count);
            new (own) ThreadsOfCall(count);
          },
          "count"_a)
      .def("__enter__", &ThreadsOfCall::begin)
      .def(
          "__exit__", [](ThreadsOfCall& own, nb::handle, nb::handle, nb::handle) { own.end(); }, "type"_a.none(),
          "value"_a.none(), "traceback"_a.none());
  m.def(
      "set_threads",
      [](int count) {
        check_thread_count(count);
        const WithoutGil release;
        ThreadPool::instance().set_threads(count);
      },
      "count"_a);
  m.def("peak_float32", &peak<float>, "level"_a);
  m.def("peak_float64", &peak<double>, "level"_a);
}
