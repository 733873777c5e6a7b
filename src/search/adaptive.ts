/** Searchers with a study: of adaptive samplers, and of any sampler whose trials a pruner ends early. */
import type { OpenStudy, Study } from "../cluster/index.ts";
import { type Experiment, isAdaptive } from "../config/index.ts";
import type { Proposals } from "./proposals.ts";
import type { KnownTrial, Searcher } from "./searcher.ts";
import { finishOf, knownEvents, openingOf, warmEvents } from "./study-messages.ts";

export interface StudyParts {
  experiment: Experiment;
  /** All trials that were asked for before, in the order of their ids. */
  known: readonly KnownTrial[];
  /** Trials of other runs to learn from; their parameters are points of this space. */
  earlier: readonly KnownTrial[];
  /** What comes before the sampler's own: all of grid and random search, the configurations of a warm start. */
  proposals: Proposals;
  openStudy(open: OpenStudy): Promise<Study>;
}

/** Whether the search needs a study. */
export function needsStudy({ search }: Experiment): boolean {
  return isAdaptive(search.sampler) || search.pruner !== undefined;
}

/** The study is opened when it is first needed, and told all that is known. */
export function studySearcher({ experiment, known, earlier, proposals, openStudy }: StudyParts): Searcher {
  const adaptive = isAdaptive(experiment.search.sampler);
  const prunes = experiment.search.pruner !== undefined;
  const { events, unknown } = knownEvents(experiment, known, prunes);
  let opened: Promise<Study> | null = null;
  let closed = false;

  const open = async (): Promise<Study> => {
    const study = await openStudy(openingOf(experiment));
    await study.replay([...warmEvents(earlier), ...events]);
    return study;
  };
  const study = (): Promise<Study> => {
    if (closed) throw new Error("the searcher is closed");
    opened ??= open();
    return opened;
  };

  return {
    remaining: proposals.remaining,
    async ask(trial) {
      const given = proposals.next();
      if (given !== null) await (await study()).begin(trial, given);
      return given ?? (adaptive ? (await study()).ask(trial) : null);
    },
    async report(trial, epoch, value) {
      if (!prunes || unknown.has(trial)) return "continue";
      return (await (await study()).report(trial, epoch, value)) ? "prune" : "continue";
    },
    async tell(trial, outcome) {
      if (!unknown.has(trial)) await (await study()).tell(trial, finishOf(outcome));
    },
    async close() {
      closed = true;
      const open = await opened?.catch(() => null);
      open?.close();
    },
  };
}
