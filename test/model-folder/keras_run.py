"""Runs the example of docs/data-formats.md as a program on each folder DIR/*, in one Python, which starts slowly."""

import os
import runpy
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"

import numpy as np

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(2)

example, root = sys.argv[1:]
for case in sorted(Path(root).iterdir()):
    shape = [int(side) for side in (case / "shape").read_text().split()]
    np.save(case / "volume.npy", np.fromfile(case / "volume.bin", "<f4").reshape(shape))
    sys.argv = [example, str(case / "model"), str(case / "volume.npy"), str(case / "result.npy")]
    runpy.run_path(example, run_name="__main__")
    result = np.load(case / "result.npy")
    assert result.dtype == np.float32, result.dtype
    (case / "result.shape").write_text(" ".join(map(str, result.shape)))
    result.tofile(case / "result.bin")
