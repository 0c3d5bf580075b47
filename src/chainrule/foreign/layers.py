"""What the layers of PyTorch, Keras and Flax take, and what stands for it here."""

from __future__ import annotations

from chainrule.foreign.values import (
    ACTIVATION,
    CONSTRAINT,
    NO_BIAS_CONSTRAINT,
    NO_BIAS_PENALTY,
    PENALTY,
    initializer,
    steps_order,
)
from chainrule.foreign.words import Advice, besides, by_name, by_value

_LAST_CHANNELS = "images are (N, H, W, C), with the channels last"
_EVERYWHERE = by_name(
    {
        "input_shape=784 in Network": ("input_shape", "batch_input_shape", "batch_shape"),
        by_value(
            "no dtype but float32 and float64, which Network(dtype='float64') sets for all layers",
            {
                "nothing: float32 is Network's, unless it is given another": ("float32", None),
                "dtype='float64' in Network": ("float64", "double"),
            },
        ): ("dtype", "param_dtype"),
        besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        besides("no layer that is held fixed: every parameter is learned", True): ("trainable",),
        besides("no penalty on outputs", None): ("activity_regularizer",),
        by_value(
            f"no other order: {_LAST_CHANNELS}, as numpy.moveaxis(X, 1, -1) makes them",
            {f"nothing: {_LAST_CHANNELS}": ("channels_last", "NHWC", "NWC", None)},
        ): ("data_format",),
    }
)
_KERNEL = by_name(
    {
        ACTIVATION: ("activation",),
        "bias=False or True": ("use_bias",),
        initializer("initializer='he'"): (
            *("kernel_initializer", "weight_initializer", "weight_init", "kernel_init", "init"),
            "depthwise_initializer",
        ),
        "bias_initializer='zeros'": ("bias_init",),
        PENALTY: (*("kernel_regularizer", "weight_regularizer", "depthwise_regularizer", "weight_decay"),),
        NO_BIAS_PENALTY: ("bias_regularizer",),
        CONSTRAINT: ("kernel_constraint", "depthwise_constraint"),
        NO_BIAS_CONSTRAINT: ("bias_constraint",),
        "only what the layer puts out: it finds out its inputs": (
            *("in_features", "in_channels", "input_dim", "input_size", "n_in", "n_inputs"),
        ),
        besides("no low-rank form", None): ("lora_rank", "lora_alpha"),
        "network.set_parameters(values), by their names": ("weights",),
    }
)
_DENSE = by_name(
    {"units=10": ("out_features", "features", "n_units", "output_dim", "output_size", "n_out", "num_outputs")}
)
_WINDOW = by_name(
    {
        "stride=2": ("strides", "subsample", "window_strides"),
        "padding='same' or 'valid'": ("pad", "border_mode"),
    }
)
_OTHER_LAYER = "ConvTranspose2D(filters, 3), or ConvTranspose1D, layers of their own"
_CONVOLUTION = {
    **_WINDOW,
    **by_name(
        {
            "filters=8": ("out_channels", "features", "num_filters", "n_filters", "kernels", "units"),
            "kernel_size=3": ("kernel", "kernel_shape", "filter_size", "window"),
            "dilation=2": ("dilation_rate", "kernel_dilation", "rate"),
            "groups=2": ("feature_group_count",),
            by_value(
                "no padding but zeros: pad X itself, numpy.pad(X, ..., mode='reflect'), "
                "before padding='valid'",
                {"nothing: padding is zeros": ("zeros", "constant")},
            ): ("padding_mode", "pad_mode"),
            besides(_OTHER_LAYER, False): ("transposed",),
            besides(_OTHER_LAYER, 1, (1,), (1, 1)): ("input_dilation",),
        }
    ),
}
_NOT_TRANSPOSED = by_name({"DepthwiseConv2D(3, multiplier=2), a layer of its own": ("depth_multiplier",)})
_TRANSPOSED = by_name(
    {
        "stride=2, output_padding=1": ("out_padding",),
        by_value(
            "nothing: it is the transposed one",
            {"Conv2D(filters, 3), or Conv1D, layers of their own": (False,)},
        ): ("transposed",),
        "stride=2: the input is spread by it": ("input_dilation",),
    }
)
_DEPTHWISE = by_name(
    {
        "multiplier=2": ("depth_multiplier", "channel_multiplier"),
        "multiplier=2, filters per channel": ("filters", "out_channels", "features", "units", "num_filters"),
        "multiplier=2, filters of a channel": ("n_filters", "kernels"),
        "nothing: every channel has filters of its own": ("groups", "feature_group_count"),
    }
)
_POOL = {
    **_WINDOW,
    **by_name(
        {
            "window=2": ("pool_size", "kernel_size", "size", "window_shape", "kernel"),
            besides("no ceil mode: a window that would reach over the edge is left out", False): (
                "ceil_mode",
            ),
            besides("no dilation of a window", 1, (1,), (1, 1)): ("dilation", "dilation_rate"),
            besides("no index beside the values", False): ("return_indices",),
        }
    ),
}
_NOT_AVERAGE = by_name({"no count: padding is never a value of a window": ("count_include_pad",)})
_AVERAGE = by_name(
    {
        by_value(
            "count_padding=True where padding counts as zeros, and nothing where it does not",
            {
                "count_padding=True": (True,),
                "count_padding=False, as it is without it": (False,),
            },
        ): ("count_include_pad",),
        besides("no divisor but the number of values", None): ("divisor_override",),
    }
)
_L2 = by_name(
    {
        by_value(
            "no exponent but 2: MaxPool and AveragePool are layers of their own",
            {"nothing: the exponent is 2": (2,)},
        ): ("norm_type", "p", "ord"),
        "no count: padding is zeros": ("count_include_pad",),
    }
)
_GLOBAL = by_name(
    {
        by_value(
            "no output size but 1: one value per channel",
            {"nothing: one value per channel, as output_size=1": (1, (1,), (1, 1))},
        ): ("output_size",),
        besides("no axis of length 1 that is kept: the output is (N, channels)", False): ("keepdims",),
        besides("no index beside the values", False): ("return_indices",),
    }
)
_RECURRENT = by_name(
    {
        "units=10": ("hidden_size", "features", "out_features", "output_dim", "num_units", "n_units"),
        "only what the layer puts out: it finds out its inputs": (
            *("input_size", "input_dim", "in_features", "input_length"),
        ),
        by_value(
            "outputs='all' (every step) or 'last'",
            {"outputs='all', every step": (True,), "outputs='last', as it is without it": (False,)},
        ): ("return_sequences",),
        besides("no last state beside the outputs: outputs='last' is h after the last step", False): (
            "return_state",
        ),
        besides("no state from outside: every sequence starts at zeros", None): (
            *("initial_state", "initial_carry", "h0", "hx", "h_0", "c0"),
        ),
        besides("no state that is kept: every sequence starts at zeros", False): ("stateful",),
        besides("reverse=True; outputs='all' stay in the order of the sequence", False): ("go_backwards",),
        besides(
            "Parallel([LSTM(8), LSTM(8, reverse=True)], join='concat'), with the layer you want", False
        ): ("bidirectional",),
        besides("several layers one behind the other, each but the last with outputs='all'", 1): (
            *("num_layers",),
        ),
        besides("no dropout within: Dropout(0.2) is a layer of its own", 0, None): ("dropout",),
        besides("no dropout of states", 0, None): ("recurrent_dropout",),
        besides("no projection of the state", 0, None): ("proj_size",),
        besides("no form without a bias", True): ("use_bias", "bias"),
        "no initializer of the bias": ("bias_initializer", "bias_init"),
        besides("no gate but the sigmoid", "sigmoid"): ("recurrent_activation", "gate_fn"),
        initializer("initializer='glorot'"): ("kernel_initializer", "kernel_init", "weight_init", "init"),
        "recurrent_initializer='orthogonal'": ("recurrent_kernel_init",),
        PENALTY: ("kernel_regularizer", "recurrent_regularizer", "weight_decay"),
        NO_BIAS_PENALTY: ("bias_regularizer",),
        CONSTRAINT: ("kernel_constraint", "recurrent_constraint"),
        NO_BIAS_CONSTRAINT: ("bias_constraint",),
        besides("Masking(), in front of this layer", None, False): (
            *("mask", "mask_zero", "seq_lengths", "lengths"),
        ),
        steps_order(False): ("batch_first",),
        steps_order(True): ("time_major",),
        "nothing: how it is computed does not change what": ("unroll", "implementation", "use_cudnn"),
    }
)
_RNN = by_name({"activation='relu', 'tanh', 'sigmoid' or 'identity'": ("nonlinearity", "activation_fn")})
_GATED = by_name({besides("no activation but tanh", "tanh"): ("activation", "nonlinearity", "activation_fn")})
_GRU = by_name(
    {
        by_value(
            "nothing: the reset stands behind U, as reset_after=True",
            {"no reset in front of U: it stands behind it, as reset_after=True": (False,)},
        ): ("reset_after",),
        "no initializer of the bias": ("unit_forget_bias",),
    }
)
_LSTM = by_name(
    {
        by_value(
            "no initializer of the bias: that of the forget gate starts at 1",
            {"nothing: the bias of the forget gate starts at 1": (True,)},
        ): ("unit_forget_bias",),
    }
)
_ATTENTION = by_name(
    {
        "heads=4": ("num_heads", "n_heads", "nhead", "n_head"),
        "nothing: it finds out the features": ("embed_dim", "d_model", "qkv_features", "features", "units"),
        besides("no size of a head but features / heads", None): ("key_dim", "head_dim", "value_dim"),
        besides("no key or value from elsewhere: it is self-attention", None): (
            *("kdim", "vdim", "key", "value"),
        ),
        besides("no other number of outputs than of inputs", None): ("output_shape", "out_features"),
        by_value("causal=True", {"causal=False, as it is without it": (False,)}): (
            *("is_causal", "use_causal_mask"),
        ),
        "no mask of pairs: causal=True hides later steps, Masking() in front hides padding": (
            *("attn_mask", "attention_mask", "mask"),
        ),
        "Embedding(..., padding=0) or Masking(), in front of this layer": ("key_padding_mask",),
        besides("no dropout of the weights A", 0): ("dropout", "dropout_rate"),
        besides("no second output: network.formulas() shows what A is", False): (
            *("need_weights", "average_attn_weights", "return_attention_scores"),
        ),
        besides("no key that is not of the sequence", False): ("add_bias_kv", "add_zero_attn"),
        besides("no other axis than the steps", None, 1, (1,)): ("attention_axes",),
        steps_order(False): ("batch_first",),
        "nothing: how it is computed does not change what": ("flash_attention",),
    }
)
_NO_BIAS_START = by_name(
    {
        by_value("no initializer of the biases", {"nothing: biases start at 0": ("zeros", 0)}): (
            *("bias_initializer", "bias_init"),
        )
    }
)
_EMBEDDING = by_name(
    {
        "vocabulary=1000": (
            *("num_embeddings", "input_dim", "vocab_size", "vocab", "n_vocab", "vocabulary_size"),
        ),
        "features=64": ("embedding_dim", "output_dim", "dim", "d_model", "units", "size", "embed_dim"),
        besides("padding=0, the id that is padding; its row stays zeros", None): (
            *("padding_idx", "pad", "pad_id"),
        ),
        besides("padding=0: the id 0 is passed over, and its row is zeros", False): ("mask_zero",),
        initializer("initializer='normal'"): (
            *("embeddings_initializer", "embedding_init", "weight_init", "init"),
        ),
        PENALTY: ("embeddings_regularizer", "weight_decay"),
        besides("constraint=MaxNorm(3.0) in fit, which holds for all weights, after every step", None): (
            *("max_norm", "embeddings_constraint"),
        ),
        besides("no norm but the Euclidean one", 2): ("norm_type",),
        besides("no scaling of gradients by how often an id occurs", False): ("scale_grad_by_freq",),
        besides("no sparse gradient", False): ("sparse",),
        "network.set_parameters({'embedding1.E': table})": ("_weight", "weights"),
        besides("no layer that is held fixed: every parameter is learned", False): ("_freeze", "freeze"),
        "nothing: the length is that of input_shape in Network": ("input_length",),
    }
)
_NORM = by_name(
    {
        "epsilon=1e-5": ("eps", "variance_epsilon"),
        besides("no form without them: γ and β are always there", True): (
            *("affine", "elementwise_affine", "center", "scale"),
        ),
        besides("no form without β", True): ("bias", "use_bias"),
        besides("no form without γ", True): ("use_scale",),
        besides("no start but γ = 1 and β = 0", "zeros"): ("beta_initializer", "bias_init"),
        besides("no start but γ = 1 and β = 0", "ones"): ("gamma_initializer", "scale_init"),
        besides("no penalty on γ and β", None): ("beta_regularizer", "gamma_regularizer"),
        besides("no constraint on γ and β", None): ("beta_constraint", "gamma_constraint"),
        by_value(
            "no other axis: it normalises the last axis",
            {"nothing: that is the last axis": (-1, (-1,))},
        ): ("axis", "dim", "reduction_axes", "feature_axes"),
        "nothing: it finds out its channels": ("num_features", "num_channels", "channels"),
    }
)
_BATCH = by_name(
    {
        besides("no form without running numbers: a prediction takes them, training the batch", True): (
            *("track_running_stats",),
        ),
        "no choice: a prediction takes the running numbers, training the batch": ("use_running_average",),
        besides("no start of the running numbers but 0 and 1", "zeros"): ("moving_mean_initializer",),
        besides("no start of the running numbers but 0 and 1", "ones"): ("moving_variance_initializer",),
        "nothing: there is one process": ("synchronized", "axis_name"),
        besides("no Batch Renormalization", False, None): ("renorm", "renorm_clipping", "renorm_momentum"),
        besides("no part of a batch: training normalises by the whole of it", None): ("virtual_batch_size",),
        # Channels are on the last axis, as all of Keras's default layers have them.
        by_value(
            "no other axis: every channel of the last axis is normalised by itself, over the other axes",
            {"nothing: its channels are the last axis": (-1, (-1,))},
        ): ("axis", "dim", "feature_axes"),
    }
)
_LAST = by_name(
    {
        "no normalised shape but the last axis, PyTorch's normalized_shape=size of it": ("normalized_shape",),
        besides("no running mean: every sample is normalised by itself", False, None): (
            *("momentum", "track_running_stats"),
        ),
    }
)
_RMS = by_name(
    {
        besides("no form without γ, which starts at 1", True): ("affine", "elementwise_affine", "scale"),
        by_value("nothing: there is no β", {"no β: LayerNorm() has one": (True,)}): (
            *("bias", "use_bias", "center"),
        ),
    }
)
_LAYER_NORM = {**_LAST, "rms_scaling": besides("RMSNorm(), a layer of its own", False)}
_GROUPS = by_name(
    {
        "groups=8": ("num_groups", "n_groups"),
        "groups=8, the number of groups: channels / group_size": ("group_size",),
        besides("no running mean: every sample is normalised by itself", False, None): (
            *("momentum", "track_running_stats"),
        ),
    }
)
_INPLACE: dict[str, Advice] = {"inplace": "nothing: what goes in is kept"}
_RELU = by_name(
    {
        besides("LeakyReLU(0.01), a layer of its own", 0): ("negative_slope", "alpha", "slope"),
        besides("no largest value", None): ("max_value",),
        besides("no threshold but 0", 0): ("threshold",),
    }
)
_AXIS = dict.fromkeys(
    ("dim", "axis"),
    by_value(
        "no other axis: it is along the last one, and axis 1 is that one for (N, classes) only",
        {"nothing: it is along the last axis": (-1,)},
    ),
)
_LIMITS = {
    **dict.fromkeys(("min_val", "min_value"), besides("no limit but -1 and 1", -1)),
    **dict.fromkeys(("max_val", "max_value"), besides("no limit but -1 and 1", 1)),
}
_SOFTPLUS = by_name(
    {besides("no β but 1", 1): ("beta",), "nothing: it is exact for every input": ("threshold",)}
)
_GELU = {
    "approximate": by_value(
        "no tanh approximation: GELU() is z Φ(z) with the exact Φ, at most 4.8e-4 from that",
        {"nothing: GELU() is z Φ(z) with the exact Φ": ("none", False)},
    )
}
_DROPOUT = by_name(
    {
        "rate=0.5, the share that is dropped": ("p", "prob", "probability", "drop_rate", "dropout"),
        "rate=0.5, the share that is dropped: 1 - keep_prob": ("keep_prob",),
        besides("no shape of what is dropped together: every entry is drawn by itself", None, ()): (
            *("noise_shape", "broadcast_dims"),
        ),
        "nothing: fit drops, predict does not": ("deterministic", "training"),
    }
)
_PRELU = by_name(
    {
        by_value(
            "nothing: it finds out its channels, and there is one α per channel",
            {"no α that channels share: there is one α per channel": (1,)},
        ): ("num_parameters",),
        by_value(
            "no choice: there is one α per channel, which all positions share",
            {"nothing: for images there is one α per channel, which all positions share": ((1, 2),)},
        ): ("shared_axes",),
        "initial=0.25": ("init", "negative_slope_init", "alpha", "slope"),
        by_value("initial=0.25", {"initial=0.0": ("zeros", "zero"), "initial=1.0": ("ones", "one")}): (
            "alpha_initializer",
        ),
        besides("no penalty on α", None): ("alpha_regularizer", "weight_decay"),
        besides("no constraint on α", None): ("alpha_constraint",),
    }
)
_WHOLE = "all of a sample's numbers become one vector"
_FLATTEN = {
    "start_dim": by_value(f"no choice of axes: {_WHOLE}", {f"nothing: {_WHOLE}": (1,)}),
    "end_dim": by_value(f"no choice of axes: {_WHOLE}", {f"nothing: {_WHOLE}": (-1,)}),
}
_POSITIONS = by_name(
    {
        "nothing: it finds out the steps and the features": (
            *("sequence_length", "max_len", "length", "num_embeddings", "embedding_dim", "d_model"),
        ),
        besides("no wavelength but 10000", 10000): ("max_wavelength", "base"),
    }
)
_MASKING = by_name({"value=0.0": ("mask_value", "padding", "padding_value", "pad_value", "ignore_value")})

