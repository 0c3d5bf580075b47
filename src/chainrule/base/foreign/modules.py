"""Modules and functions of PyTorch, Keras, scikit-learn, JAX, fastai and skorch, and what stands for them.

Every advice that begins with code can be run as it stands, for a network, X and y: tests/test_typed_names.py
does so.
"""

from __future__ import annotations

from chainrule.base.foreign.words import by_name

_NETWORK = (
    "chainrule.Network([chainrule.Dense(100), chainrule.ReLU(), chainrule.Dense(10), chainrule.Softmax()], "
    "input_shape=784)"
)
_LAYERS = f"{_NETWORK}; layers and losses are names of chainrule itself"
_TRAIN = "chainrule.fit(network, X, y, epochs=5)"
_OPTIMIZER = "chainrule.fit(network, X, y, optimizer=chainrule.Adam(1e-3)); SGD, AdamW, RMSProp are there too"
_ALL = "whole arrays: chainrule.fit(network, X, y, batch_size=32) takes the batches out of them"
_NO_OPTIMIZER = (
    "no such optimizer: chainrule.SGD(0.1, momentum=0.9), chainrule.Adam(1e-3), AdamW, NAdam, RAdam, "
    "Lion, LAMB, "
    "chainrule.RMSProp(1e-3), Adagrad and Adadelta are there"
)
_NO_SCHEDULE = (
    "no such schedule: chainrule.StepDecay(0.1), chainrule.ExponentialDecay(0.1), "
    "chainrule.CosineDecay(0.1, warmup_epochs=1), chainrule.OneCycle(0.1), chainrule.Warmup(0.1), "
    "chainrule.ReduceOnPlateau() are there, and a class of your own made from chainrule.Schedule"
)
_NO_LOSS = "no such loss: a class of your own made from chainrule.Loss needs `value` and `gradient`"
_NO_LOG = "chainrule.fit(network, X, y, callbacks=print), a function that is called after every epoch"
_GRADIENTS = "network.backpropagate(X, y).gradients, of every parameter by name"
_CHECK = "chainrule.check_gradients(network, X, y)"
_METRIC = "network.accuracy(X, y); other metrics are computed from network.predict(X) or network.classify(X)"
_MSE = "chainrule.SquaredError(mean_outputs=True), which is ½ e² where theirs is e²"
_SEED = (
    "chainrule.Network(layers, input_shape=784, seed=0), chainrule.fit(network, X, y, seed=0): there is none "
    "for all"
)
_CPU = "nothing: everything is computed on the CPU, by chainrule.threads() threads"
_DTYPE = "chainrule.Network(layers, input_shape=784, dtype='float64'), or 'float32' as it is without it"
_ONE_HOT = "nothing: chainrule.fit(network, X, y) takes labels; numpy.eye(3)[y] are one-hot rows"
_PLAIN = "numpy.asarray(X): arrays are NumPy's"
_SPLIT = "chainrule.data.split(X, y, 0.2, seed=0), which gives X_train, X_test, y_train, y_test"
_SCALE = "chainrule.data.Standardizer.learn(X), called with X it gives mean 0 and deviation 1"
_SEARCH = (
    "no search here: scikit-learn's takes an estimator, "
    "GridSearchCV(chainrule.estimators.NetworkClassifier(), {'learning_rate': [0.01, 0.1]})"
)
_FOLDS = (
    "no folds here: scikit-learn's KFold gives the rows, and network.reinitialise(0) starts a network anew"
)
_OWN_LAYER = "a layer of your own, made from chainrule.Layer, with forward and delta"
_SHAPE = f"chainrule.Reshape((4, 4, 2)), chainrule.Permute((1, 0)), chainrule.Flatten(); or {_OWN_LAYER}"

