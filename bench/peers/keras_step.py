"""Keras 3 as the peer of the step benchmark: prints the seconds of each step and the peak memory."""

import json
import os
import resource
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np

import tensorflow as tf

case = json.loads(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
tf.config.threading.set_inter_op_parallelism_threads(case["threads"])
shape, batch = case["shape"], case["batch"]


def block(x, filters):
    for _ in range(2):
        x = keras.layers.Conv3D(filters, 3, padding="same", use_bias=False)(x)
        if case["norm"] == "batch":
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        else:
            x = keras.layers.GroupNormalization(groups=4)(x)
        x = keras.layers.Activation("relu")(x)
    return x


def dice_loss(truth, probabilities):
    common = tf.reduce_sum(truth * probabilities)
    return 1 - (2 * common + 0.01) / (tf.reduce_sum(truth) + tf.reduce_sum(probabilities) + 0.01)


inputs = keras.Input((*shape, 4))
x, skips = inputs, []
for level in range(3):
    x = block(x, 8 * 2**level)
    skips.append(x)
    x = keras.layers.MaxPooling3D(2)(x)
x = block(x, 64)
for level in reversed(range(3)):
    x = keras.layers.Conv3DTranspose(8 * 2**level, 3, strides=2, padding="same")(x)
    x = block(keras.layers.Concatenate()([x, skips[level]]), 8 * 2**level)
model = keras.Model(inputs, keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid")(x))
model.compile(optimizer=keras.optimizers.Adam(1e-3, amsgrad=True), loss=dice_loss)

random = np.random.default_rng(1)
images = tf.constant(random.standard_normal((batch, *shape, 4), dtype=np.float32))
truth = tf.constant((random.random((batch, *shape, 1)) < 0.1).astype(np.float32))
seconds = []
for index in range(case["warmUp"] + case["steps"]):
    start = time.perf_counter()
    model.train_on_batch(images, truth)
    if index >= case["warmUp"]:
        seconds.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": seconds, "peakMegabytes": peak}))
