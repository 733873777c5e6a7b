/**
 * A cluster without Ray, for what real machines do too seldom or too slowly: every cause of a gang's end, full clusters,
 * lost nodes. The real one is used in cluster.test.ts.
 */
import type { Cluster, Gang, GangEvent, GangOptions } from "../../src/cluster/index.ts";
import { GangEndCause, type GangEnded, type GangRequest } from "../../src/generated/distmis/v1/cluster.ts";
import { type Assignment, type FromTrainer, TrialOutcome } from "../../src/generated/distmis/v1/trainer.ts";
import { encodeToTrainer, PROTOCOL_VERSION } from "../../src/wire/index.ts";

/** What a trial of the script does: its values by epoch, and how its attempt ends. */
export interface TrialScript {
  values?: number[];
  metric?: string;
  end?: "completed" | "failed" | "hang" | GangEndCause;
  /** Of a failure. */
  errorCode?: string;
  clean?: boolean;
  workSeconds?: number;
}

export interface ScriptOptions {
  /** Replicas that the cluster holds, on a node called `n`; or on several, by their names. */
  slots: number | Record<string, number>;
  /** Of the first one's, how many are taken by others for ever. */
  busy?: number;
  /** Asked for each rank, with its node. */
  trial?: (assignment: Assignment, node: string) => TrialScript;
  /** How the n-th gang (from 1), whose first replica is on `node`, fails to start; null if it starts. */
  start?: (gang: number, node: string) => GangEndCause | null;
  cpus?: number;
  /** Whether trials do not hear that they are to stop, as in a collective operation. */
  deaf?: boolean;
}

export interface ScriptedCluster extends Cluster {
  readonly requests: GangRequest[];
  readonly assignments: Assignment[];
  /** Gangs that were started, that live now, and that ever lived at once. */
  readonly gangs: { started: number; alive: number; most: number };
  /** From now on a node holds so many replicas; a new one joins, and one that holds none leaves. */
  resize(slots: number, node?: string): void;
  lose(reason: string): void;
}