MODULES = by_name(
    {
        # modules
        _LAYERS: (
            "nn",
            "models",
            "module",
            "keras",
            "flax",
            "linen",
            "applications",
            "stax",
            "torch",
            "learner",
        ),
        _OPTIMIZER: ("optim", "optimizers", "optimizer", "optax", "tree", "solvers"),
        "chainrule.SGD(chainrule.CosineDecay(0.1)): a schedule is the rate of an optimizer": (
            "lr_scheduler",
            "schedules",
            "schedulers",
            "lr_schedules",
        ),
        "chainrule.EarlyStopping(5), chainrule.Checkpoint('net.npz'), chainrule.ReduceOnPlateau()": (
            "callbacks",
            "callback",
        ),
        "chainrule.ReLU() and others, which are layers; functions of arrays are NumPy's: numpy.tanh(X)": (
            *("functional", "F", "activations", "backend", "K", "ops", "math", "numpy", "jnp"),
        ),
        _METRIC: ("metrics", "metric", "accuracy", "accuracy_score", "Accuracy", "score"),
        "chainrule.penalties.L2(1e-4), which fit takes as penalty=": ("regularizers", "regularizer"),
        "chainrule.initializers.He()": ("init", "initializer"),
        "chainrule.data.load_mnist('mnist') or chainrule.data.load_digits()": (
            *("datasets", "dataset", "mnist", "MNIST", "untar_data"),
        ),
        "chainrule.data.load_mnist('mnist')": ("load_mnist", "fetch_openml"),
        "chainrule.data.load_digits()": ("load_digits",),
        "chainrule.data.load_csv('table.csv')": ("load_csv", "read_csv"),
        "chainrule.data.load_npz('data.npz')": ("load_npz",),
        _SPLIT: ("train_test_split", "random_split", "split", "model_selection"),
        _SCALE: ("StandardScaler", "Standardizer", "Normalization", "preprocessing", "MinMaxScaler"),
        _FOLDS: ("KFold", "StratifiedKFold"),
        _SEARCH: (
            *("cross_val_score", "cross_validate", "GridSearchCV", "RandomizedSearchCV"),
            *("HalvingGridSearchCV", "NetworkSearchCV", "fit_many", "Tuner", "RandomSearch"),
        ),
        _ONE_HOT: ("to_categorical", "one_hot", "OneHotEncoder", "LabelEncoder", "LabelBinarizer", "utils"),
        "numpy.random.default_rng(0) for arrays; a network has its seed, Network([...], seed=0)": (
            *("random", "PRNGKey", "rng", "Rngs"),
        ),
        # what holds numbers, and where
        _PLAIN: (
            *("tensor", "Tensor", "as_tensor", "array", "asarray", "from_numpy", "Variable", "FloatTensor"),
            "convert_to_tensor",
        ),
        _ALL: ("DataLoader", "DataLoaders", "Dataset", "TensorDataset", "ImageDataGenerator", "DataBlock"),
        _SEED: ("manual_seed", "set_seed", "seed", "set_random_seed", "seed_everything"),
        _CPU: ("cuda", "device", "gpu", "cpu", "mps", "set_device", "is_available"),
        _DTYPE: ("float32", "float64", "set_floatx", "set_default_dtype", "float", "double"),
        "chainrule.set_threads(2)": ("set_num_threads", "set_nthreads"),
        "chainrule.threads()": ("get_num_threads",),
        # training
        f"{_TRAIN}, which trains any network": (
            *("train", "Trainer", "Learner", "train_step", "train_model", "compile", "fit_one_cycle"),
            *("NeuralNet", "TrainState"),
        ),
        "chainrule.fit_full_batch(network, X, y, iterations=5)": ("LBFGS", "minimize", "fmin_cg"),
        _NO_OPTIMIZER: (
            "Adamax",
            "Ftrl",
            "Adafactor",
        ),
        "chainrule.SGD(0.1, momentum=0.9)": ("Momentum", "SGDMomentum"),
        "chainrule.SGD(0.1, momentum=0.9, nesterov=True)": ("Nesterov", "NesterovMomentum"),
        _NO_SCHEDULE: (
            *(
                "LambdaLR",
                "MultiStepLR",
                "LearningRateScheduler",
                "CosineAnnealingWarmRestarts",
            ),
            *("CyclicLR", "PolynomialDecay", "PiecewiseConstantDecay", "LRScheduler"),
        ),
        "chainrule.CosineDecay(0.1)": ("CosineAnnealing", "cosine_decay_schedule"),
        "chainrule.ReduceOnPlateau(0.1, patience=10), one of the callbacks of fit": ("ReduceLROnPlateau",),
        f"{_NO_LOG}; the history has to_csv and to_svg": (
            *("ProgbarLogger", "WandbLogger", "LambdaCallback"),
        ),
        "chainrule.JSONLines('log.jsonl'), one of the callbacks of fit, or history.to_csv('log.csv')": (
            *("CSVLogger", "JSONLogger"),
        ),
        "chainrule.TensorBoard('runs/a'), one of the callbacks of fit": (
            *("SummaryWriter", "TensorBoardLogger", "TensorBoardCallback"),
        ),
        "chainrule.fit(network, X, y, progress=True)": ("tqdm", "ProgressBar"),
        # networks
        "network.save('net.npz')": ("save", "save_model", "save_weights", "dump"),
        "network.to_onnx('net.onnx'), or network.save('net.npz') for chainrule itself": (
            *("export", "to_onnx", "onnx"),
        ),
        "no reader of Keras's models: a network of the same layers takes what their get_weights() gives, by "
        "set_keras_weights": ("from_keras", "from_tensorflow"),
        "no such name: chainrule.from_torch takes a module of PyTorch, "
        "from_torch(module, input_shape=(3, 32, 32))": ("from_pytorch", "import_torch"),
        "chainrule.from_onnx('net.onnx')": ("load_onnx", "import_onnx", "read_onnx"),
        "chainrule.load('net.npz')": (
            "load_model",
            "load_weights",
            "load_state_dict",
            "load_learner",
            "restore",
        ),
        "network.predict(X)": ("predict", "infer", "predict_proba"),
        "network.loss(X, y) or network.accuracy(X, y)": ("evaluate", "test"),
        "network.summary()": ("summary", "plot_model", "model_summary"),
        "network.copy()": ("clone", "clone_model", "deepcopy"),
        _GRADIENTS: ("grad", "value_and_grad", "GradientTape", "autograd", "backward", "backprop"),
        _CHECK: (
            "gradcheck",
            "check_grad",
            "numerical_gradient",
            "grad_check",
            "gradient_check",
            "approx_fprime",
        ),
        "nothing: a prediction keeps nothing for a gradient, network.predict(X)": (
            "no_grad",
            "inference_mode",
        ),
        "nothing: chainrule.fit(network, X, y) compiles the network": (
            "jit",
            "vmap",
            "pmap",
            "function",
            "script",
        ),
        _NETWORK: (
            *(
                "MLP",
                "Perceptron",
                "MultilayerPerceptron",
                "tabular_learner",
                "vision_learner",
                "cnn_learner",
            ),
        ),
        "chainrule.Network([chainrule.Dense(3), chainrule.Softmax()], input_shape=4)": (
            "LogisticRegression",
        ),
        "chainrule.Network([chainrule.Dense(1)], input_shape=4)": ("LinearRegression", "Ridge"),
        "chainrule.fit(network, X, y, penalty=chainrule.L1(1e-5))": ("Lasso",),
        "chainrule.Network.from_theta([Theta1, Theta2])": ("from_theta",),
        # layers
        "chainrule.Sequential([chainrule.Dense(8), chainrule.ReLU()])": ("ModuleList",),
        _OWN_LAYER: ("Lambda", "ModuleDict", "Function", "custom_vjp", "custom_gradient"),
        _SHAPE: ("Unflatten", "RepeatVector", "Rearrange"),
        f"no such layer: chainrule.ConvTranspose2D(8, 2, stride=2) makes images larger; or {_OWN_LAYER}": (
            *("Resizing", "PixelUnshuffle"),
        ),
        "nothing: chainrule.Dense(8) on sequences is applied to every step": ("TimeDistributed",),
        "chainrule.Sequential([chainrule.Residual([chainrule.LayerNorm(), chainrule.MultiHeadAttention(2)]), "
        "chainrule.Residual([chainrule.LayerNorm(), chainrule.Dense(16), chainrule.GELU(), "
        "chainrule.Dense(8)])]), for 8 features": (
            "TransformerEncoderLayer",
            "TransformerBlock",
            "TransformerEncoder",
            "Transformer",
        ),
        "chainrule.Graph({'decoder': (chainrule.TransformerDecoder(4, 128), 'target', 'memory')}, "
        "inputs={'target': (7, 16), 'memory': (9, 16)})": ("TransformerDecoderLayer",),
        "no such join: chainrule.Add(), chainrule.Multiply(), chainrule.Divide(), chainrule.Maximum(), "
        "chainrule.Minimum(), chainrule.Raise() and chainrule.Concat() are those of a Graph": (
            *("Dot", "Subtract", "Average"),
        ),
        "chainrule.Graph({..., 'raised': (chainrule.Raise(), 'a', 'b')}, input_shape=784)": (
            *("Power", "Pow", "pow", "power"),
        ),
        "nothing: images of uint8 are divided by 255; numbers are brought to one scale by "
        "chainrule.data.Standardizer.learn(X), called with X": ("Rescaling", "Rescale", "ToTensor"),
        f"no noise but that of chainrule.Dropout(0.5); or {_OWN_LAYER}": ("GaussianNoise", "GaussianDropout"),
        "no layer that changes images in training: a loader that fit takes changes them, or copies are added "
        "to X": (
            *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomCrop"),
            *("RandomHorizontalFlip", "RandomVerticalFlip", "RandomResizedCrop"),
        ),
        # losses
        _MSE: ("mse", "mse_loss", "mean_squared_error", "l2_loss", "MSELossFlat"),
        "chainrule.MeanAbsoluteError(mean_outputs=True)": ("mae", "l1_loss", "mean_absolute_error"),
        "chainrule.CrossEntropy(), behind chainrule.Softmax()": (
            *("cross_entropy", "log_loss", "categorical_crossentropy", "CrossEntropyLossFlat"),
            *("sparse_categorical_crossentropy", "softmax_cross_entropy", "crossentropy"),
        ),
        "chainrule.BinaryCrossEntropy(), behind chainrule.Sigmoid(), which sums over the outputs": (
            *("binary_cross_entropy", "binary_crossentropy", "binary_cross_entropy_with_logits", "bce"),
        ),
        "chainrule.KLDivergence(), behind chainrule.LogSoftmax()": ("KLDivLoss", "kl_div"),
        "chainrule.NegativeLogLikelihood(), behind chainrule.LogSoftmax(), a loss": ("nll_loss",),
        "chainrule.LogSoftmax(), a layer": ("log_softmax",),
        _NO_LOSS: (
            *(
                "FocalLoss",
                "LogCosh",
                "TripletMarginLoss",
            ),
            *("MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "DiceLoss"),
        ),
    }
)
