import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import {
  axesOf,
  defineExperiment,
  differences,
  gridPoints,
  gridSize,
  type LoadOptions,
  loadExperiment,
  trialConfig,
} from "../../src/config/index.ts";
import { DistmisError } from "../../src/errors/index.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-config-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function write(text: string, name = "exp.yaml"): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
}

/** The message of the refusal, with the file's folder taken out. */
async function refusal(text: string, options: LoadOptions = {}, name = "exp.yaml"): Promise<string> {
  const file = await write(text, name);
  let message = "";
  await assert.rejects(loadExperiment(file, options), (error) => {
    assert.ok(error instanceof DistmisError, String(error));
    message = error.message.replaceAll(`${folder}/`, "");
    return true;
  });
  return message;
}

const valid = "name: x\ndata: { dir: records }\n";

describe("loadExperiment", () => {
  it("fills in defaults and makes paths absolute from the file's folder", async () => {
    const experiment = await loadExperiment(await write(`${valid}trainer: { module: task.mjs }\n`));
    assert.equal(experiment.data?.dir, path.join(folder, "records"));
    assert.equal(experiment.trainer.module, path.join(folder, "task.mjs"));
    assert.equal(experiment.train.learning_rate, 1e-3);
    assert.equal(experiment.search.metric, "val_dice");
  });

  it("names file, line, field, what was expected and what was found", async () => {
    assert.equal(
      await refusal(`${valid}train:\n  learning_rate: fast\n`),
      'exp.yaml:4: train.learning_rate: expected a number greater than 0, found "fast"',
    );
    assert.equal(
      await refusal(`${valid}model: { kernel: 4, filters: 0, norm: batc }`),
      "exp.yaml:3: model.filters: expected a whole number from 1 to 512, found 0\n" +
        "exp.yaml:3: model.kernel: expected 1, 3 or 5, found 4\n" +
        'exp.yaml:3: model.norm: expected one of "batch", "group", "instance", "none", found "batc"',
    );
    assert.equal(
      await refusal(`${valid}train: { beta1: 1, amsgrad: 1 }`),
      "exp.yaml:3: train.beta1: expected a number greater than 0 and less than 1, found 1\n" +
        "exp.yaml:3: train.amsgrad: expected true or false, found 1",
    );
    assert.equal(
      await refusal("name: ../x\ndata: { dir: d }"),
      "exp.yaml:1: name: expected 1 to 100 letters, digits, '.', '_' or '-', the first one a letter or digit, found \"../x\"",
    );
    assert.equal(
      await refusal(`${valid}resources: { replicas: 1025, cpus_per_replica: some }`),
      "exp.yaml:3: resources.replicas: expected a whole number from 1 to 1024, found 1025\n" +
        'exp.yaml:3: resources.cpus_per_replica: expected "auto" or a number greater than 0, found "some"',
    );
    assert.equal(
      await refusal(`${valid}train:\nmodel: 3`),
      "exp.yaml:4: model: expected a section of keys and values, found 3\n" +
        "exp.yaml:3: train: expected a section of keys and values, found null",
    );
  });

  it("refuses unknown keys with the nearest known one at that place", async () => {
    assert.equal(
      await refusal(`${valid}train:\n  epochs: 2\n  learning_rat: 1\ntrain2: 3`),
      "exp.yaml:5: train.learning_rat: unknown key; did you mean learning_rate?\n" +
        "exp.yaml:6: train2: unknown key; did you mean train?",
    );
    assert.equal(
      await refusal(`${valid}data2: 1\nnam: 2`),
      "exp.yaml:3: data2: unknown key; did you mean data?\nexp.yaml:4: nam: unknown key; did you mean name?",
    );
    assert.match(
      await refusal(`${valid}failure: { zzzzzz: 1 }`),
      /failure\.zzzzzz: unknown key; expected one of max_failures, retry_delay, /,
    );
    assert.equal(
      await refusal(`${valid}search: { space: { train.epochs: { gird: [1] } } }`),
      "exp.yaml:3: search.space.train.epochs.gird: unknown key; did you mean grid?",
    );
  });

  it("refuses what is no experiment", async () => {
    assert.match(await refusal("a: [1"), /^exp\.yaml:1:\d+: not valid YAML or JSON: /);
    assert.match(await refusal("a: 1\na: 2"), /exp\.yaml:2:1: not valid YAML or JSON: Map keys must be unique/);
    assert.equal(await refusal(""), "exp.yaml: expected an experiment (a section of keys and values)");
    assert.equal(await refusal("[1, 2]"), "exp.yaml: expected an experiment (a section of keys and values)");
    assert.match(
      await refusal('{"name": "x", "data": {"dir": 3}}', {}, "exp.json"),
      /^exp\.json:1: data\.dir: expected a text/,
    );
    await assert.rejects(loadExperiment(path.join(folder, "none.yaml")), /none\.yaml: there is no such file/);
    await assert.rejects(loadExperiment(folder), /expected an experiment file, found a folder/);
  });

  it("needs data unless there is a trainer module", async () => {
    assert.match(
      await refusal("name: x"),
      /data\.dir: expected the folder that `distmis tfrecord` wrote, found nothing/,
    );
    const file = await write("name: x");
    assert.equal((await loadExperiment(file, { datasetDir: "d" })).data?.dir, path.resolve("d"));
    assert.equal((await loadExperiment(await write("name: x\ntrainer: { module: /m.mjs }"))).data, undefined);
  });

  it("stages what data there are", async () => {
    const stage = { dir: "/scratch" };
    const file = await write("name: x\ntrainer: { module: /m.mjs }");
    assert.equal((await loadExperiment(file, { stage })).data, undefined);
    assert.equal((await loadExperiment(file, { stage, datasetDir: "d" })).data?.stage?.dir, "/scratch");
    assert.equal((await loadExperiment(await write(valid), { stage })).data?.stage?.dir, "/scratch");
    await assert.rejects(
      loadExperiment(await write("name: x"), { stage }),
      /data\.dir: expected the folder that `distmis tfrecord` wrote, found nothing/,
    );
  });

  it("applies overrides, values in YAML, paths relative to the working directory", async () => {
    const file = await write(`${valid}train: { epochs: 3 }`);
    const experiment = await loadExperiment(file, {
      set: [
        "train.learning_rate=5e-3",
        "train.amsgrad=true",
        "search.space.train.beta2={grid: [0.9, 0.99]}",
        "search.space.model.norm.grid=[bn, gn]",
        "trainer.parameters.a.b=[1, 2]",
        "resources.custom.accelerator_type:H100=0.5",
        "data.dir=elsewhere",
      ],
    });
    assert.equal(experiment.train.learning_rate, 5e-3);
    assert.equal(experiment.train.amsgrad, true);
    assert.equal(experiment.train.epochs, 3);
    assert.deepEqual(experiment.search.space, {
      "train.beta2": { grid: [0.9, 0.99] },
      "model.norm": { grid: ["batch", "group"] },
    });
    assert.deepEqual(experiment.trainer.parameters, { a: { b: [1, 2] } });
    assert.deepEqual(experiment.resources.custom, { "accelerator_type:H100": 0.5 });
    assert.equal(experiment.data?.dir, path.resolve("elsewhere"));
  });

  it("names the override that is wrong", async () => {
    assert.equal(
      await refusal(valid, { set: ["train.learning_rate=fast"] }),
      '--set train.learning_rate=fast: train.learning_rate: expected a number greater than 0, found "fast"',
    );
    assert.equal(
      await refusal(valid, { set: ["train.learning_rat=1"] }),
      "--set train.learning_rat=1: unknown field train.learning_rat; did you mean train.learning_rate?",
    );
    assert.match(await refusal(valid, { set: ["learning_rate=1"] }), /did you mean train\.learning_rate\?$/);
    assert.match(await refusal(valid, { set: ["__proto__.x=1"] }), /unknown field __proto__\.x/);
    assert.match(await refusal(valid, { set: ["train.epochs"] }), /expected PATH=VALUE/);
    assert.match(await refusal(valid, { set: ["train.epochs=[1"] }), /^--set train\.epochs=\[1:1:\d+: not valid YAML/);
  });
});

describe("search space", () => {
  it("refuses fields that do not exist or can't be searched", async () => {
    const space = (text: string) => refusal(`${valid}search:\n  space:\n    ${text}`);
    assert.equal(
      await space("learning_rate: { grid: [1] }"),
      "exp.yaml:5: search.space.learning_rate: unknown field; did you mean train.learning_rate?",
    );
    assert.match(await space("train.epoch: { grid: [1] }"), /did you mean train\.epochs\?$/);
    assert.match(
      await space("resources.gpus_per_replica: { grid: [1] }"),
      /can't be searched: all trials of a search share it/,
    );
    assert.match(await space("model: { grid: [1] }"), /is a section; expected a field in it, one of model\.filters, /);
    assert.match(await space("train.epochs: { grid: [] }"), /grid: expected a list of at least one value, found \[\]/);
  });

  it("checks every value against its field", async () => {
    assert.equal(
      await refusal(
        `${valid}search:\n  space:\n    train.learning_rate:\n      grid:\n        - 1e-3\n        - 0\n        - quick`,
      ),
      "exp.yaml:8: search.space.train.learning_rate.grid[1]: expected a number greater than 0, found 0\n" +
        'exp.yaml:9: search.space.train.learning_rate.grid[2]: expected a number greater than 0, found "quick"',
    );
    assert.match(
      await refusal(`${valid}search: { space: { model.norm: { grid: [bn, batch] } } }`),
      /grid\[1\]: the same value as grid\[0\]/,
    );
  });

  it("may have trials of different sizes", async () => {
    const experiment = await loadExperiment(
      await write(`${valid}search: { space: { resources.replicas: { grid: [1, 2, 4] } } }`),
    );
    const trials = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point));
    assert.deepEqual(
      trials.map(({ resources }) => resources.replicas),
      [1, 2, 4],
    );
    assert.match(
      await refusal(`${valid}search: { space: { resources.replicas: { grid: [0] } } }`),
      /replicas\.grid\[0\]: expected a whole number from 1 to 1024, found 0$/,
    );
    assert.match(
      await refusal(
        `${valid}resources: { elastic: { min: 2, max: 4 } }\nsearch: { space: { resources.replicas: { grid: [4, 8] } } }`,
      ),
      /resources\.replicas: expected a whole number from resources\.elastic\.min \(2\) to resources\.elastic\.max \(4\), found 8 \(in trials with resources\.replicas=8\)$/,
    );
  });

  it("checks combinations and the size of the grid", async () => {
    assert.match(
      await refusal(
        `${valid}search: { space: { model.norm: { grid: [batch, group] }, model.filters: { grid: [8, 6] } } }`,
      ),
      /model\.groups: expected a divisor of model\.filters \(6\) .* found 4 \(in trials with model\.norm=group, model\.filters=6\)$/,
    );
    assert.match(
      await refusal(`${valid}train: { warmup_epochs: 2.5 }\nsearch: { space: { train.epochs: { grid: [3, 2] } } }`),
      /train\.warmup_epochs: expected less than train\.epochs \(2\), found 2\.5 \(in trials with train\.epochs=2\)$/,
    );
    const many = JSON.stringify(Array.from({ length: 400 }, (_, index) => index + 1));
    assert.match(
      await refusal(`${valid}search: { space: { train.epochs: { grid: ${many} }, train.seed: { grid: ${many} } } }`),
      /search\.space: expected at most 100000 trials, found a grid of 160000$/,
    );
  });

  it("may search the fields of a section that is left out", async () => {
    const file = await write(
      `${valid}search: { space: { train.early_stopping.patience: { grid: [3, 5] }, train.optimizer: { grid: [adamw, sgd] } } }`,
    );
    const experiment = await loadExperiment(file);
    assert.equal(experiment.train.early_stopping, undefined);
    const trials = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point).train);
    assert.deepEqual(
      trials.map(({ early_stopping, optimizer }) => ({ ...early_stopping, optimizer })),
      [
        { patience: 3, min_delta: 0, optimizer: "adamw" },
        { patience: 3, min_delta: 0, optimizer: "sgd" },
        { patience: 5, min_delta: 0, optimizer: "adamw" },
        { patience: 5, min_delta: 0, optimizer: "sgd" },
      ],
    );
    assert.match(
      await refusal(`${valid}search: { space: { train.early_stopping.patience: { grid: [0] } } }`),
      /patience\.grid\[0\]: expected a whole number of at least 1, found 0$/,
    );
  });

  it("may search the parameters of a trainer module", () => {
    const experiment = defineExperiment({
      name: "x",
      trainer: { module: "m.mjs", parameters: { a: 1 } },
      search: { space: { "trainer.parameters.a": { grid: [1, "b"] }, "trainer.parameters.deep.c": { grid: [true] } } },
    });
    const configs = [...gridPoints(axesOf(experiment))].map((point) => trialConfig(experiment, point));
    assert.deepEqual(
      configs.map((config) => config.trainer.parameters),
      [
        { a: 1, deep: { c: true } },
        { a: "b", deep: { c: true } },
      ],
    );
    assert.equal("search" in (configs[0] ?? {}), false);
  });

  it("refuses configurations that are too large for a message to a trainer, by the largest field", () => {
    const define = (parameters: Record<string, unknown>, grid: string[]) =>
      defineExperiment({
        name: "x",
        trainer: { module: "m.mjs", parameters },
        search: { space: { "trainer.parameters.c": { grid } } },
      });
    const text = (length: number) => "x".repeat(length);
    const expected = "expected configurations of at most 15.7 MB as JSON, found";
    const rest = "put it in a file that all nodes see, and its path here";
    for (const [refused, field, found] of [
      [
        () => define({ a: 1, b: { weights: text(17e6) } }, [""]),
        "trainer.parameters.b.weights",
        "17.0 MB, of which this has 17.0 MB",
      ],
      [
        () => define({ a: text(7e6) }, [text(9e6), ""]),
        "search.space.trainer.parameters.c",
        "16.0 MB, of which this has 9.0 MB",
      ],
    ] as const)
      assert.throws(refused, {
        code: "CONFIG_INVALID",
        message: `experiment: ${field}: ${expected} ${found}; ${rest}`,
      });
    // A trial has one of them.
    define({ a: text(7e6) }, [text(8e6), text(8e6 - 1)]);
  });

  it("is one trial when empty", () => {
    assert.deepEqual([...gridPoints([])], [{}]);
  });
});

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
    assert.equal(experiment.data?.dir, path.join(folder, "d"));
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

