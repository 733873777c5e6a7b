import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/cluster/index.ts";
import { defineExperiment, type Experiment, type ExperimentInput, type Parameters } from "../../src/config/index.ts";
import { createSearcher, type KnownTrial, type Searcher } from "../../src/search/index.ts";

type Search = NonNullable<ExperimentInput["search"]>;

const EPOCHS = 4;

const SPACE: NonNullable<Search["space"]> = {
  "trainer.parameters.x": { uniform: [-1, 1] },
  "trainer.parameters.y": { log_uniform: [1e-4, 1] },
};

function experimentOf(search: Search): Experiment {
  return defineExperiment({
    name: "quadratic",
    trainer: { module: import.meta.filename },
    train: { epochs: EPOCHS },
    search: { metric: "loss", mode: "min", limits: { trials: 1000 }, space: SPACE, ...search },
  });
}

/** Least at x 0.3, y 1e-2. */
function quadratic(parameters: Parameters): number {
  const { "trainer.parameters.x": x, "trainer.parameters.y": y } = parameters;
  return (Number(x) - 0.3) ** 2 + (Math.log10(Number(y)) + 2) ** 2;
}

/** Trials of a searcher, one after the other, and what a journal would keep of them. */
class History {
  readonly trials: KnownTrial[] = [];
  readonly #searcher: Searcher;
  #now = 0;

  constructor(searcher: Searcher) {
    this.#searcher = searcher;
  }

