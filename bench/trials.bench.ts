/**
 * What a trial costs beside its work: trials that report once and end, on 4 logical GPUs of a local Ray that has been started,
 * ours and Ray Tune's in turn; both as durable as they are by default (ours has every start and end of a trial on the disk). The clock
 * runs from the start of the search to its end, so that of ours it includes the start of the workers.
 *   npm run bench -- trials [--json]
 */
import { compared, median, printer } from "./frame.ts";
import { rayTune, rayTuneVersion, type TuneTimes } from "./ray-tune.ts";
import { runPlan, withCluster } from "./search.ts";

const GPUS = 4;
const MANY = 500;
const FROM = 100;
const FEW = 50;
const ROUNDS = 2;

async function ours(trials: number): Promise<TuneTimes> {
  return withCluster(GPUS, async (cluster, dir) => {
    const ends: number[] = [];
    const begin = performance.now();
    const seconds = (): number => (performance.now() - begin) / 1000;
    await runPlan(cluster, { dir, name: "trials", gpus: GPUS, plan: new Array(trials).fill(0) }, (event) => {
      if (event.type === "trial_ended") ends.push(seconds());
    });
    return { seconds: seconds(), ends };
  });
}

const sides = {
  ours: () => ours(MANY),
  reuse: () => rayTune("reuse", MANY, GPUS),
  oursFew: () => ours(FEW),
  function: () => rayTune("function", FEW, GPUS),
};
const samples: Record<keyof typeof sides, TuneTimes[]> = { ours: [], reuse: [], oursFew: [], function: [] };
const print = printer(
  `trials that report once and end, ${GPUS} logical GPUs, Ray ${await rayTuneVersion()} on both sides, median of ${ROUNDS} runs`,
);
for (let round = 0; round < ROUNDS; round++) {
  for (const name of Object.keys(sides) as (keyof typeof sides)[]) samples[name].push(await sides[name]());
}
const whole = (side: TuneTimes[]): number => median(side.map(({ seconds }) => seconds));
const late = (side: TuneTimes[]): number =>
  median(side.map(({ ends }) => ((ends[MANY - 1] ?? 0) - (ends[FROM - 1] ?? 0)) / (MANY - FROM)));
const name = `time, a trial from ${FROM}th to ${MANY}th, vs ray-tune-reuse`;
print(compared("trials", name, late(samples.ours), late(samples.reuse), "s"));
print(compared("trials", `time, ${MANY} trials, vs ray-tune-reuse`, whole(samples.ours), whole(samples.reuse), "s"));
const each = [whole(samples.oursFew) / FEW, whole(samples.function) / FEW] as const;
print(compared("trials", "time, a trial, vs ray-tune-function", ...each, "s"));
