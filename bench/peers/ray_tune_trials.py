"""Ray Tune on trials that report once and end, as the peer of the benchmark of trials. Ray is started before the clock.

    ray_tune_trials.py reuse|function TRIALS GPUS

`reuse`: a class trainable whose actor goes on to the next trial (reuse_actors); `function`: a function trainable, which
has an actor of its own for each trial. Prints the seconds from the start of the search to its end, and to the end of
each trial.
"""

import json
import logging
import os
import sys
import tempfile
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"

import ray
from ray import tune


class Ends(tune.Callback):
    def __init__(self):
        self.times = []

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.times.append(time.monotonic())


class Trivial(tune.Trainable):
    def setup(self, config):
        self.index = config["index"]

    def reset_config(self, config):
        self.index = config["index"]
        return True

    def step(self):
        return {"score": self.index, "done": True}


def trivial(config):
    tune.report({"score": config["index"]})


def main(kind, trials, gpus):
    trainable = {"reuse": Trivial, "function": trivial}[kind]
    with tempfile.TemporaryDirectory(prefix="distmis-bench-ray-tune-", ignore_cleanup_errors=True) as folder:
        # Its workers make a folder a trial and leave it.
        os.environ["TMPDIR"] = folder
        ray.init(
            num_gpus=gpus,
            num_cpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=100 * 1024 * 1024,
        )
        ends = Ends()
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1, "gpu": 1}),
            param_space={"index": tune.grid_search(list(range(1, trials + 1)))},
            tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=kind == "reuse"),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[ends],
                # A class trainable would save one at the end of each trial; ours writes none either.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        begin = time.monotonic()
        results = tuner.fit()
        seconds = time.monotonic() - begin
        if results.errors or len(ends.times) != trials:
            raise SystemExit(f"{len(ends.times)} of {trials} trials ended, errors: {results.errors}")
        ray.shutdown()
    print(json.dumps({"seconds": seconds, "ends": [end - begin for end in ends.times]}))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
