/** DistMIS's own configuration file. */
import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import { axesOf, differences, gridPoints, gridSize, loadExperiment, trialConfig } from "../../src/config/index.ts";
import { experimentFiles } from "./experiment-files.ts";

const made = experimentFiles();
const { write, refusal } = made;

describe("DistMIS's own configuration", () => {
  const flat = '{\n\t"batch_size_per_replica": 2,\n\t"num_epochs": 20,\n\t"debug": false\n}';

  it("is its published grid of 32 trials", async () => {
    const experiment = await loadExperiment(await write(flat, "config.json"), { datasetDir: "records" });
    const points = [...gridPoints(axesOf(experiment))];
    assert.equal(gridSize(axesOf(experiment)), 32);
    assert.equal(new Set(points.map((point) => JSON.stringify(point))).size, 32);
    assert.deepEqual(points[1], {
      "train.learning_rate": 1e-4,
      "model.norm": "batch",
      "train.beta2": 0.99,
      "train.amsgrad": false,
    });
    const config = trialConfig(experiment, points[31] ?? {});
    assert.equal(config.train.learning_rate, 5e-3);
    assert.equal(config.model.norm, "group");
    assert.equal(config.train.epochs, 20);
    assert.equal(config.train.batch_size_per_replica, 2);
  });

  it("takes its data from dataset_dir, can be overridden, and is checked", async () => {
    const file = await write(
      '{"batch_size_per_replica": 2, "num_epochs": 20, "debug": false, "dataset_dir": "d"}',
      "c.json",
    );
    const experiment = await loadExperiment(file, { set: ["train.epochs=1"] });
    assert.equal(experiment.data?.dir, path.join(made.folder, "d"));
    assert.equal(experiment.train.epochs, 1);
    assert.match(await refusal(flat), /name it there or with --dataset-dir$/);
    assert.equal(
      await refusal('{"batch_size_per_replica": 2, "num_epoch": 20, "num_replicas": 4}', { flatMode: "exp-parallel" }),
      "exp.yaml:1: num_epoch: unknown key; did you mean num_epochs?\n" +
        "exp.yaml:1: num_replicas: expected 1, or the command data-parallel, found 4",
    );
  });

  it("with num_replicas is the same grid, one model after the other over all replicas", async () => {
    const text = '{"num_replicas": 4, "batch_size_per_replica": 2, "num_epochs": 20, "debug": false}';
    const options = { datasetDir: "records" };
    const alone = await loadExperiment(await write(flat, "config.json"), options);
    for (const flatMode of ["data-parallel", undefined] as const) {
      const file = await write(text, "config.json");
      const experiment = await loadExperiment(file, { ...options, ...(flatMode && { flatMode }) });
      assert.deepEqual(
        differences(alone, experiment).map(({ path, after }) => `${path}: ${after}`),
        [
          "name: distmis-data-parallel",
          "train.scale_learning_rate: linear",
          "resources.replicas: 4",
          "resources.max_concurrent_trials: 1",
        ],
      );
    }
    assert.equal(
      await refusal(flat, { ...options, flatMode: "data-parallel" }),
      "exp.yaml: num_replicas: expected a whole number from 1 to 1024, found nothing",
    );
    assert.equal(
      await refusal(text.replace("debug", "verbose"), { ...options, flatMode: "data-parallel" }),
      "exp.yaml:1: verbose: unknown key; expected one of batch_size_per_replica, num_epochs, debug, dataset_dir, num_replicas",
    );
    const one = await write(text.replace("4", "1"), "config.json");
    assert.equal((await loadExperiment(one, { ...options, flatMode: "data-parallel" })).name, "distmis-data-parallel");
    assert.equal((await loadExperiment(one, { ...options, flatMode: "exp-parallel" })).name, "distmis-exp-parallel");
  });
});
