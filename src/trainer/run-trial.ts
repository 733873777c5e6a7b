/** One attempt at one trial: its configuration checked, its task run, its end said. */
import { z } from "zod";
import { type TrialConfig, trialConfigSchema } from "../config/index.ts";
import { DistmisError, messageOf } from "../errors/index.ts";
import { type Assignment, type TrialEnded, TrialOutcome } from "../generated/distmis/v1/trainer.ts";
import type { Control } from "./control.ts";
import { loadTask } from "./load-task.ts";
import type { Task, TrialContext } from "./task.ts";
import { lazyFolder } from "./trial-folder.ts";

// Metrics may be NaN or infinite, which z.number() refuses: whether that is a failure is for the task to say.
const number = z.custom<number>((value) => typeof value === "number", "must be a number");
const metrics = z.record(z.string(), number);

// Modules of others may be plain JavaScript, so what they hand over is checked.
const reportSchema = z.object({
  epoch: z.int().min(1).max(0xffffffff),
  epochs: z.int().min(0).max(0xffffffff),
  metrics,
  seconds: number.default(0),
  volumesPerSecond: number.default(0),
  checkpoint: z.string().default(""),
  workSeconds: number.default(0),
});
const resultSchema = z.object({ stopped: z.boolean(), metrics });

export interface TrialOptions {
  assignment: Assignment;
  /** Of the assignment, see threads.ts. */
  sequence: number;
  control: Control;
  /** See {@link TrialContext}. */
  shared: Map<string, unknown>;
  threads: number;
}

/** Runs the trial and sends its reports; never throws, the failure is in what it returns. */
export async function runTrial(options: TrialOptions): Promise<TrialEnded> {
  const { assignment } = options;
  let task: Task | undefined;
  let ended: TrialEnded;
  try {
    const trial = trialContext(options);
    task = await loadTask(assignment.task);
    const result = checked(resultSchema, await task.run(trial), `trial ${assignment.trialId}: the result of its task`);
    ended = trialEnded(assignment, {
      outcome: result.stopped ? TrialOutcome.TRIAL_OUTCOME_STOPPED : TrialOutcome.TRIAL_OUTCOME_COMPLETED,
      metrics: result.metrics,
    });
  } catch (error) {
    console.error(error);
    ended = trialFailed(assignment, error);
  }
  const uncleanReason = leftovers(task);
  return {
    ...ended,
    clean: uncleanReason === null,
    uncleanReason: uncleanReason ?? "",
  };
}

/** The end of a trial that failed with `error`; not clean. */
export function trialFailed(assignment: Assignment, error: unknown): TrialEnded {
  return trialEnded(assignment, {
    outcome: TrialOutcome.TRIAL_OUTCOME_FAILED,
    errorCode: error instanceof DistmisError ? error.code : "TRIAL_FAILED",
    errorMessage: messageOf(error),
  });
}

function trialEnded(assignment: Assignment, end: Partial<TrialEnded> & Pick<TrialEnded, "outcome">): TrialEnded {
  const { trialId, attempt } = assignment;
  const nothing = {
    errorCode: "",
    errorMessage: "",
    metrics: {},
    clean: false,
    uncleanReason: "",
  };
  return { trialId, attempt, ...nothing, ...end };
}

function leftovers(task: Task | undefined): string | null {
  try {
    return task?.leftovers?.() ?? null;
  } catch (error) {
    return `its task cannot tell what is left: ${messageOf(error)}`;
  }
}

function trialContext({ assignment, sequence, control, shared, threads }: TrialOptions): TrialContext {
  const { trialId, attempt, trialDir, rank, replicas, addresses, reportedEpoch } = assignment;
  const config = parseConfig(assignment);
  const folder = lazyFolder(trialDir, rank === 0 ? config : null, `trial ${trialId}`);
  let lastEpoch = 0;
  return {
    trialId,
    attempt,
    config,
    taskInput: parseJson(assignment.taskJson === "" ? "null" : assignment.taskJson, `trial ${trialId}: task_json`),
    reportedEpoch,
    get dir() {
      return folder();
    },
    rank,
    replicas,
    addresses,
    threads,
    shared,
    stopRequested: () => control.stopRequested(sequence),
    async report(report) {
      const value = checked(reportSchema, report, `trial ${trialId}: a report`);
      if (value.epoch <= lastEpoch) {
        throw new Error(
          `trial ${trialId}: epoch ${value.epoch} was reported after epoch ${lastEpoch}, epochs must grow`,
        );
      }
      lastEpoch = value.epoch;
      const peakResidentBytes = process.resourceUsage().maxRSS * 1024;
      await control.send({
        $case: "report",
        value: { trialId, attempt, ...value, peakResidentBytes },
      });
    },
  };
}

function parseConfig({ trialId, configJson }: Assignment): TrialConfig {
  const what = `trial ${trialId}: its configuration`;
  return checked(trialConfigSchema, parseJson(configJson, what), what, "CONFIG_INVALID");
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DistmisError("CONFIG_INVALID", `${what} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: "CONFIG_INVALID" | "TRIAL_FAILED" = "TRIAL_FAILED",
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [path.join("."), message].filter(Boolean).join(": "));
  throw new DistmisError(code, `${what} is not legal: ${problems.join("; ")}`);
}