  /** Runs so many to their ends, or until there are no more; the epochs that each had. */
  async run(count: number): Promise<number[]> {
    const epochs: number[] = [];
    for (let left = count; left > 0; left--) {
      const id = String(this.trials.length + 1).padStart(4, "0");
      const parameters = await this.#searcher.ask(id);
      if (parameters === null) break;
      const createdAt = ++this.#now;
      const reports: { epoch: number; value: number; at: number }[] = [];
      let answer: "continue" | "prune" = "continue";
      for (let epoch = 1; epoch <= EPOCHS && answer === "continue"; epoch++) {
        const value = quadratic(parameters) + 1 / epoch;
        reports.push({ epoch, value, at: ++this.#now });
        answer = await this.#searcher.report(id, epoch, value);
      }
      const state = answer === "prune" ? ("pruned" as const) : ("completed" as const);
      const outcome = { state, value: Math.min(...reports.map(({ value }) => value)) };
      await this.#searcher.tell(id, outcome);
      this.trials.push({ id, parameters, reports, outcome, createdAt, endedAt: ++this.#now });
      epochs.push(reports.length);
    }
    return epochs;
  }

  best(): number {
    return Math.min(...this.trials.map(({ outcome }) => outcome?.value ?? Number.POSITIVE_INFINITY));
  }
}

describe("a search with a study", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await connect({ gpus: 0, cpus: 1 });
  });
  after(() => cluster.close());

  const searcherOf = (search: Search, known: KnownTrial[] = [], earlier: KnownTrial[] = []): Searcher =>
    createSearcher(experimentOf(search), { known, earlier, openStudy: (open) => cluster.openStudy(open) });

  const searchOf = async (search: Search, trials: number): Promise<History> => {
    const searcher = searcherOf(search);
    const history = new History(searcher);
    await history.run(trials);
    await searcher.close();
    return history;
  };

  for (const sampler of ["tpe", "cmaes"] as const) {
    it(`${sampler} finds better than random at equal trials`, async () => {
      const best = (await searchOf({ sampler, seed: 1 }, 60)).best();
      const random: number[] = [];
      for (let seed = 1; seed <= 9; seed++) random.push((await searchOf({ sampler: "random", seed }, 60)).best());
      const median = random.toSorted((a, b) => a - b)[4] ?? 0;
      assert.ok(best < median, `${sampler} found ${best}, random ${random}`);
    });
  }

  for (const sampler of ["random", "tpe", "cmaes", "qmc"] as const) {
    it(`${sampler} with a pruner goes on as if it had not been interrupted`, async () => {
      const search: Search = { sampler, pruner: { kind: "hyperband" } };
      const whole = await searchOf(search, 30);
      const searcher = searcherOf(search, whole.trials.slice(0, 20));
      for (const { id, parameters, reports, outcome } of whole.trials.slice(20)) {
        assert.deepEqual(await searcher.ask(id), parameters);
        for (const { epoch, value } of reports) {
          const last = outcome?.state === "pruned" && epoch === reports.length;
          assert.equal(await searcher.report(id, epoch, value), last ? "prune" : "continue");
        }
        if (outcome !== null) await searcher.tell(id, outcome);
      }
      await searcher.close();
    });
  }

  it("prunes what is bad in a grid, and runs the best to its end", async () => {
    const values = [0.3, 0.2, 0.4, 0.1, 0.5, 0.9, -0.5, 0.31, -1, 0.8];
    const space = { "trainer.parameters.x": { grid: values }, "trainer.parameters.y": { grid: [0.01] } };
    const searcher = searcherOf({ sampler: "grid", space, pruner: { kind: "median" } });
    assert.equal(searcher.remaining(), 10);
    const epochs = await new History(searcher).run(11);
    await searcher.close();
    // Five of them are waited for; 0.31 is better than their median.
    assert.deepEqual(epochs, [4, 4, 4, 4, 4, 1, 1, 4, 1, 1]);
  });

  it("runs given configurations first, and learns from them", async () => {
    const configurations = Array.from({ length: 12 }, (_, index) => ({
      "trainer.parameters.x": index / 12,
      "trainer.parameters.y": 10 ** (-index / 4),
    }));
    const search: Search = { sampler: "tpe", warm_start: { configurations } };
    const history = await searchOf(search, 14);
    assert.deepEqual(
      history.trials.slice(0, 12).map(({ parameters }) => parameters),
      configurations,
    );
    const cold = await searchOf({ sampler: "tpe" }, 14);
    assert.notDeepEqual(cold.trials[13]?.parameters, history.trials[13]?.parameters);
    // And after them as if it had not been interrupted.
    const searcher = searcherOf(search, history.trials.slice(0, 13));
    assert.deepEqual(await searcher.ask("0014"), history.trials[13]?.parameters);
    await searcher.close();
  });

  it("learns from the trials of earlier runs", async () => {
    const { trials: earlier } = await searchOf({ sampler: "qmc" }, 60);
    const searcher = searcherOf({ sampler: "tpe" }, [], earlier);
    const history = new History(searcher);
    await history.run(10);
    await searcher.close();
    const sum = ({ trials }: History) => trials.reduce((all, { parameters }) => all + quadratic(parameters), 0);
    assert.ok(sum(history) < sum(await searchOf({ sampler: "tpe" }, 10)) / 2);
  });

  it("draws whole steps as they are written, and fields only where they apply", async () => {
    const history = await searchOf(
      {
        sampler: "tpe",
        space: {
          "trainer.parameters.x": { uniform: [0.8, 1.7], step: 0.1 },
          "trainer.parameters.y": { choice: [0.1, 2, true, "none"] },
          "trainer.parameters.z": { integer: [2, 9], step: 3, when: { "trainer.parameters.y": [2, "none"] } },
        },
      },
      40,
    );
    const x = new Set(history.trials.map(({ parameters }) => parameters["trainer.parameters.x"]));
    assert.ok(x.size > 4 && [...x].every((value) => /^(0\.[89]|1|1\.[1-7])$/.test(String(value))), [...x].join());
    for (const { parameters } of history.trials) {
      const { "trainer.parameters.y": y, "trainer.parameters.z": z } = parameters;
      assert.equal(z !== undefined, y === 2 || y === "none");
      assert.ok(z === undefined || z === 2 || z === 5 || z === 8);
    }
  });

  it("leaves out trials that a space which was changed does not hold", async () => {
    const { trials } = await searchOf({ sampler: "tpe" }, 12);
    const space = { ...SPACE, "trainer.parameters.x": { uniform: [0.5, 1] as [number, number] } };
    const known = trials.map((trial) => ({ ...trial, outcome: null }));
    assert.ok(trials.some(({ parameters }) => Number(parameters["trainer.parameters.x"]) < 0.5));
    const searcher = searcherOf({ sampler: "tpe", space, pruner: { kind: "median" } }, known);
    for (const { id } of trials) {
      assert.equal(await searcher.report(id, EPOCHS + 1, 1), "continue");
      await searcher.tell(id, { state: "completed", value: 1 });
    }
    assert.ok((await searcher.ask("0013")) !== null);
    await searcher.close();
  });

  it("says why it can't go on", async () => {
    const searcher = searcherOf({ sampler: "tpe" });
    await searcher.ask("0001");
    const message = "the search can't go on: tell.trial is '0002', which does not run";
    await assert.rejects(searcher.tell("0002", { state: "failed", value: null }), { code: "SEARCH_FAILED", message });
    await assert.rejects(searcher.ask("0002"), { code: "SEARCH_FAILED", message });
    await searcher.close();
  });
});

describe("a study whose cluster is closed", () => {
  it("fails what comes", async () => {
    const cluster = await connect({ gpus: 0, cpus: 1 });
    const { openStudy } = cluster;
    const searcher = createSearcher(experimentOf({ sampler: "tpe" }), { known: [], earlier: [], openStudy });
    await searcher.ask("0001");
    await cluster.close();
    const gone = { code: "CLUSTER_UNAVAILABLE", message: "the study of the search is gone: the cluster was closed" };
    await assert.rejects(searcher.ask("0002"), gone);
    const empty = { name: "", direction: 1, parameters: [], sampler: undefined, pruner: undefined };
    await assert.rejects(openStudy(empty), { code: "CLUSTER_UNAVAILABLE" });
    await searcher.close();
  });
});