export function scriptedCluster(options: ScriptOptions): ScriptedCluster {
  const gangs = { started: 0, alive: 0, most: 0 };
  const requests: GangRequest[] = [];
  const assignments: Assignment[] = [];
  const nodes = new Map(
    Object.entries(typeof options.slots === "number" ? { n: options.slots } : options.slots).map(
      ([name, slots], index) => [name, { slots, free: slots - (index === 0 ? (options.busy ?? 0) : 0) }],
    ),
  );
  /** So many replicas one after the other on nodes that have `field` for them; null if there are not so many. */
  const spread = ({ replicas, excludedNodes }: GangRequest, field: "slots" | "free"): string[] | null => {
    const places = [...nodes].flatMap(([name, node]) =>
      excludedNodes.includes(name) ? [] : Array<string>(Math.max(0, node[field])).fill(name),
    );
    return places.length < replicas ? null : places.slice(0, replicas);
  };
  const gangsIn = (request: GangRequest, field: "slots" | "free"): number => {
    const all = [...nodes].filter(([name]) => !request.excludedNodes.includes(name));
    return Math.floor(all.reduce((sum, [, node]) => sum + Math.max(0, node[field]), 0) / request.replicas);
  };
  const waiting = new Set<() => void>();
  const living = new Set<(ended: GangEnded) => void>();
  let loseCluster: (reason: string) => void = () => {};
  const lost = new Promise<string>((resolve) => {
    loseCluster = resolve;
  });

  function runGang(gang: GangOptions): Gang {
    const { replicas } = gang.request;
    const ranks = Array.from({ length: replicas }, (_, rank) => rank);
    const number = ++gangs.started;
    const events: GangEvent[] = [];
    let wake: () => void = () => {};
    let ended = false;
    let placed: string[] | null = null;
    const running = new Map<number, Assignment>();
    let deadline: NodeJS.Timeout | undefined;
    const push = (event: GangEvent): void => {
      if (ended) return;
      events.push(event);
      wake();
    };
    const message = (rank: number, value: NonNullable<FromTrainer["message"]>): void =>
      push({ type: "message", rank, message: value });
    const end = (value: GangEnded): void => {
      if (ended) return;
      push({ type: "ended", ended: value });
      ended = true;
      clearTimeout(deadline);
      waiting.delete(place);
      living.delete(end);
      if (placed === null) return;
      gangs.alive--;
      for (const name of placed) {
        const node = nodes.get(name);
        if (node !== undefined) node.free++;
      }
      for (const other of waiting) other();
    };
    const because = (cause: GangEndCause, rank?: number): GangEnded => ({
      cause,
      message: `ended by ${GangEndCause[cause]}`,
      ...(rank === undefined ? {} : { rank, nodeId: placed?.[rank] }),
    });
    const place = (): void => {
      if (placed !== null || ended) return;
      if (spread(gang.request, "slots") === null) end(because(GangEndCause.GANG_END_CAUSE_REFUSED));
      const places = spread(gang.request, "free");
      if (places === null || ended) return;
      waiting.delete(place);
      clearTimeout(deadline);
      for (const name of places) {
        const node = nodes.get(name);
        if (node !== undefined) node.free--;
      }
      placed = places;
      gangs.most = Math.max(gangs.most, ++gangs.alive);
      const failure = options.start?.(number, places[0] ?? "") ?? null;
      if (failure !== null) {
        end(because(failure, 0));
        return;
      }
      const workers = ranks.map((rank) => {
        const nodeId = places[rank] ?? "";
        const who = { rank, nodeId, hostName: nodeId === "n" ? "node" : nodeId, address: `10.0.0.${rank}` };
        return { ...who, gpuIds: [String(rank)], actorPid: 1, trainerPid: 2, device: "NVIDIA H200" };
      });
      push({ type: "placed", workers });
      push({ type: "log", rank: 0, stream: "stderr", text: "trainer started\n" });
      const ready = { protocolVersion: PROTOCOL_VERSION, pid: 2, distmisVersion: "0", nodeVersion: "0" };
      for (const rank of ranks) {
        message(rank, { $case: "ready", value: { ...ready, collectivePort: replicas > 1 ? 5000 + number : 0 } });
      }
    };
    const trialEnded = (assignment: Assignment, outcome: TrialOutcome, clean: boolean, errorCode: string): void => {
      const { trialId, attempt, rank } = assignment;
      running.delete(rank);
      const failed = outcome === TrialOutcome.TRIAL_OUTCOME_FAILED;
      const error = failed ? { errorCode, errorMessage: "loss is not a number" } : { errorCode: "", errorMessage: "" };
      message(rank, {
        $case: "ended",
        value: { trialId, attempt, outcome, ...error, metrics: failed ? {} : { final: 1 }, clean, uncleanReason: "" },
      });
    };
    const work = (assignment: Assignment): void => {
      const { trialId, attempt, rank } = assignment;
      running.set(rank, assignment);
      assignments.push(assignment);
      const {
        values = [0.1, 0.3, 0.2],
        metric = "val_dice",
        workSeconds = 0,
        end: how = "completed",
        clean = true,
        errorCode = "TRIAL_FAILED",
      } = options.trial?.(assignment, placed?.[rank] ?? "") ?? {};
      push({ type: "log", rank, stream: "stdout", text: `trial ${trialId} attempt ${attempt}\n` });
      for (const [index, value] of values.entries()) {
        const report = {
          epoch: index + 1,
          epochs: values.length,
          metrics: { [metric]: value },
          checkpoint: `epoch-${index + 1}`,
        };
        const cost = { seconds: 0.1, volumesPerSecond: 10, peakResidentBytes: 1, workSeconds };
        message(rank, { $case: "report", value: { trialId, attempt, ...report, ...cost } });
      }
      if (how === "hang") return;
      if (typeof how === "number") end(because(how, rank));
      else {
        const outcome = how === "completed" ? TrialOutcome.TRIAL_OUTCOME_COMPLETED : TrialOutcome.TRIAL_OUTCOME_FAILED;
        trialEnded(assignment, outcome, clean, errorCode);
      }
    };

    requests.push(gang.request);
    living.add(end);
    waiting.add(place);
    if (gang.placementDeadlineSeconds > 0) {
      const late = (): void =>
        end({ cause: GangEndCause.GANG_END_CAUSE_PLACEMENT_DEADLINE, message: "no place: 1 GPU is missing" });
      deadline = setTimeout(late, gang.placementDeadlineSeconds * 1000);
    }
    setImmediate(place);
    return {
      name: gang.name,
      events: {
        async *[Symbol.asyncIterator]() {
          while (true) {
            const event = events.shift();
            if (event === undefined) {
              if (ended) return;
              await new Promise<void>((resolve) => {
                wake = resolve;
              });
              continue;
            }
            yield event;
          }
        },
      },
      async send(rank, message) {
        // Refuses what is too large.
        encodeToTrainer(message);
        const own = running.get(rank);
        if (message.$case === "assign") setImmediate(work, message.value);
        else if (own?.trialId === message.value.trialId && options.deaf !== true)
          trialEnded(own, TrialOutcome.TRIAL_OUTCOME_STOPPED, true, "");
      },
      stop: () => void setImmediate(end, because(GangEndCause.GANG_END_CAUSE_STOPPED)),
      kill: () => end(because(GangEndCause.GANG_END_CAUSE_STOPPED)),
    };
  }

  return {
    requests,
    assignments,
    gangs,
    lost,
    async runOnNodes() {
      throw new Error("a scripted cluster has no nodes to run programs on");
    },
    async describe() {
      const described = [...nodes].map(([nodeId, { slots }]) => {
        const total = { CPU: options.cpus ?? slots, GPU: slots };
        const hostName = nodeId === "n" ? "node" : nodeId;
        return { nodeId, hostName, address: "10.0.0.0", alive: true, total, free: total, labels: {}, deathCause: "" };
      });
      return { rayVersion: "0", pythonVersion: "0", rayAddress: "", nodes: described };
    },
    async check(request) {
      const gangsInTotal = gangsIn(request, "slots");
      const there = gangsIn({ ...request, replicas: 1 }, "slots");
      const missing = gangsInTotal === 0 ? `${request.replicas - there} GPU on any node` : "";
      return { gangsInTotal, gangsInFree: gangsIn(request, "free"), missing };
    },
    runGang,
    async openStudy() {
      throw new Error("a scripted cluster has no Optuna");
    },
    resize(count, name = "n") {
      const node = nodes.get(name) ?? { slots: 0, free: 0 };
      nodes.set(name, { slots: count, free: node.free + count - node.slots });
      if (count === 0) nodes.delete(name);
      for (const place of waiting) place();
    },
    lose(reason) {
      loseCluster(reason);
      for (const end of living) end({ cause: GangEndCause.GANG_END_CAUSE_SHUTDOWN, message: reason });
    },
    async close() {},
  };
}
