"""The same network in Keras 3, as the reference for test/model/keras-parity.test.ts.

Reads DIR/case.json and raw little-endian float32 files beside it, writes DIR/result.json and raw files likewise.
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

directory = Path(sys.argv[1])
case = json.loads((directory / "case.json").read_text())
model_config, train_config = case["model"], case["train"]


def read(name, shape):
    return np.fromfile(directory / f"{name}.bin", dtype="<f4").reshape(shape)


def normalisation(name):
    if model_config["norm"] == "batch":
        return keras.layers.BatchNormalization(momentum=model_config["norm_momentum"], epsilon=1e-3, name=name)
    return keras.layers.GroupNormalization(groups=model_config["groups"], epsilon=1e-3, name=name)


def block(x, name, filters):
    normed = model_config["norm"] != "none"
    for i in range(2):
        x = keras.layers.Conv3D(
            filters, model_config["kernel"], padding="same", use_bias=not normed, name=f"{name}_conv{i}"
        )(x)
        if normed:
            x = normalisation(f"{name}_norm{i}")(x)
        x = keras.layers.Activation("relu")(x)
    return x


def build(shape):
    depth, base, kernel = model_config["depth"], model_config["filters"], model_config["kernel"]
    inputs = keras.Input(shape)
    x, skips = inputs, []
    for level in range(depth):
        x = block(x, f"down{level}", base * 2**level)
        skips.append(x)
        x = keras.layers.MaxPooling3D(2)(x)
    x = block(x, "bottom", base * 2**depth)
    for level in reversed(range(depth)):
        filters = base * 2**level
        x = keras.layers.Conv3DTranspose(filters, kernel, strides=2, padding="same", name=f"up{level}_transpose")(x)
        x = keras.layers.Concatenate()([x, skips[level]])
        x = block(x, f"up{level}", filters)
    return keras.Model(inputs, keras.layers.Conv3D(1, kernel, padding="same", name="output")(x))


SUFFIXES = {"scale": "gamma", "offset": "beta", "mean": "moving_mean", "variance": "moving_variance"}


def variable(model, name):
    *layer, last = name.split(".")
    wanted = SUFFIXES.get(last, last)
    return next(v for v in model.get_layer("_".join(layer)).weights if v.name == wanted)


def dice_loss(truth, probabilities):
    common = tf.reduce_sum(truth * probabilities)
    return 1 - (2 * common + 0.01) / (tf.reduce_sum(truth) + tf.reduce_sum(probabilities) + 0.01)


images = read("images", case["shape"])
truth = read("truth", [*case["shape"][:4], 1])
model = build(case["shape"][1:])
learnt = [variable(model, spec["name"]) for spec in case["parameters"]]
moving = [variable(model, spec["name"]) for spec in case["statistics"]]


def load(variables, flat):
    offset = 0
    for v in variables:
        size = int(np.prod(v.shape))
        v.assign(flat[offset : offset + size].reshape(v.shape))
        offset += size
    assert offset == flat.size, (offset, flat.size)


def flat(values):
    return np.concatenate([np.asarray(v).reshape(-1) for v in values]) if values else np.zeros(0, "f4")


load(learnt, read("parameters", [-1]))
load(moving, read("statistics", [-1]))
flat([model(images, training=False)]).astype("<f4").tofile(directory / "logits.bin")
with tf.GradientTape() as tape:
    logits = model(images, training=True)
    loss = dice_loss(truth, tf.sigmoid(logits))
gradients = tape.gradient(loss, [v.value for v in learnt])
flat(gradients).astype("<f4").tofile(directory / "gradient.bin")
flat([v.numpy() for v in moving]).astype("<f4").tofile(directory / "moved.bin")

load(moving, read("statistics", [-1]))
optimizer = keras.optimizers.Adam(
    learning_rate=train_config["learning_rate"],
    beta_1=train_config["beta1"],
    beta_2=train_config["beta2"],
    epsilon=train_config["epsilon"],
    amsgrad=train_config["amsgrad"],
)
losses = []
for _ in range(case["steps"]):
    with tf.GradientTape() as tape:
        step_loss = dice_loss(truth, tf.sigmoid(model(images, training=True)))
    optimizer.apply_gradients(zip(tape.gradient(step_loss, [v.value for v in learnt]), learnt, strict=True))
    losses.append(float(step_loss))
(directory / "result.json").write_text(json.dumps({"loss": float(loss), "losses": losses}))
