"""What the layers of PyTorch, Keras and Flax take, and what stands for it here."""

from __future__ import annotations

from chainrule.foreign.words import by_name

_EVERYWHERE = by_name(
    {
        "input_shape=784 in Network": ("input_shape", "batch_input_shape", "batch_shape"),
        "dtype='float64' in Network": ("dtype", "param_dtype"),
        "no device: everything is computed on the CPU": ("device",),
        "no layer that is held fixed: every parameter is learned": ("trainable",),
        "no penalty on outputs": ("activity_regularizer",),
        "nothing: images are (N, H, W, C), with the channels last": ("data_format",),
    }
)
_KERNEL = by_name(
    {
        "the activation as a layer of its own, behind this one: ReLU()": ("activation",),
        "bias=False or True": ("use_bias",),
        "initializer='he'": (
            *("kernel_initializer", "weight_initializer", "weight_init", "kernel_init", "init"),
            "depthwise_initializer",
        ),
        "bias_initializer='zeros'": ("bias_init",),
        "penalty=L2(1e-4) in fit": (
            *("kernel_regularizer", "weight_regularizer", "depthwise_regularizer", "weight_decay"),
        ),
        "no penalty on biases": ("bias_regularizer",),
        "constraint=MaxNorm(3.0) in fit": ("kernel_constraint", "depthwise_constraint"),
        "no constraint on biases": ("bias_constraint",),
        "only what the layer puts out: it finds out its inputs": (
            *("in_features", "in_channels", "input_dim", "input_size", "n_in", "n_inputs"),
        ),
        "no low-rank form": ("lora_rank", "lora_alpha"),
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
_CONVOLUTION = {
    **_WINDOW,
    **by_name(
        {
            "filters=8": ("out_channels", "features", "num_filters", "n_filters", "kernels", "units"),
            "kernel_size=3": ("kernel", "kernel_shape", "filter_size", "window"),
            "dilation=2": ("dilation_rate", "kernel_dilation", "rate"),
            "groups=2": ("feature_group_count",),
            "no padding but zeros: pad X itself, numpy.pad(X, ..., mode='reflect'), before padding='valid'": (
                *("padding_mode", "pad_mode"),
            ),
            "ConvTranspose2D(filters, 3), or ConvTranspose1D, layers of their own": (
                *("input_dilation", "transposed"),
            ),
        }
    ),
}
_NOT_TRANSPOSED = by_name({"DepthwiseConv2D(3, multiplier=2), a layer of its own": ("depth_multiplier",)})
_TRANSPOSED = by_name({"stride=2, output_padding=1": ("out_padding",)})
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
            "no ceil mode: a window that would reach over the edge is left out": ("ceil_mode",),
            "no dilation of a window": ("dilation", "dilation_rate"),
            "no index beside the values": ("return_indices",),
        }
    ),
}
_NOT_AVERAGE = by_name({"no count: padding is never a value of a window": ("count_include_pad",)})
_AVERAGE = by_name(
    {
        "count_padding=True": ("count_include_pad",),
        "no divisor but the number of values": ("divisor_override",),
    }
)
_L2 = by_name(
    {
        "no exponent but 2: MaxPool and AveragePool are layers of their own": ("norm_type", "p", "ord"),
        "no count: padding is zeros": ("count_include_pad",),
    }
)
_GLOBAL = by_name(
    {
        "nothing: one value per channel, as output_size=1": ("output_size",),
        "no axis of length 1 that is kept: the output is (N, channels)": ("keepdims",),
        "no index beside the values": ("return_indices",),
    }
)
_RECURRENT = by_name(
    {
        "units=10": ("hidden_size", "features", "out_features", "output_dim", "num_units", "n_units"),
        "only what the layer puts out: it finds out its inputs": (
            *("input_size", "input_dim", "in_features", "input_length"),
        ),
        "outputs='all' (every step) or 'last'": ("return_sequences",),
        "no last state beside the outputs: outputs='last' is h after the last step": ("return_state",),
        "no state from outside: every sequence starts at zeros": (
            *("initial_state", "initial_carry", "h0", "hx", "h_0", "c0", "stateful"),
        ),
        "reverse=True; outputs='all' stay in the order of the sequence": ("go_backwards",),
        "Parallel([LSTM(8), LSTM(8, reverse=True)], join='concat'), with the layer you want": (
            *("bidirectional",),
        ),
        "several layers one behind the other, each but the last with outputs='all'": ("num_layers",),
        "no dropout within: Dropout(0.2) is a layer of its own": ("dropout",),
        "no dropout of states": ("recurrent_dropout",),
        "no projection of the state": ("proj_size",),
        "no form without a bias": ("use_bias", "bias"),
        "no initializer of the bias": ("bias_initializer", "bias_init", "unit_forget_bias"),
        "no gate but the sigmoid": ("recurrent_activation", "gate_fn"),
        "initializer='glorot'": ("kernel_initializer", "kernel_init", "weight_init", "init"),
        "recurrent_initializer='orthogonal'": ("recurrent_kernel_init",),
        "penalty=L2(1e-4) in fit": ("kernel_regularizer", "recurrent_regularizer", "weight_decay"),
        "no penalty on biases": ("bias_regularizer",),
        "constraint=MaxNorm(3.0) in fit": ("kernel_constraint", "recurrent_constraint"),
        "no constraint on biases": ("bias_constraint",),
        "Masking(), in front of this layer": ("mask", "mask_zero", "seq_lengths", "lengths"),
        "nothing: sequences are (N, steps, features)": ("batch_first", "time_major"),
        "nothing: how it is computed does not change what": ("unroll", "implementation", "use_cudnn"),
    }
)
_RNN = by_name({"activation='relu', 'tanh', 'sigmoid' or 'identity'": ("nonlinearity", "activation_fn")})
_GATED = by_name({"no activation but tanh": ("activation", "nonlinearity", "activation_fn")})
_GRU = by_name({"nothing: the reset stands behind U, as reset_after=True": ("reset_after",)})
_ATTENTION = by_name(
    {
        "heads=4": ("num_heads", "n_heads", "nhead", "n_head"),
        "nothing: it finds out the features": ("embed_dim", "d_model", "qkv_features", "features", "units"),
        "no size of a head but features / heads": ("key_dim", "head_dim", "value_dim"),
        "no key or value from elsewhere: it is self-attention": ("kdim", "vdim", "key", "value"),
        "no other number of outputs than of inputs": ("output_shape", "out_features"),
        "causal=True": ("is_causal", "use_causal_mask"),
        "no mask of pairs: causal=True hides later steps, Masking() in front hides padding": (
            *("attn_mask", "attention_mask", "mask"),
        ),
        "Embedding(..., padding=0) or Masking(), in front of this layer": ("key_padding_mask",),
        "no dropout of the weights A": ("dropout", "dropout_rate"),
        "no second output: network.formulas() shows what A is": (
            *("need_weights", "average_attn_weights", "return_attention_scores"),
        ),
        "no key that is not of the sequence": ("add_bias_kv", "add_zero_attn"),
        "no other axis than the steps": ("attention_axes",),
        "nothing: sequences are (N, steps, features)": ("batch_first",),
        "nothing: how it is computed does not change what": ("flash_attention",),
    }
)
_NO_BIAS_START = by_name({"no initializer of the biases": ("bias_initializer", "bias_init")})
_EMBEDDING = by_name(
    {
        "vocabulary=1000": (
            *("num_embeddings", "input_dim", "vocab_size", "vocab", "n_vocab", "vocabulary_size"),
        ),
        "features=64": ("embedding_dim", "output_dim", "dim", "d_model", "units", "size", "embed_dim"),
        "padding=0, the id that is padding; its row stays zeros": ("padding_idx", "pad", "pad_id"),
        "padding=0: the id 0 is passed over, and its row is zeros": ("mask_zero",),
        "initializer='normal'": ("embeddings_initializer", "embedding_init", "weight_init", "init"),
        "penalty=L2(1e-4) in fit": ("embeddings_regularizer", "weight_decay"),
        "constraint=MaxNorm(3.0) in fit, which holds for all weights, after every step": (
            *("max_norm", "embeddings_constraint"),
        ),
        "no norm but the Euclidean one": ("norm_type",),
        "no scaling of gradients by how often an id occurs": ("scale_grad_by_freq",),
        "no sparse gradient": ("sparse",),
        "network.set_parameters({'embedding1.E': table})": ("_weight", "weights"),
        "no layer that is held fixed: every parameter is learned": ("_freeze", "freeze"),
        "nothing: the length is that of input_shape in Network": ("input_length",),
    }
)
_NORM = by_name(
    {
        "epsilon=1e-5": ("eps", "variance_epsilon"),
        "no form without them: γ and β are always there": (
            "affine",
            "elementwise_affine",
            "center",
            "scale",
        ),
        "no form without β": ("bias", "use_bias"),
        "no form without γ": ("use_scale",),
        "no start but γ = 1 and β = 0": (
            *("beta_initializer", "gamma_initializer", "bias_init", "scale_init"),
        ),
        "no penalty on γ and β": ("beta_regularizer", "gamma_regularizer"),
        "no constraint on γ and β": ("beta_constraint", "gamma_constraint"),
        "no other axis: it normalises the last axis": ("axis", "dim", "reduction_axes", "feature_axes"),
        "nothing: it finds out its channels": ("num_features", "num_channels", "channels"),
    }
)
_BATCH = by_name(
    {
        "no form without running numbers: a prediction takes them, training the batch": (
            *("track_running_stats", "use_running_average"),
        ),
        "no start of the running numbers but 0 and 1": (
            *("moving_mean_initializer", "moving_variance_initializer"),
        ),
        "nothing: there is one process": ("synchronized", "axis_name"),
        "no Batch Renormalization": ("renorm", "renorm_clipping", "renorm_momentum"),
        "no part of a batch: training normalises by the whole of it": ("virtual_batch_size",),
    }
)
_LAST = by_name(
    {
        "no normalised shape of several axes: it takes the last axis alone, as normalized_shape=its size": (
            "normalized_shape",
        ),
        "no running mean: every sample is normalised by itself": ("momentum", "track_running_stats"),
    }
)
_RMS = by_name(
    {
        "no form without γ, which starts at 1": ("affine", "elementwise_affine", "scale"),
        "nothing: there is no β": ("bias", "use_bias", "center"),
    }
)
_LAYER_NORM = {**_LAST, "rms_scaling": "RMSNorm(), a layer of its own"}
_GROUPS = by_name(
    {
        "groups=8": ("num_groups", "n_groups"),
        "groups=8, the number of groups: channels / group_size": ("group_size",),
        "no running mean: every sample is normalised by itself": ("momentum", "track_running_stats"),
    }
)
_INPLACE = {"inplace": "nothing: what goes in is kept"}
_RELU = by_name(
    {
        "LeakyReLU(0.01), a layer of its own": ("negative_slope", "alpha", "slope"),
        "no largest value": ("max_value",),
        "no threshold but 0": ("threshold",),
    }
)
_AXIS = dict.fromkeys(("dim", "axis"), "nothing: it is along the last axis")
_LIMITS = dict.fromkeys(("min_val", "max_val", "min_value", "max_value"), "no limit but -1 and 1")
_SOFTPLUS = by_name({"no β but 1": ("beta",), "nothing: it is exact for every input": ("threshold",)})
_GELU = {"approximate": "no tanh approximation: GELU() is z Φ(z) with the exact Φ, at most 4.8e-4 from that"}
_DROPOUT = by_name(
    {
        "rate=0.5, the share that is dropped": ("p", "prob", "probability", "drop_rate", "dropout"),
        "rate=0.5, the share that is dropped: 1 - keep_prob": ("keep_prob",),
        "no shape of what is dropped together: every entry is drawn by itself": (
            "noise_shape",
            "broadcast_dims",
        ),
        "nothing: fit drops, predict does not": ("deterministic", "training"),
    }
)
_PRELU = by_name(
    {
        "no α that channels share: there is one α per channel": ("num_parameters",),
        "no α that positions share or have of their own: there is one per channel": ("shared_axes",),
        "initial=0.25": ("init", "alpha_initializer", "negative_slope_init", "alpha", "slope"),
        "no penalty on α": ("alpha_regularizer", "weight_decay"),
        "no constraint on α": ("alpha_constraint",),
    }
)
_FLATTEN = by_name({"nothing: all of a sample's numbers become one vector": ("start_dim", "end_dim")})
_POSITIONS = by_name(
    {
        "nothing: it finds out the steps and the features": (
            *("sequence_length", "max_len", "length", "num_embeddings", "embedding_dim", "d_model"),
        ),
        "no wavelength but 10000": ("max_wavelength", "base"),
    }
)
_MASKING = by_name({"value=0.0": ("mask_value", "padding", "padding_value", "pad_value", "ignore_value")})

