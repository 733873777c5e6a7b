/** The cluster as the orchestrator sees it. Implemented in this folder over gRPC; see proto/distmis/v1/cluster.proto. */
import type { BringUpOptions } from "../allocation/index.ts";
import type {
  CheckGangResponse,
  DescribeClusterResponse,
  GangEnded,
  GangRequest,
  RunOnNodesResponse,
  TrainerProcess,
  Worker,
} from "../generated/distmis/v1/cluster.ts";
import type { OpenStudy, StudyEvent, TrialFinish } from "../generated/distmis/v1/study.ts";
import type { FromTrainer, ToTrainer } from "../generated/distmis/v1/trainer.ts";

export interface GangOptions {
  /** For logs and Ray's actor names. */
  name: string;
  request: GangRequest;
  /** Seconds to wait for a place; 0 waits as long as the gang is not killed. */
  placementDeadlineSeconds: number;
  /** Program that every worker starts; default: distmis's own trainer with the Node that runs this process. */
  trainer?: TrainerProcess;
}

/** What a gang tells, in order. `ended` is always the last one. */
export type GangEvent =
  | { type: "placed"; workers: Worker[] }
  | { type: "message"; rank: number; message: NonNullable<FromTrainer["message"]> }
  | { type: "log"; rank: number; stream: "stdout" | "stderr"; text: string }
  | { type: "ended"; ended: GangEnded };

export interface Gang {
  readonly name: string;
  /** To be iterated once. Never throws: a lost shim is an `ended` with cause SHUTDOWN. */
  readonly events: AsyncIterable<GangEvent>;
  /**
   * Sends a message to one trainer, after all that were sent before; resolves when there is room for more.
   * @throws DistmisError TRAINER_FAILED if the message is too large, see wire; nothing of it is sent
   */
  send(rank: number, message: NonNullable<ToTrainer["message"]>): Promise<void>;
  /** Ends the trainers by closing their input; what lives after the grace is killed. */
  stop(graceSeconds: number): void;
  /** Ends the stream at once; the shim kills every process of the gang. */
  kill(): void;
}

/** A value of a searched field. */
export type PlainValue = number | string | boolean;

/**
 * An Optuna study in the shim, which draws parameters and ends trials early; see proto/distmis/v1/study.proto. Requests are
 * answered in their order. Each throws DistmisError SEARCH_FAILED if Optuna fails or the request makes no sense, and
 * CLUSTER_UNAVAILABLE if the shim is gone; after that all do.
 */
export interface Study {
  /** Tells what earlier studies were told. */
  replay(events: readonly StudyEvent[]): Promise<void>;
  /** Parameters of a new trial. */
  ask(trial: string): Promise<Record<string, PlainValue>>;
  /** A new trial whose parameters are given. */
  begin(trial: string, parameters: Readonly<Record<string, PlainValue>>): Promise<void>;
  /** A value after an epoch, from 1; whether the trial is to end. An epoch that is reported again does not count again. */
  report(trial: string, epoch: number, value: number): Promise<boolean>;
  tell(trial: string, finish: TrialFinish): Promise<void>;
  /** Ends it; idempotent. */
  close(): void;
}

export interface Cluster {
  describe(): Promise<DescribeClusterResponse>;
  /** Whether and how often a gang fits. */
  check(request: GangRequest): Promise<CheckGangResponse>;
  runGang(options: GangOptions): Gang;
  /**
   * Runs one program on every node that is alive, beside whatever runs there.
   * @returns a result for each of them; never later than some seconds after the deadline
   */
  runOnNodes(program: TrainerProcess, deadlineSeconds: number): Promise<RunOnNodesResponse[]>;
  /** Opens a study. Throws as its requests do. */
  openStudy(open: OpenStudy): Promise<Study>;
  /** Resolves (with a reason) if the shim or Ray goes away before `close`. */
  readonly lost: Promise<string>;
  /** Ends all gangs, the shim, and the local Ray if it was started here. Idempotent. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /**
   * Address of an existing Ray: host:port, "auto", or "local" for the one that `distmis cluster start` made; or "slurm": start one
   * on the nodes of the job in which this process runs, of which it has to be the first, that ends with `close`. Default: start a
   * Ray on this machine that ends with `close`.
   */
  rayAddress?: string;
  /** Local Ray: number of (logical) GPUs. Default: those of the machine. */
  gpus?: number;
  /** Local Ray: number of CPUs. Default: those of the machine. */
  cpus?: number;
  /** Where shim and Ray write their own logs. Default: the temp folder of the cluster, removed on close. */
  logDir?: string;
  /** With rayAddress "slurm": how. */
  slurm?: Pick<BringUpOptions, "minNodes" | "deadlineSeconds" | "interface" | "maxRequeues" | "lastly">;
  /** What a person may want to know of the cluster: nodes that do not come, are lost, or come back. */
  notice?: (text: string) => void;
  /** Aborts the start. */
  signal?: AbortSignal;
}
