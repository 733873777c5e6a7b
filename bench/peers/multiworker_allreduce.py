"""MultiWorkerMirroredStrategy as the peer of the all-reduce benchmark: the worker that TF_CONFIG names."""

import json
import os
import resource
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tensorflow as tf

case = json.loads(sys.argv[1])
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
tf.config.threading.set_inter_op_parallelism_threads(case["threads"])
ring = tf.distribute.experimental.CommunicationImplementation.RING
strategy = tf.distribute.MultiWorkerMirroredStrategy(
    communication_options=tf.distribute.experimental.CommunicationOptions(implementation=ring)
)


def replica_step(values):
    gradient = values * 2.0
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradient)


@tf.function
def step(values):
    return strategy.run(replica_step, args=(values,))


values = tf.linspace(0.0, 1.0, case["elements"]) + float(rank)
seconds = []
for index in range(case["warmUp"] + case["steps"]):
    start = time.perf_counter()
    reduced = step(values)
    if index >= case["warmUp"]:
        seconds.append(time.perf_counter() - start)
replicas = strategy.num_replicas_in_sync
expected = 2.0 * (replicas * tf.linspace(0.0, 1.0, case["elements"]) + replicas * (replicas - 1) / 2)
error = float(tf.reduce_max(tf.abs(reduced - expected)))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": seconds, "error": error, "peakMegabytes": peak}), flush=True)
