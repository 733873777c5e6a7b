/** The whole of it: one undisturbed search, then disturbed ones until there were enough kills, and what became of them. */
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { markedProcesses } from "../../test/support/marked-processes.ts";
import { type RayNodes, startRayNodes } from "../../test/support/ray-nodes.ts";
import { until } from "../../test/support/until.ts";
import { caseRandom, type Random } from "../random.ts";
import { disturb } from "./disturb.ts";
import { superfluous, tally } from "./journal.ts";
import { persistently } from "./persistently.ts";
import { differences } from "./results.ts";
import { prepareSearch, startSearch } from "./search.ts";
import { KINDS, type Kind } from "./victims.ts";

/** How often each kind is drawn. A head takes all of Ray with it, and a good ten seconds to start again. */
const LOTS: Readonly<Record<Kind, number>> = { trainer: 3, actor: 3, raylet: 2, head: 1, shim: 2, orchestrator: 3 };
const LAST_PROCESSES_MILLISECONDS = 20_000;

export interface ChaosOptions {
  kills: number;
  seed: number;
  /** Folder for everything; what is in it afterwards is for the caller to remove. */
  dir: string;
  /** Learning rates of the grid; it has 4 times as many trials. */
  rates: number;
  /** Who is killed, in this order; default: drawn. */
  order?: readonly Kind[];
  say(text: string): void;
  /** Ends everything; what it rejects with is then its reason. */
  signal?: AbortSignal;
}

export interface ChaosResult {
  kills: number;
  killed: Partial<Record<Kind, number>>;
  /** Of all disturbed searches, of which another one begins while kills are left. */
  trials: number;
  /** Trials that the journal doesn't know as completed. */
  lost: number;
  /** Ends that were recorded more than once. */
  duplicated: number;
  /** Epochs that were recorded more than once: the price of a kill. */
  epochs_repeated: number;
  /** Results, best weights and the model folder are those of the undisturbed search. */
  equal: boolean;
  seed: number;
  searches: number;
  /** How often the search was started. */
  starts: number;
  seconds: number;
  /** What was not as it should be, a line each. */
  problems: string[];
}

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const { dir, say } = options;
  const began = performance.now();
  const experiment = await prepareSearch(dir, options.rates);
  const ray = await persistently(() => startRayNodes([1, 1]), say);
  const mark = randomUUID();
  const environment = { ...ray.environment, DISTMIS_TEST_MARK: mark, SPT_NOENV: "1" };
  const pids: number[] = [];
  const run = async (): Promise<ChaosResult> => {
    const undisturbed = path.join(dir, "undisturbed");
    const search = startSearch(experiment, undisturbed, ray.address, environment);
    pids.push(search.pid);
    const { code } = await search.exit;
    if (code !== 0) throw new Error(`the undisturbed search ended with exit code ${code}: ${search.said()}`);
    say(`the undisturbed search has ended after ${((performance.now() - began) / 1000).toFixed(0)} s`);
    const result = await searches(options, { experiment, undisturbed, ray, mark, environment, pids });
    result.problems.push(...(await leftovers(mark, pids)));
    result.seconds = Math.round((performance.now() - began) / 1000);
    return result;
  };
  try {
    return await Promise.race([run(), aborted(options.signal)]);
  } finally {
    await until("the end of the search", () => {
      killAll(markedProcesses(mark));
      return markedProcesses(mark).length === 0;
    });
    await ray.close();
  }
}

function aborted(signal = new AbortController().signal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function killAll(processes: readonly string[]): void {
  for (const line of processes) {
    try {
      process.kill(Number(line.split(" ")[0]), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

interface Prepared {
  experiment: string;
  undisturbed: string;
  ray: RayNodes;
  mark: string;
  environment: Record<string, string>;
  pids: number[];
}

async function searches(options: ChaosOptions, prepared: Prepared): Promise<ChaosResult> {
  const { kills, seed, dir, say } = options;
  const random = caseRandom(seed, 0);
  const expected = tally(path.join(prepared.undisturbed, "journal.jsonl"));
  const result: ChaosResult = {
    kills: 0,
    killed: {},
    trials: 0,
    lost: 0,
    duplicated: 0,
    epochs_repeated: 0,
    equal: true,
    seed,
    searches: 0,
    starts: 0,
    seconds: 0,
    problems: [],
  };
  const next = (): Kind | null => (result.kills < kills ? (options.order?.[result.kills] ?? draw(random)) : null);
  while (result.kills < kills) {
    const runDir = path.join(dir, `disturbed-${++result.searches}`);
    await disturb({
      ...prepared,
      runDir,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      random,
      next,
      killed(kind, what) {
        result.kills++;
        result.killed[kind] = (result.killed[kind] ?? 0) + 1;
        say(`kill ${result.kills}: ${kind}, ${what}`);
      },
      say,
      started(pid) {
        result.starts++;
        prepared.pids.push(pid);
      },
    });
    const { ends, completed, epochs } = tally(path.join(runDir, "journal.jsonl"));
    const lost = [...expected.ends.keys()].filter((trial) => !completed.has(trial));
    const different = differences(prepared.undisturbed, runDir);
    result.trials += expected.ends.size;
    result.lost += lost.length;
    result.duplicated += superfluous(ends);
    result.epochs_repeated += superfluous(epochs);
    result.equal &&= different.length === 0;
    const found = [...lost.map((trial) => `trial ${trial} is lost`), ...different];
    result.problems.push(...found.map((line) => `${path.basename(runDir)}: ${line}`));
    say(`search ${result.searches} has ended after ${result.kills} kills, ${found.length} problems`);
  }
  return result;
}

function draw(random: Random): Kind {
  const lots = KINDS.flatMap((kind) => Array.from({ length: LOTS[kind] }, () => kind));
  return lots[random.below(lots.length)] ?? "trainer";
}

/** Processes and temporary folders of searches that have all ended. */
async function leftovers(mark: string, pids: readonly number[]): Promise<string[]> {
  await until("the last processes", () => markedProcesses(mark).length === 0, LAST_PROCESSES_MILLISECONDS).catch(
    () => {},
  );
  const folders = fs.readdirSync("/tmp").filter((name) => {
    try {
      const { processes } = JSON.parse(fs.readFileSync(path.join("/tmp", name, "owner.json"), "utf8"));
      return processes.some(({ pid }: { pid: number }) => pids.includes(pid));
    } catch {
      return false; // Not one of distmis's.
    }
  });
  return [
    ...markedProcesses(mark).map((line) => `process left over: ${line}`),
    ...folders.map((name) => `folder left over: /tmp/${name}`),
  ];
}

export function isSound({ lost, duplicated, equal, problems }: ChaosResult): boolean {
  return lost === 0 && duplicated === 0 && equal && problems.length === 0;
}

export { KINDS, type Kind };
