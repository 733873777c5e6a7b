"""The same networks in Keras 3, as the reference for test/model/keras-parity.test.ts.

For each folder DIR/*: reads case.json and raw little-endian float32 files beside it, writes result.json and raw files
likewise.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import keras
import numpy as np

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(2)

SUFFIXES = {"scale": "gamma", "offset": "beta", "mean": "moving_mean", "variance": "moving_variance"}


class ChannelDropout(keras.layers.Layer):
    """SpatialDropout3D with the numbers that distmis draws: seed of the step, plus 7919 for each layer, from 1."""

    step_seed = (0, 0)

    def __init__(self, rate, index):
        super().__init__()
        self.rate, self.index = rate, index

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        first, second = self.step_seed
        seed = [first + 7919 * self.index, second]
        drawn = tf.raw_ops.StatelessRandomUniform(shape=[x.shape[0], x.shape[-1]], seed=seed, dtype=tf.float32)
        mask = tf.cast(drawn >= self.rate, tf.float32) / (1 - self.rate)
        return x * mask[:, None, None, None, :]


class Builder:
    def __init__(self, config, outputs):
        self.config, self.outputs, self.dropouts = config, outputs, 0

    def normalisation(self, name):
        config = self.config
        if config["norm"] == "batch":
            return keras.layers.BatchNormalization(momentum=config["norm_momentum"], epsilon=1e-3, name=name)
        groups = -1 if config["norm"] == "instance" else config["groups"]
        return keras.layers.GroupNormalization(groups=groups, epsilon=1e-3, name=name)

    def conv(self, filters, name, kernel=None, use_bias=True):
        return keras.layers.Conv3D(
            filters, kernel or self.config["kernel"], padding="same", use_bias=use_bias, name=name
        )

    def activation(self):
        if self.config["activation"] == "relu":
            return keras.layers.Activation("relu")
        return keras.layers.LeakyReLU(negative_slope=self.config["negative_slope"])

    def block(self, x, name, filters):
        normed = self.config["norm"] != "none"
        before = x
        for i in range(2):
            x = self.conv(filters, f"{name}_conv{i}", use_bias=not normed)(x)
            if normed:
                x = self.normalisation(f"{name}_norm{i}")(x)
            if i == 0 or not self.config["residual"]:
                x = self.activation()(x)
        self.dropouts += 1
        x = ChannelDropout(self.config["dropout"], self.dropouts)(x)
        if self.config["residual"]:
            shortcut = self.conv(filters, f"{name}_shortcut", kernel=1, use_bias=False)(before)
            x = self.activation()(keras.layers.Add()([x, shortcut]))
        return x

    def up(self, x, name, filters):
        if self.config["upsampling"] == "nearest":
            return self.conv(filters, name)(keras.layers.UpSampling3D(2)(x))
        return keras.layers.Conv3DTranspose(filters, self.config["kernel"], strides=2, padding="same", name=name)(x)

    def build(self, shape):
        depth, base = self.config["depth"], self.config["filters"]
        inputs = keras.Input(shape)
        x, skips = inputs, []
        for level in range(depth):
            x = self.block(x, f"down{level}", base * 2**level)
            skips.append(x)
            x = keras.layers.MaxPooling3D(2)(x)
        x = self.block(x, "bottom", base * 2**depth)
        for level in reversed(range(depth)):
            filters = base * 2**level
            x = keras.layers.Concatenate()([self.up(x, f"up{level}_transpose", filters), skips[level]])
            x = self.block(x, f"up{level}", filters)
        return keras.Model(inputs, self.conv(self.outputs, "output")(x))


def variable(model, name):
    *layer, last = name.split(".")
    wanted = SUFFIXES.get(last, last)
    return next(v for v in model.get_layer("_".join(layer)).weights if v.name == wanted)


def dice_of(truth, probabilities):
    common = tf.reduce_sum(truth * probabilities)
    return (2 * common + 0.01) / (tf.reduce_sum(truth) + tf.reduce_sum(probabilities) + 0.01)


def loss_of(kind, truth, logits):
    outputs = logits.shape[-1]
    if outputs == 1:
        loss = 1 - dice_of(truth, tf.sigmoid(logits))
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    else:
        labels = tf.cast(truth[..., 0], tf.int32)
        one_hot, probabilities = tf.one_hot(labels, outputs), tf.nn.softmax(logits)
        scores = [dice_of(one_hot[..., k], probabilities[..., k]) for k in range(1, outputs)]
        loss = 1 - tf.add_n(scores) / len(scores)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return loss + tf.reduce_mean(entropy) if kind == "dice_ce" else loss


def learning_rate(train, total):
    rate, warmup = train["learning_rate"], round(train["warmup_epochs"] * total / train["epochs"])
    if train["schedule"] == "cosine":
        return keras.optimizers.schedules.CosineDecay(0.0, total - warmup, warmup_target=rate, warmup_steps=warmup)
    assert warmup == 0, "Keras has no other schedule with a warm-up"
    if train["schedule"] == "polynomial":
        return keras.optimizers.schedules.PolynomialDecay(rate, total, 0.0, train["schedule_power"])
    return rate


def optimizer_of(train, rate):
    clip = train["clip_norm"] or None
    if train["optimizer"] == "sgd":
        return keras.optimizers.SGD(rate, float(train["momentum"]), train["nesterov"], global_clipnorm=clip)
    options = {
        "learning_rate": rate,
        "beta_1": train["beta1"],
        "beta_2": train["beta2"],
        "epsilon": train["epsilon"],
        "amsgrad": train["amsgrad"],
        "global_clipnorm": clip,
    }
    if train["optimizer"] == "adamw":
        return keras.optimizers.AdamW(weight_decay=train["weight_decay"], **options)
    return keras.optimizers.Adam(**options)


def load(variables, flat):
    offset = 0
    for v in variables:
        size = int(np.prod(v.shape))
        v.assign(flat[offset : offset + size].reshape(v.shape))
        offset += size
    assert offset == flat.size, (offset, flat.size)


def flat(values):
    return np.concatenate([np.asarray(v).reshape(-1) for v in values]) if values else np.zeros(0, "f4")


def run(directory):
    case = json.loads((directory / "case.json").read_text())
    train = case["train"]

    def read(name, shape):
        return np.fromfile(directory / f"{name}.bin", dtype="<f4").reshape(shape)

    def write(name, values):
        flat(values).astype("<f4").tofile(directory / f"{name}.bin")

    keras.backend.clear_session()
    images = read("images", case["shape"])
    truth = read("truth", [*case["shape"][:4], 1])
    model = Builder(case["model"], case["outputs"]).build(case["shape"][1:])
    learnt = [variable(model, spec["name"]) for spec in case["parameters"]]
    moving = [variable(model, spec["name"]) for spec in case["statistics"]]

    def gradients(step):
        ChannelDropout.step_seed = (train["seed"], step)
        with tf.GradientTape() as tape:
            loss = loss_of(train["loss"], truth, model(images, training=True))
        return float(loss), tape.gradient(loss, [v.value for v in learnt])

    load(learnt, read("parameters", [-1]))
    load(moving, read("statistics", [-1]))
    write("logits", [model(images, training=False)])
    loss, first = gradients(0)
    write("gradient", first)
    write("moved", [v.numpy() for v in moving])

    load(moving, read("statistics", [-1]))
    rate = learning_rate(train, case["steps"])
    optimizer = optimizer_of(train, rate)
    losses, rates = [], []
    for step in range(case["steps"]):
        step_loss, step_gradients = gradients(step)
        rates.append(float(rate(step)) if callable(rate) else rate)
        optimizer.apply_gradients(zip(step_gradients, learnt, strict=True))
        losses.append(step_loss)

    # The optimiser by itself, on gradients that are given: in a network a small mistake of it may not show.
    given = read("given", [case["steps"], -1])
    alone = keras.Variable(read("parameters", [-1])[: given.shape[1]])
    optimizer = optimizer_of(train, learning_rate(train, case["steps"]))
    for gradient in given:
        optimizer.apply_gradients([(tf.constant(gradient), alone)])
    write("optimized", [alone.numpy()])
    (directory / "result.json").write_text(json.dumps({"loss": loss, "losses": losses, "rates": rates}))


for folder in sorted(Path(sys.argv[1]).iterdir()):
    run(folder)
