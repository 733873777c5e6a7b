/** From the name of a task in an assignment to the code. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { DistmisError, messageOf } from "../errors/index.ts";
import type { Task, TrialContext, TrialResult } from "./task.ts";

/** Ours; loaded when first needed, as they load TensorFlow. */
const OWN_TASKS: Record<string, () => Promise<{ default: Task }>> = {
  train: () => import("./tasks/train.ts"),
  evaluate: () => import("./tasks/evaluate.ts"),
};

const loaded = new Map<string, Task>();

/**
 * The task of an assignment. A module is loaded once in the life of the process.
 * @param name "train" or "evaluate", or the absolute path of a module whose default export is a {@link Task} or a
 * function `(trial) => Promise<TrialResult>`. TypeScript works where the trainer itself runs from its sources.
 * @throws DistmisError CONFIG_INVALID or FILE_UNUSABLE
 */
export async function loadTask(name: string): Promise<Task> {
  const task = loaded.get(name) ?? (await load(name));
  loaded.set(name, task);
  return task;
}

async function load(name: string): Promise<Task> {
  const own = Object.hasOwn(OWN_TASKS, name) ? OWN_TASKS[name] : undefined;
  if (own !== undefined) return (await own()).default;
  if (!path.isAbsolute(name)) {
    throw new DistmisError(
      "CONFIG_INVALID",
      `task "${name}": expected ${Object.keys(OWN_TASKS).join(", ")} or the absolute path of a module`,
    );
  }
  if (!fs.existsSync(name)) {
    throw new DistmisError(
      "FILE_UNUSABLE",
      `task module ${name} does not exist on ${os.hostname()}: it must lie on a file system that all nodes see`,
    );
  }
  let module: unknown;
  try {
    module = await import(pathToFileURL(name).href);
  } catch (error) {
    const hint = /Unknown file extension "\.[cm]?ts"/.test(messageOf(error)) ? "; compile it to JavaScript first" : "";
    throw new DistmisError("CONFIG_INVALID", `task module ${name} cannot be loaded: ${messageOf(error)}${hint}`, {
      cause: error,
    });
  }
  return taskOf(module, name);
}

function taskOf(module: unknown, name: string): Task {
  const exported = isObject(module) ? module.default : undefined;
  if (isTaskFunction(exported)) return { run: exported };
  if (isTask(exported)) return exported;
  throw new DistmisError(
    "CONFIG_INVALID",
    `task module ${name}: its default export must be a function of a trial, or an object with such a function "run"; ` +
      `found ${isObject(exported) ? `an object with ${Object.keys(exported).join(", ") || "nothing"}` : typeof exported}`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isTaskFunction(value: unknown): value is (trial: TrialContext) => Promise<TrialResult> {
  return typeof value === "function";
}

function isTask(value: unknown): value is Task {
  return (
    isObject(value) &&
    typeof value.run === "function" &&
    (value.leftovers === undefined || typeof value.leftovers === "function")
  );
}
