import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { axesOf, differences, gridSize, loadExperiment } from "../../src/config/index.ts";
import { experimentFiles, valid } from "./experiment-files.ts";

const made = experimentFiles();
const { write, refusal } = made;

describe("loadExperiment", () => {
  it("fills in defaults and makes paths absolute from the file's folder", async () => {
    const experiment = await loadExperiment(await write(`${valid}trainer: { module: task.mjs }\n`));
    assert.equal(experiment.data?.dir, path.join(made.folder, "records"));
    assert.equal(experiment.trainer.module, path.join(made.folder, "task.mjs"));
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
    await assert.rejects(loadExperiment(path.join(made.folder, "none.yaml")), /none\.yaml: there is no such file/);
    await assert.rejects(loadExperiment(made.folder), /expected an experiment file, found a folder/);
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
      const experiment = await loadExperiment(path.join(configs, file), { datasetDir: made.folder });
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
        loadExperiment(path.join(configs, file), { datasetDir: made.folder }),
      ),
    );
    assert.deepEqual(differences({ ...long, name: "" }, { ...short, name: "" }), []);
  });
});