describe("differences", () => {
  it("names the fields", () => {
    assert.deepEqual(differences({ a: { b: 1, c: [1] } }, { a: { b: 2, c: [1] }, d: 3 }), [
      { path: "a.b", before: 1, after: 2 },
      { path: "d", before: undefined, after: 3 },
    ]);
  });
});

describe("configs/", () => {
  it("loads every file", async () => {
    const configs = path.join(import.meta.dirname, "../../configs");
    const files = (await readdir(configs)).filter((file) => /\.(ya?ml|json)$/.test(file));
    assert.ok(
      files.includes("distmis-exp-parallel.json") &&
        files.includes("distmis-data-parallel.json") &&
        files.includes("distmis-grid.yaml"),
    );
    const sizes = new Map<string, number>();
    for (const file of files) {
      const experiment = await loadExperiment(path.join(configs, file), { datasetDir: folder });
      sizes.set(file, gridSize(axesOf(experiment)));
    }
    assert.equal(sizes.get("distmis-exp-parallel.json"), 32);
    assert.equal(sizes.get("distmis-grid.yaml"), 32);
    assert.equal(sizes.get("hippocampus-random.yaml"), Number.POSITIVE_INFINITY);
    assert.ok((sizes.get("demo.yaml") ?? 0) >= 8);
  });

  it("spells DistMIS's grid out as the short form means it", async () => {
    const configs = path.join(import.meta.dirname, "../../configs");
    const [long, short] = await Promise.all(
      ["distmis-grid.yaml", "distmis-exp-parallel.json"].map((file) =>
        loadExperiment(path.join(configs, file), { datasetDir: folder }),
      ),
    );
    assert.deepEqual(differences({ ...long, name: "" }, { ...short, name: "" }), []);
  });
});
