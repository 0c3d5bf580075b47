"""What the layers of PyTorch, Keras and Flax take, and what stands for it here."""

from __future__ import annotations

from chainrule.base.foreign.sequences import ATTENTION, SEQUENCES
from chainrule.base.foreign.values import (
    ACTIVATION,
    CONSTRAINT,
    NO_BIAS_CONSTRAINT,
    NO_BIAS_PENALTY,
    PENALTY,
    initializer,
)
from chainrule.base.foreign.words import SAME, Advice, besides, by_name, by_value

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
        besides("fit(..., freeze=['dense1']): what is held fixed is said there", True): ("trainable",),
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
            "padding_mode='reflect'": ("pad_mode",),
            besides(_OTHER_LAYER, False): ("transposed",),
            besides(_OTHER_LAYER, 1, (1,), (1, 1)): ("input_dilation",),
        }
    ),
}
_NOT_TRANSPOSED = by_name({"DepthwiseConv2D(3, multiplier=2), a layer of its own": ("depth_multiplier",)})
_TRANSPOSED = by_name(
    {
        by_value(
            "no padding but zeros: a Crop2D layer behind it cuts the edges off",
            {"nothing: padding is zeros": ("zeros", "constant")},
        ): ("padding_mode", "pad_mode"),
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
            "dilation=1": ("dilation_rate",),
        }
    ),
}
_UNPOOL = by_name(
    {
        "nothing: it has the size of what the pool read": ("output_size",),
        "window=2": ("pool_size", "kernel_size", "kernel"),
        "stride=2": ("strides",),
    }
)
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
        by_value("divisor=4", {"nothing: a mean is divided by how many values it has": (None,)}): (
            "divisor_override",
        ),
        besides("no index beside the values, which MaxPool2D has", False): ("return_indices",),
    }
)
_L2 = by_name(
    {
        by_value(
            "no exponent but 2: chainrule.LpPool2D(3, 2) has any",
            {"nothing: the exponent is 2": (2,)},
        ): ("norm_type", "p", "ord"),
        "no count: padding is zeros": ("count_include_pad",),
    }
)
_ADAPTIVE = by_name(
    {
        "size=4": ("output_size", "output_shape", "target_size", "out_size", "bins"),
        besides("no index beside the values, which MaxPool2D has", False): ("return_indices",),
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
_NORM = by_name(
    {
        "epsilon=1e-5": ("eps", "variance_epsilon"),
        besides("scale=False, shift=False", True): ("affine", "elementwise_affine"),
        besides("shift=False", True): ("bias", "use_bias", "center"),
        besides("scale=False", True): ("use_scale",),
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
        by_value("tracked=False", {"nothing: BatchNorm keeps running numbers": (True,)}): (
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
        "no normalised shape of several axes: it takes the last axis alone, as normalized_shape=its size": (
            "normalized_shape",
        ),
        besides("no running mean: every sample is normalised by itself", False, None): (
            *("momentum", "track_running_stats"),
        ),
    }
)
_INSTANCE = {name: advice for name, advice in _LAST.items() if name != "momentum"} | by_name(
    {
        by_value("tracked=True", {"tracked=False, as it is without it": (False, None)}): (
            *("track_running_stats",),
        ),
    }
)
_RMS = by_name(
    {
        besides("scale=False", True): ("affine", "elementwise_affine"),
        by_value("nothing: there is no β", {"no β: LayerNorm() has one": (True,)}): (
            *("bias", "use_bias", "center", "shift"),
        ),
    }
)
_PADS = by_name(
    {
        "padding=1": ("pad", "paddings", "pads", "pad_width", "amount", "size"),
        "mode='reflect'": ("padding_mode", "pad_mode"),
        besides("no number but 0 around an image", 0): ("value", "constant_value", "constant_values"),
    }
)
_UPSAMPLE = by_name(
    {
        "size=2": ("scale_factor", "factor", "scale", "scales", "scale_factors"),
        besides("no corner that is aligned: a pixel is in the middle of its block", None, False): (
            *("align_corners",),
        ),
        besides("size=2, how many times larger", None): ("output_size", "target_size"),
    }
)
_LAST_AXES = {
    **_LAST,
    **by_name(
        {
            "axes=2 for a shape of two, the last axes that go together: it finds out their sizes": (
                *("normalized_shape",),
            ),
            by_value(
                "no other axes: it normalises the last one, with axes=2 the last two together",
                {
                    "nothing: that is the last axis": (-1, (-1,)),
                    "axes=2": ((-2, -1),),
                    "axes=3": ((-3, -2, -1),),
                },
            ): ("axis", "dim", "reduction_axes", "feature_axes"),
        }
    ),
}
_LAYER_NORM = {**_LAST_AXES, "rms_scaling": besides("RMSNorm(), a layer of its own", False)}
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
        by_value(
            "HardTanh(0.0, 6.0), a layer of its own", {SAME: (None,), "ReLU6(), a layer of its own": (6,)}
        ): (*("max_value",),),
        besides("Threshold(0.5), a layer of its own", 0): ("threshold",),
    }
)
_AXIS = dict.fromkeys(
    ("dim", "axis"),
    by_value(
        "no other axis: it is along the last one, and axis 1 is that one for (N, classes) only",
        {"nothing: it is along the last axis": (-1,)},
    ),
)
_LIMITS = by_name(
    {
        besides("low=-1.0, high=1.0", -1): ("min_val", "min_value", "min"),
        besides("high=1.0, and low=-1.0", 1): ("max_val", "max_value", "max"),
    }
)
_SLOPED = by_name(
    {"slope=0.2, shift=0.5: slope · z + shift, cut off at 0 and 1": ("alpha", "beta", "offset")}
)
_SHRINK = {"lam=0.5": ("lambd", "lambda_", "lmbda", "alpha", "bias", "threshold")}
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
            {"shared=True, which is one α for all channels": (1,)},
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
# By class; what several share stands above. The nearest class of a subclass counts.
_OWN: dict[str, dict[str, Advice]] = {
    **{name: {**_KERNEL, **_DENSE} for name in ("Dense", "DenseTranspose")},
    **{f"Conv{n}D": {**_KERNEL, **_CONVOLUTION, **_NOT_TRANSPOSED} for n in (1, 2, 3)},
    **{f"ConvTranspose{n}D": {**_KERNEL, **_CONVOLUTION, **_TRANSPOSED} for n in (1, 2, 3)},
    "DepthwiseConv2D": {**_KERNEL, **_CONVOLUTION, **_DEPTHWISE},
    **{f"MaxPool{n}D": {**_POOL, **_NOT_AVERAGE} for n in (1, 2, 3)},
    **{f"MaxUnpool{n}D": _UNPOOL for n in (1, 2, 3)},
    **{f"AveragePool{n}D": {**_POOL, **_AVERAGE} for n in (1, 2, 3)},
    **{f"L2Pool{n}D": {**_POOL, **_L2} for n in (1, 2, 3)},
    **{f"LpPool{n}D": {**_POOL, **by_name({"p=3": ("norm_type", "ord", "norm")})} for n in (1, 2, 3)},
    **{f"Adaptive{kind}Pool{n}D": _ADAPTIVE for kind in ("Average", "Max") for n in (1, 2, 3)},
    **{f"Global{kind}Pool": {**_INPLACE, **_GLOBAL} for kind in ("Average", "Max")},
    **SEQUENCES,
    "MultiHeadAttention": {**_KERNEL, **ATTENTION},
    "BatchNorm": {**_NORM, **_BATCH},
    "LayerNorm": {**_NORM, **_LAYER_NORM},
    "GroupNorm": {**_NORM, **_GROUPS},
    "InstanceNorm": {**_NORM, **_INSTANCE},
    **{f"Pad{n}D": _PADS for n in (1, 2, 3)},
    **{f"Crop{n}D": by_name({"cropping=1": ("padding", "crop", "border", "size")}) for n in (1, 2, 3)},
    **{
        f"UpSample{n}D": {
            **_UPSAMPLE,
            **dict.fromkeys(
                ("interpolation", "method"),
                by_value(
                    f"no interpolation but mode={between!r}",
                    {
                        "nothing: every pixel again in all places of its block": ("nearest",),
                        f"mode={between!r}": ("bilinear", "linear", "trilinear"),
                    },
                ),
            ),
        }
        for n, between in ((1, "linear"), (2, "bilinear"), (3, "trilinear"))
    },
    "PixelShuffle": by_name({"block=2": ("upscale_factor", "block_size", "blocksize", "factor", "r")}),
    "LocalResponseNorm": by_name(
        {
            "size=11 for a radius of 5, and alpha as many times as large": ("depth_radius", "radius"),
            "k=1.0": ("bias", "add"),
        }
    ),
    "RMSNorm": {**_NORM, **_LAST_AXES, **_RMS},
    "Dropout": {**_INPLACE, **_DROPOUT},
    "Flatten": {**_INPLACE, **_FLATTEN},
    "ReLU": {**_INPLACE, **_RELU},
    "LeakyReLU": {**_INPLACE, **by_name({"slope=0.01": ("negative_slope", "alpha", "leak")})},
    "PReLU": {**_INPLACE, **_PRELU},
    "ELU": {**_INPLACE, **by_name({"alpha=1.0": ("slope", "negative_slope")})},
    "CELU": {**_INPLACE, **by_name({"alpha=1.0": ("slope", "negative_slope")})},
    "GELU": _INPLACE,
    "Softmax": {**_INPLACE, **_AXIS},
    "LogSoftmax": {**_INPLACE, **_AXIS},
    **{name: {**_INPLACE, **_AXIS} for name in ("GLU", "SwiGLU")},
    "Softplus": _INPLACE,
    "HardTanh": {**_INPLACE, **_LIMITS},
    "HardSigmoid": {**_INPLACE, **_SLOPED},
    **{name: {**_INPLACE, **by_name(_SHRINK)} for name in ("HardShrink", "SoftShrink")},
    "Threshold": {**_INPLACE, **by_name({"threshold=0.0": ("theta",)})},
    "SELU": {**_INPLACE, **by_name({"scale=1.0507, alpha=1.6733": ("gamma", "lam")})},
    "ParametricActivation": {**_INPLACE, **by_name({"activation='selu'": ("act", "function", "f")})},
    "Activation": _INPLACE,
    "Features": by_name({"start=0": ("begin", "first"), "stop=4": ("end", "last")}),
    "Permute": by_name({"order=(1, 0)": ("dims", "axes", "perm", "permutation")}),
    "Reshape": by_name({"shape=(4, 4, 2)": ("target_shape", "unflattened_size", "newshape", "sizes")}),
    "Resample": by_name({"axis=0": ("dim",), "weights=[[0.5, 0.5]]": ("matrix", "taps")}),
    "Bias": by_name({"initializer='zeros'": ("init", "init_value")}),
    "Scale": by_name({"initializer='ones'": ("init", "init_value")}),
    "Clamp": by_name(
        {"low=-1.0": ("min", "min_value", "min_val"), "high=1.0": ("max", "max_value", "max_val")}
    ),
    "PeriodicEmbedding": by_name(
        {
            "hidden=16": ("n_frequencies", "plr_hidden_1"),
            "features=4": ("d_embedding", "plr_hidden_2"),
            "sigma=0.1": ("frequency_init_scale", "plr_sigma"),
        }
    ),
}
_OWN |= {
    "Sequential": by_name({"layers=[Dense(8), ReLU()]": ("modules", "blocks", "chain", "args")}),
    "Skip": by_name(
        {
            "source='conv1', the name of an earlier layer": ("layer", "to", "inputs", "tensor", "skip", "of"),
            "join='concat', or 'sum'": ("merge_mode", "mode", "merge", "how"),
            by_value(
                "no other axis: join='concat' is along the last one",
                {"nothing: join='concat' is along the last axis": (-1,)},
            ): ("axis", "dim"),
        }
    ),
    "Residual": by_name(
        {
            "layers=[Dense(8), ReLU(), Dense(8)]": (
                *("modules", "module", "block", "blocks", "branch", "body", "fn"),
            ),
            "shortcut=[Dense(8)], layers for the other way": ("downsample", "skip", "projection", "identity"),
            besides("no activation of its own: ReLU() behind it", None): ("activation",),
        }
    ),
    "Parallel": by_name(
        {
            "chains=[[Dense(8), ReLU()], [Dense(8)]]": ("branches", "layers", "modules", "blocks", "paths"),
            "join='concat', or 'sum'": ("merge_mode", "mode", "merge", "reduction", "how", "aggregate"),
            by_value(
                "no other axis: join='concat' is along the last one",
                {"nothing: join='concat' is along the last axis": (-1,)},
            ): ("axis", "dim"),
        }
    ),
}
_JOINING = by_name(
    {
        "its sources behind it, 'both': (Concat(), 'a', 'b') or (Add(), 'a', 'b')": (
            *("inputs", "tensors", "nodes", "layers", "args", "of", "others"),
        ),
        by_value(
            "no other axis: features, or channels, are the last one",
            {"nothing: features, or channels, are the last axis": (-1,)},
        ): ("axis", "dim", "concat_axis"),
    }
)
_OWN |= dict.fromkeys(
    ("Add", "Concat", "Multiply", "Maximum", "Minimum", "Divide", "Raise"), _JOINING
)
LAYERS = {name: {**_EVERYWHERE, **words} for name, words in _OWN.items()}
LAYERS["Layer"] = _EVERYWHERE  # a layer of one's own
