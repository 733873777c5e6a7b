"""tf.data as the peer of the input benchmark: prints the seconds a volume of each measured epoch and the peak memory.

As a competent user writes it: shards read interleaved and decoded in parallel, both tuned by AUTOTUNE, channels last,
shuffled, batched, prefetched; with "cache" the decoded volumes stay in memory.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np

import tensorflow as tf

case = json.loads(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(case["threads"])
tf.config.threading.set_inter_op_parallelism_threads(case["threads"])

FEATURES = {"img": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.string)}
channels, *spatial = case["shape"]


def parse(record):
    example = tf.io.parse_single_example(record, FEATURES)
    image = tf.ensure_shape(tf.io.parse_tensor(example["img"], tf.float32), (channels, *spatial))
    label = tf.ensure_shape(tf.io.parse_tensor(example["label"], tf.float32), (1, *spatial))
    return tf.transpose(image, (1, 2, 3, 0)), tf.reshape(label, (*spatial, 1))


volumes = tf.data.Dataset.from_tensor_slices(case["files"]).interleave(
    tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
)
volumes = volumes.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
if case["mode"] == "cache":
    volumes = volumes.cache()
volumes = volumes.shuffle(case["size"] if case["mode"] == "cache" else case["shuffle"])
batches = volumes.batch(case["batch"]).prefetch(tf.data.AUTOTUNE)

seconds, digests = [], []
for epoch in range(case["warmUp"] + case["epochs"]):
    if case["mode"] == "cold":
        subprocess.run(case["drop"], check=True)
    start = time.perf_counter()
    count = 0
    for images, _labels in batches:
        count += images.shape[0]
    taken = time.perf_counter() - start
    if count != case["size"]:
        raise SystemExit(f"an epoch of {count} volumes, expected {case['size']}")
    if epoch >= case["warmUp"]:
        seconds.append(taken / count)
if case["verify"]:
    for images, labels in batches.unbatch():
        voxels = np.ascontiguousarray(images).tobytes() + np.ascontiguousarray(labels).tobytes()
        digests.append(hashlib.sha256(voxels).hexdigest())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": seconds, "peakMegabytes": peak, "digests": sorted(digests)}))
