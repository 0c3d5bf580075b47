"""What PyTorch, Keras and scikit-learn call it, and what it is called here, or that there is none."""

from __future__ import annotations

from chainrule.base.foreign.modules import MODULES
from chainrule.base.foreign.words import by_name

_SUMS = "which sums over the outputs where theirs averages"

_DRAWN = "numpy.random.default_rng(0)"

_CLASSES = by_name(
    {
        # layers
        "chainrule.Dense(units)": ("Linear", "LazyLinear"),
        "chainrule.SiLU()": ("Swish",),
        "chainrule.RNN(units)": ("SimpleRNN",),
        "chainrule.LSTM(units, layers=2)": ("StackedRNNCells", "MultiRNNCell"),
        "chainrule.RNN(units), which goes through the whole sequence": ("RNNCell", "SimpleRNNCell"),
        "chainrule.LSTM(units), which goes through the whole sequence": ("LSTMCell",),
        "chainrule.GRU(units), which goes through the whole sequence": ("GRUCell",),
        "chainrule.BatchNorm()": (
            *("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchNormalization"),
        ),
        "chainrule.LayerNorm()": ("LayerNormalization",),
        "chainrule.RMSNorm()": ("RMSNormalization",),
        "chainrule.GroupNorm(groups)": ("GroupNormalization",),
        "chainrule.InstanceNorm(scale=False, shift=False); with affine=True chainrule.InstanceNorm()": (
            *("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "InstanceNormalization"),
        ),
        "chainrule.MaxPool2D(2)": ("MaxPooling2D",),
        "chainrule.MaxPool1D(2)": ("MaxPooling1D",),
        "chainrule.MaxPool3D(2)": ("MaxPooling3D",),
        "chainrule.AveragePool2D(2)": ("AveragePooling2D",),
        "chainrule.AveragePool1D(2)": ("AveragePooling1D",),
        "chainrule.AveragePool3D(2)": ("AveragePooling3D",),
        "chainrule.AveragePool2D(2), with count_padding=True where it pads and count_include_pad is True": (
            *("AvgPool2d",),
        ),
        "chainrule.AveragePool1D(2), with count_padding=True where it pads and count_include_pad is True": (
            *("AvgPool1d",),
        ),
        "chainrule.AveragePool3D(2), with count_padding=True where it pads and count_include_pad is True": (
            *("AvgPool3d",),
        ),
        "chainrule.L2Pool2D(2), for norm_type 2, or chainrule.LpPool2D(3, 2)": ("LPPool2d",),
        "chainrule.L2Pool1D(2), for norm_type 2, or chainrule.LpPool1D(3, 2)": ("LPPool1d",),
        "chainrule.L2Pool3D(2), for norm_type 2, or chainrule.LpPool3D(3, 2)": ("LPPool3d",),
        "chainrule.GlobalAveragePool()": tuple(f"GlobalAveragePooling{n}D" for n in (1, 2, 3)),
        "chainrule.GlobalMaxPool()": tuple(f"GlobalMaxPooling{n}D" for n in (1, 2, 3)),
        **{
            f"chainrule.Adaptive{kind}Pool{n}D(4); of size 1, as a vector, chainrule.Global{kind}Pool()": (
                *(f"Adaptive{theirs}Pool{n}{d}" for theirs in spelled for d in "dD"),
                *(f"Adaptive{kind}Pool{n}d", f"Adaptive{kind}Pooling{n}D", f"adaptive_{word}_pool{n}d"),
            )
            for n in (1, 2, 3)
            for kind, spelled, word in (("Average", ("Avg",), "avg"), ("Max", (), "max"))
        },
        "chainrule.Pad1D(1), or padding=1 in the convolution that follows": ("ZeroPadding1D", "ZeroPad1d"),
        "chainrule.Pad2D(1), or padding=1 in the convolution that follows": ("ZeroPadding2D", "ZeroPad2d"),
        "chainrule.Pad3D(1), or padding=1 in the convolution that follows": ("ZeroPadding3D", "ZeroPad3d"),
        **{
            f"chainrule.Pad{n}D(1, mode={mode!r})": (f"{name}Pad{n}d",)
            for n in (1, 2, 3)
            for mode, name in zip(
                ("reflect", "replicate", "circular"), ("Reflection", "Replication", "Circular"), strict=True
            )
        },
        "chainrule.Pad1D(1), for the value 0": ("ConstantPad1d",),
        "chainrule.Pad2D(1), for the value 0": ("ConstantPad2d", "Pad"),
        "chainrule.Pad3D(1), for the value 0": ("ConstantPad3d",),
        "chainrule.Crop1D(1)": ("Cropping1D",),
        "chainrule.Crop3D(1)": ("Cropping3D",),
        "chainrule.Crop2D(1)": ("Cropping2D", "CenterCrop"),
        "chainrule.UpSample1D(2)": ("UpSampling1D",),
        "chainrule.UpSample3D(2)": ("UpSampling3D",),
        "chainrule.UpSample2D(2), which repeats pixels, or with mode='bilinear' what lies between": (
            *("UpSampling2D", "Upsample", "UpsamplingNearest2d", "upsample", "interpolate"),
        ),
        "chainrule.UpSample2D(2, mode='bilinear'), with align_corners=False": ("UpsamplingBilinear2d",),
        "chainrule.PixelShuffle(2)": ("pixel_shuffle", "depth_to_space", "DepthToSpace"),
        "chainrule.ConvTranspose2D(filters, 3)": ("Conv2DTranspose",),
        "chainrule.ConvTranspose1D(filters, 3)": ("Conv1DTranspose",),
        "chainrule.ConvTranspose3D(filters, 3)": ("Conv3DTranspose",),
        "chainrule.DepthwiseConv2D(3), and chainrule.Conv2D(filters, 1) behind it": ("SeparableConv2D",),
        "Network([...], input_shape=(28, 28, 1)), without a layer for the input": ("Input", "InputLayer"),
        "chainrule.Residual([...]), chainrule.Parallel([...]), or chainrule.Skip('conv1', join='sum')": (
            "SkipConnection",
        ),
        "chainrule.Graph({..., 'both': (chainrule.Concat(), 'a', 'b')}, input_shape=784)": (
            *("Concatenate", "cat", "concatenate", "hstack", "Functional", "GraphModule"),
        ),
        "no dropout of whole channels: chainrule.Dropout(0.5) draws every entry by itself": (
            *("Dropout1d", "Dropout2d", "Dropout3d"),
            *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        ),
        "no dropout for SELU: chainrule.Dropout(0.5) puts zeros": ("AlphaDropout",),
        "chainrule.MultiHeadAttention(heads)": ("MultiheadAttention",),
        "no attention without weights: chainrule.MultiHeadAttention(heads) has W of q, k, v and the output": (
            *("Attention", "scaled_dot_product_attention"),
        ),
        # losses
        "chainrule.SquaredError(mean_outputs=True), which is ½ e² where theirs is e²": (
            *("MSE", "MSELoss", "MeanSquaredError"),
        ),
        "chainrule.MeanAbsoluteError(mean_outputs=True)": ("MAE", "L1Loss", "AbsoluteError"),
        "chainrule.Huber(mean_outputs=True)": ("HuberLoss",),
        "chainrule.Huber(mean_outputs=True), for beta 1": ("SmoothL1Loss",),
        "chainrule.CrossEntropy(), behind chainrule.Softmax()": (
            *("CrossEntropyLoss", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"),
        ),
        f"chainrule.BinaryCrossEntropy(), behind chainrule.Sigmoid(), {_SUMS}": (
            *("BCELoss", "BCEWithLogitsLoss", "BinaryCrossentropy"),
        ),
        f"chainrule.Poisson(log_input=True), {_SUMS}": ("PoissonNLLLoss",),
        f"chainrule.Hinge(squared=True), {_SUMS}": ("SquaredHinge",),
        "chainrule.MultiMargin(mean_outputs=True)": ("MultiMarginLoss",),
        "chainrule.SoftMargin(mean_outputs=True)": ("SoftMarginLoss",),
        "chainrule.BinaryCrossEntropy(mean_outputs=True), behind chainrule.Sigmoid()": (
            *("MultiLabelSoftMarginLoss",),
        ),
        "chainrule.NegativeLogLikelihood(), behind chainrule.LogSoftmax()": ("NLLLoss",),
        "chainrule.CTC(mean_labels=True), behind chainrule.LogSoftmax()": ("CTCLoss", "ctc_loss"),
        f"chainrule.GaussianNLL(), of means and logarithms of variances, {_SUMS}": ("GaussianNLLLoss",),
        "chainrule.CosineDistance(), which is 1 - cos": ("CosineSimilarity", "CosineEmbeddingLoss"),
        # penalties, optimizers, schedules, callbacks
        "chainrule.ElasticNet(1e-5, 1e-4), whose l2 is twice Keras's": ("L1L2",),
        "chainrule.StepDecay(0.1)": ("StepLR",),
        "chainrule.CosineDecay(0.1)": ("CosineAnnealingLR",),
        "chainrule.ExponentialDecay(0.1)": ("ExponentialLR",),
        "chainrule.OneCycle(0.1)": ("OneCycleLR", "OneCyclePolicy"),
        "chainrule.Warmup(0.1, epochs=1), in front of a rate or a schedule": (
            "LinearLR",
            "LinearWarmup",
            "WarmUp",
        ),
        "chainrule.NAdam()": ("Nadam",),
        "chainrule.LAMB()": ("Lamb",),
        "chainrule.ExponentialAverage(0.999), one of the callbacks of fit": (
            *("EMA", "ExponentialMovingAverage", "ModelEMA", "AveragedModel"),
        ),
        "chainrule.AverageWeights(start_epoch=5), one of the callbacks of fit": (
            *("SWA", "SWALR", "StochasticWeightAveraging"),
        ),
        "chainrule.rate_range_test(network, X, y)": (
            "LRFinder",
            "lr_find",
            "lr_finder",
            "LearningRateFinder",
        ),
        "chainrule.Checkpoint('net.npz')": ("ModelCheckpoint",),
        # initializers
        "chainrule.Glorot()": ("GlorotUniform", "XavierUniform", "Xavier"),
        "chainrule.He(), which is normal": ("HeNormal", "KaimingNormal", "Kaiming"),
        "chainrule.ScaledNormal(), which is normal": ("LecunNormal",),
        "chainrule.Normal(0.05)": ("RandomNormal",),
        "chainrule.Uniform(0.05)": ("RandomUniform",),
        "chainrule.Orthogonal()": ("OrthogonalInitializer",),
        # Functions elsewhere, whose names differ from a class here in case only.
        "numpy.zeros(shape) for an array; chainrule.Zeros() is an initializer": ("zeros",),
        "numpy.ones(shape) for an array; chainrule.Ones() is an initializer": ("ones",),
        "numpy.full(shape, value) for an array; chainrule.Constant(value) is an initializer": ("constant",),
        f"{_DRAWN}.normal(size=...) for an array; chainrule.Normal(0.05) is an initializer": ("normal",),
        f"{_DRAWN}.uniform(size=...) for an array; chainrule.Uniform(0.05) is an initializer": ("uniform",),
        f"{_DRAWN}.poisson(size=...) for an array; chainrule.Poisson() is a loss": ("poisson",),
        # networks
        "chainrule.Network([...], input_shape=784)": ("Model", "Module"),
        "chainrule.estimators.MLPClassifier()": ("MLPClassifier",),
        "chainrule.estimators.MLPRegressor()": ("MLPRegressor",),
        "chainrule.estimators.NetworkClassifier([chainrule.Dense(50), chainrule.ReLU()])": (
            *("NetworkClassifier", "NeuralNetClassifier", "KerasClassifier", "SKLearnClassifier"),
        ),
        "chainrule.estimators.NetworkRegressor([chainrule.Dense(50), chainrule.ReLU()])": (
            *("NetworkRegressor", "NeuralNetRegressor", "KerasRegressor", "SKLearnRegressor"),
        ),
        "chainrule.estimators.TabularClassifier()": (
            *("TabularClassifier", "RealMLP_TD_Classifier", "RealMLPClassifier", "TabNetClassifier"),
        ),
        "chainrule.estimators.TabularRegressor()": (
            *("TabularRegressor", "RealMLP_TD_Regressor", "RealMLPRegressor", "TabNetRegressor"),
        ),
    }
)

NAMES = {**_CLASSES, **MODULES}
