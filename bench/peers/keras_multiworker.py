"""Keras 3 under MultiWorkerMirroredStrategy as the peer of the data-parallel benchmark: the worker of TF_CONFIG.

The training loop is a custom one: fit and train_on_batch of Keras 3.15 fail under this strategy, where they reduce the
loss, a scalar, along axis 0.
"""

import hashlib
import json
import os
import resource
import sys
import time

import numpy as np
from keras_unet import dice_loss, keras, unet

import tensorflow as tf

case = json.loads(sys.argv[1])
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
processes, shape, batch = case["processes"], case["shape"], case["batch"]
tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
tf.config.threading.set_inter_op_parallelism_threads(case["threads"])
if processes > 1:
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(implementation=ring)
    )
else:
    strategy = tf.distribute.get_strategy()

keras.utils.set_random_seed(1)
with strategy.scope():
    model = unet(shape, "batch")
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)


def replica_step(images, truth):
    with tf.GradientTape() as tape:
        loss = dice_loss(truth, model(images, training=True)) / processes
    gradients = tape.gradient(loss, model.trainable_variables)
    # Sums the gradients over the replicas.
    optimizer.apply(gradients, model.trainable_variables)
    return loss


@tf.function
def step(images, truth):
    loss = strategy.run(replica_step, args=(images, truth))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)


random = np.random.default_rng(rank + 1)
images = tf.constant(random.standard_normal((batch, *shape, 4), dtype=np.float32))
truth = tf.constant((random.random((batch, *shape, 1)) < 0.1).astype(np.float32))
seconds, losses = [], []
for index in range(case["warmUp"] + case["steps"]):
    start = time.perf_counter()
    losses.append(float(step(images, truth)))
    if index >= case["warmUp"]:
        seconds.append(time.perf_counter() - start)
digest = hashlib.sha256()
for variable in model.trainable_variables:
    digest.update(variable.numpy().tobytes())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(
    json.dumps(
        {
            "seconds": seconds,
            "losses": losses,
            "digest": digest.hexdigest(),
            "peakMegabytes": peak,
        }
    ),
    flush=True,
)