# By class; what several share stands above. The nearest class of a subclass counts.
_OWN: dict[str, dict[str, str]] = {
    "Dense": {**_KERNEL, **_DENSE},
    **{f"Conv{n}D": {**_KERNEL, **_CONVOLUTION, **_NOT_TRANSPOSED} for n in (1, 2)},
    **{f"ConvTranspose{n}D": {**_KERNEL, **_CONVOLUTION, **_TRANSPOSED} for n in (1, 2)},
    "DepthwiseConv2D": {**_KERNEL, **_CONVOLUTION, **_DEPTHWISE},
    **{f"MaxPool{n}D": {**_POOL, **_NOT_AVERAGE} for n in (1, 2)},
    **{f"AveragePool{n}D": {**_POOL, **_AVERAGE} for n in (1, 2)},
    **{f"L2Pool{n}D": {**_POOL, **_L2} for n in (1, 2)},
    **{f"Global{kind}Pool": {**_INPLACE, **_GLOBAL} for kind in ("Average", "Max")},
    "RNN": {**_RECURRENT, **_RNN},
    "LSTM": {**_RECURRENT, **_GATED},
    "GRU": {**_RECURRENT, **_GATED, **_GRU},
    "MultiHeadAttention": {**_KERNEL, **_ATTENTION, **_NO_BIAS_START},
    "Embedding": _EMBEDDING,
    "LearnedPositions": {
        **_POSITIONS,
        **by_name({"initializer='normal'": ("embeddings_initializer", "init")}),
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
_OWN |= {
    "Sequential": by_name({"layers=[Dense(8), ReLU()]": ("modules", "blocks", "chain", "args")}),
    "Residual": by_name(
        {
            "layers=[Dense(8), ReLU(), Dense(8)]": (
                *("modules", "module", "block", "blocks", "branch", "body", "fn"),
            ),
            "shortcut=[Dense(8)], layers for the other way": ("downsample", "skip", "projection", "identity"),
            "no activation of its own: ReLU() behind it": ("activation",),
        }
    ),
    "Parallel": by_name(
        {
            "chains=[[Dense(8), ReLU()], [Dense(8)]]": ("branches", "layers", "modules", "blocks", "paths"),
            "join='concat', or 'sum'": ("merge_mode", "mode", "merge", "reduction", "how", "aggregate"),
            "nothing: join='concat' is along the last axis": ("axis", "dim"),
        }
    ),
}
LAYERS = {name: {**_EVERYWHERE, **words} for name, words in _OWN.items()}
LAYERS["Layer"] = _EVERYWHERE  # a layer of one's own
