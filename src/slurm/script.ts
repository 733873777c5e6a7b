/** The batch script of a run: text, so that anybody can read what was submitted. */
import { directiveWord, patternOf, shellWord } from "./quote.ts";
import type { JobSettings } from "./settings.ts";

export interface JobScript {
  /** Of the run, as its experiment has it. */
  name: string;
  /** Folder of the script and the logs; absolute, as all paths here. */
  dir: string;
  settings: JobSettings;
  /** Program and arguments of the run, without the options that follow from `settings`. */
  command: readonly string[];
  /** Further options, for the first start of the job and none of its restarts. */
  once: readonly string[];
  /** What the script came from, for a person. */
  comment: readonly string[];
}

/** The whole script. */
export function jobScript({ name, dir, settings, command, once, comment }: JobScript): string {
  const said = comment.map((text) => `# ${text.replaceAll(/\p{Cc}/gu, " ")}`);
  const words = [...command, ...runOptions(settings)].map(shellWord);
  return `${[
    "#!/bin/bash",
    ...said,
    ...directives(name, dir, settings).map((text) => `#SBATCH ${text}`),
    ...settings.sbatch.map((option) => `#SBATCH ${option.startsWith("-") ? option : `--${option}`}`),
    "",
    ...modules(settings.modules),
    ...(once.length === 0
      ? []
      : [
          "# At the first start alone: a restart goes on.",
          `if [ "\${SLURM_RESTART_COUNT:-0}\${DISTMIS_RESTARTS:-0}" = 00 ]; then`,
          `  set -- ${once.map(shellWord).join(" ")}`,
          "fi",
        ]),
    "# exec: SLURM's signals are for distmis, and its exit code is the job's.",
    `exec ${words.join(" ")}${once.length === 0 ? "" : ' "$@"'}`,
  ].join("\n")}\n`;
}

function directives(name: string, dir: string, settings: JobSettings): string[] {
  const { nodes, gpusPerNode, cpusPerNode, gpuOption, time, exclusive, maxRequeues, warnSeconds } = settings;
  const value = (option: string, text: string | null): string[] =>
    text === null ? [] : [`--${option}=${directiveWord(text)}`];
  return [
    ...value("job-name", `distmis-${name}`),
    `--nodes=${nodes}`,
    "--ntasks-per-node=1",
    ...(cpusPerNode === null ? [] : [`--cpus-per-task=${cpusPerNode}`]),
    ...(gpusPerNode === 0
      ? []
      : [gpuOption === "gres" ? `--gres=gpu:${gpusPerNode}` : `--gpus-per-node=${gpusPerNode}`]),
    ...(exclusive ? ["--exclusive"] : []),
    ...value("time", time),
    ...value("partition", settings.partition),
    ...value("qos", settings.qos),
    ...value("account", settings.account),
    ...value("constraint", settings.constraint),
    // Of one job and its requeues in one file.
    ...value("output", `${patternOf(dir)}/%j.log`),
    "--open-mode=append",
    `--signal=B:USR1@${warnSeconds}`,
    maxRequeues > 0 ? "--requeue" : "--no-requeue",
    // A lost node costs its trials their time, not the job.
    "--no-kill",
  ];
}

function modules(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [
    "# Where `module` is a function of login shells only.",
    "type module >/dev/null 2>&1 || . /etc/profile",
    ...names.map((each) => `module load ${shellWord(each)} || exit`),
    "",
  ];
}

function runOptions({ nodes, minNodes, nodeDeadline, interface: network, maxRequeues }: JobSettings): string[] {
  return [
    "--ray-address",
    "slurm",
    ...(minNodes === null || minNodes === nodes ? [] : ["--min-nodes", String(minNodes)]),
    ...(nodeDeadline === null ? [] : ["--node-deadline", String(nodeDeadline)]),
    ...(network === null ? [] : ["--interface", network]),
    "--max-requeues",
    String(maxRequeues),
  ];
}

/** The script's own name. */
export const SCRIPT = "job.sbatch";
