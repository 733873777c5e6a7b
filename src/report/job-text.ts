/** A job of SLURM, for the terminal. */
import type { Job, JobState } from "../slurm/index.ts";
import { formatSeconds, printable } from "./format.ts";

/** On one line: `job 12: RUNNING on 4 nodes (as01r1b[01-04]), 41:23:05 left, started again once`. */
export function jobLine({ job, cluster }: Job, state: JobState): string {
  const { nodes, nodeList, restarts, secondsLeft, startAt, reason, exitCode } = state;
  const count = nodes === null ? "" : `${nodes} ${nodes === 1 ? "node" : "nodes"}`;
  const where = nodeList === null ? [] : [`on ${count === "" ? nodeList : `${count} (${nodeList})`}`];
  const waits = state.state === "PENDING";
  const facts = [
    [state.state === "UNKNOWN" ? "no longer known to SLURM" : state.state, ...where].join(" "),
    ...(waits && count !== "" ? [`${count} asked for`] : []),
    ...(reason === null ? [] : [`reason ${reason}`]),
    ...(waits && startAt !== null ? [`expected to start ${new Date(startAt).toLocaleString("sv")}`] : []),
    ...(secondsLeft === null ? [] : [`${formatSeconds(secondsLeft)} left`]),
    ...(exitCode === null ? [] : [`exit code ${exitCode}`]),
    ...(restarts === 0 ? [] : [`started again ${restarts === 1 ? "once" : `${restarts} times`}`]),
  ];
  return printable(`job ${job}${cluster === null ? "" : ` of ${cluster}`}: ${facts.join(", ")}`);
}
