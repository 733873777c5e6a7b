/** Trainers on this machine that are the replicas of one trial, as a gang of workers has them, but without Ray. */
import assert from "node:assert/strict";
import { TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import type { ToTrainerMessage } from "../../src/wire/index.ts";
import { startTrainer, type TrainerUnderTest } from "./trainer.ts";

type Assignment = Extract<ToTrainerMessage, { $case: "assign" }>;
type Ended = Awaited<ReturnType<TrainerUnderTest["untilEnded"]>>;

export interface Replicas {
  trainers: TrainerUnderTest[];
  /** Gives all of them a trial. */
  assign(describe: (rank: number) => ToTrainerMessage): void;
  /** How each of them ended its trial. */
  untilEnded(): Promise<Ended[]>;
  /** Runs a trial, which must end well on all of them; the metrics of its epochs. */
  run(describe: (rank: number) => ToTrainerMessage): Promise<Record<string, number>[]>;
  kill(): Promise<void>;
}

/** Starts them, each with one thread; the caller kills them. */
export async function startReplicas(replicas: number): Promise<Replicas> {
  const trainers = Array.from({ length: replicas }, () =>
    startTrainer({ DISTMIS_CPUS: "1", DISTMIS_REPLICAS: String(replicas) }),
  );
  const ready = await Promise.all(trainers.map((trainer) => trainer.next()));
  const addresses = ready.map((message) => {
    assert.equal(message.$case, "ready");
    return `127.0.0.1:${message.value.collectivePort}`;
  });
  const all: Replicas = {
    trainers,
    assign(describe) {
      for (const [rank, trainer] of trainers.entries()) {
        const message = describe(rank) as Assignment;
        const value = { ...message.value, rank, replicas, addresses: replicas > 1 ? addresses : [] };
        trainer.send({ $case: "assign", value });
      }
    },
    untilEnded: () => Promise.all(trainers.map((trainer) => trainer.untilEnded())),
    async run(describe) {
      all.assign(describe);
      const [first, ...others] = await all.untilEnded();
      assert.ok(first);
      for (const { ended, reports } of [first, ...others]) {
        assert.equal(ended.outcome, TrialOutcome.TRIAL_OUTCOME_COMPLETED, ended.errorMessage);
        assert.equal(ended.clean, true, ended.uncleanReason);
        assert.deepEqual(
          reports.map(({ epoch, metrics }) => ({ epoch, metrics })),
          first.reports.map(({ epoch, metrics }) => ({ epoch, metrics })),
          "all replicas measure the same",
        );
      }
      return first.reports.map(({ epoch, metrics }) => ({ epoch, ...metrics }));
    },
    async kill() {
      for (const { child } of trainers) child.kill("SIGKILL");
      await Promise.all(trainers.map(({ exited }) => exited));
    },
  };
  return all;
}