# By class; what several share stands above. The nearest class of a subclass counts.
_OWN: dict[str, dict[str, Advice]] = {
    "Dense": {**_KERNEL, **_DENSE},
    **{f"Conv{n}D": {**_KERNEL, **_CONVOLUTION, **_NOT_TRANSPOSED} for n in (1, 2)},
    **{f"ConvTranspose{n}D": {**_KERNEL, **_CONVOLUTION, **_TRANSPOSED} for n in (1, 2)},
    "DepthwiseConv2D": {**_KERNEL, **_CONVOLUTION, **_DEPTHWISE},
    **{f"MaxPool{n}D": {**_POOL, **_NOT_AVERAGE} for n in (1, 2)},
    **{f"AveragePool{n}D": {**_POOL, **_AVERAGE} for n in (1, 2)},
    **{f"L2Pool{n}D": {**_POOL, **_L2} for n in (1, 2)},
    **{f"Global{kind}Pool": {**_INPLACE, **_GLOBAL} for kind in ("Average", "Max")},
    "RNN": {**_RECURRENT, **_RNN, "unit_forget_bias": "no forget gate"},
    "LSTM": {**_RECURRENT, **_GATED, **_LSTM},
    "GRU": {**_RECURRENT, **_GATED, **_GRU},
    "MultiHeadAttention": {**_KERNEL, **_ATTENTION, **_NO_BIAS_START},
    "Embedding": _EMBEDDING,
    "LearnedPositions": {
        **_POSITIONS,
        **by_name({initializer("initializer='normal'"): ("embeddings_initializer", "init")}),
    },
    "PositionalEncoding": _POSITIONS,
    "BatchNorm": {**_NORM, **_BATCH},
    "LayerNorm": {**_NORM, **_LAYER_NORM},
    "GroupNorm": {**_NORM, **_GROUPS},
    "RMSNorm": {**_NORM, **_LAST, **_RMS},
    "Dropout": {**_INPLACE, **_DROPOUT},
    "Masking": _MASKING,
    "Flatten": {**_INPLACE, **_FLATTEN},
    "ReLU": {**_INPLACE, **_RELU},
    "LeakyReLU": {**_INPLACE, **by_name({"slope=0.01": ("negative_slope", "alpha", "leak")})},
    "PReLU": {**_INPLACE, **_PRELU},
    "ELU": {**_INPLACE, **by_name({"alpha=1.0": ("slope", "negative_slope")})},
    "GELU": {**_INPLACE, **_GELU},
    "Softmax": {**_INPLACE, **_AXIS},
    "Softplus": {**_INPLACE, **_SOFTPLUS},
    "HardTanh": {**_INPLACE, **_LIMITS},
    "SELU": {**_INPLACE, **dict.fromkeys(("alpha", "scale"), "no other α or λ: they are the fixed point's")},
    **dict.fromkeys(("SiLU", "Mish", "Sigmoid", "Tanh", "Identity", "HardSigmoid", "HardSwish"), _INPLACE),
}
LAYERS = {name: {**_EVERYWHERE, **words} for name, words in _OWN.items()}
LAYERS["Layer"] = _EVERYWHERE  # a layer of one's own
