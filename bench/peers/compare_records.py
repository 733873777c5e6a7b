"""Fails unless two folders of TFRecords hold the same samples, values to 1e-4."""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np

import tensorflow as tf

FEATURES = {"img": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.string)}


def sample(record):
    parsed = tf.io.parse_single_example(record, FEATURES)
    return [tf.io.parse_tensor(parsed[name], tf.float32).numpy() for name in ("img", "label")]


folders = [Path(folder) for folder in sys.argv[1:3]]
infos = [json.loads((folder / "info.json").read_text()) for folder in folders]
for name in ("total_size", *(f"{split}_{kind}" for split in ("train", "valid", "test") for kind in ("size", "shard"))):
    assert infos[0][name] == infos[1][name], f"{name}: {infos[0][name]} and {infos[1][name]}"
for file in sorted(file.name for file in folders[1].glob("*.tfrecord")):
    pairs = zip(*(tf.data.TFRecordDataset(str(folder / file)) for folder in folders), strict=True)
    for ours, theirs in pairs:
        for one, other in zip(sample(ours), sample(theirs), strict=True):
            assert one.shape == other.shape, f"{file}: shapes {one.shape} and {other.shape}"
            worst = float(np.abs(one - other).max())
            assert worst <= 1e-4, f"{file}: values differ by up to {worst}"
