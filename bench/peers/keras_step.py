"""Keras 3 as the peer of the step benchmark: prints the seconds of each step and the peak memory."""

import json
import resource
import sys
import time

import numpy as np
from keras_unet import dice_loss, keras, unet

import tensorflow as tf

case = json.loads(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
tf.config.threading.set_inter_op_parallelism_threads(case["threads"])
shape, batch = case["shape"], case["batch"]

model = unet(shape, case["norm"])
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
