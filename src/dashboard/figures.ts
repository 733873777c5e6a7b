/** `distmis report --figures`: the charts of a run as files. */
import path from "node:path";
import {
  barsOf,
  curvesOption,
  importanceOption,
  lanesOf,
  OUTCOMES,
  PAPER,
  parallelOption,
  parameters,
  ranked,
  timelineHeight,
  timelineOption,
} from "../charts/index.ts";
import { DistmisError } from "../errors/index.ts";
import { replaceFile } from "../files/index.ts";
import { makeFolder } from "../paths/index.ts";
import { type FigureSize, loadDrawing, pngOf } from "./draw.ts";
import { importanceOfBoard } from "./routes.ts";
import { openBoard, type RunBoard } from "./run-board.ts";
import { spread } from "./spread.ts";

export interface Figures {
  /** Those that were written, in the order of the charts. */
  files: string[];
  /** What was left out, for a person. */
  remarks: string[];
}

interface Figure extends FigureSize {
  name: string;
  option: object;
}

const WIDTH = 900;
/** More can't be told apart on paper, and a file of millions of points opens nowhere. */
const MOST_CURVES = 10;
const MOST_LINES = 1000;
const MOST_PARAMETERS = 40;
const MOST_ATTEMPTS = 5000;
const MOST_LANES = 128;
const HIGHEST = 4000;
/** Letters of a legend's line. */
const MOST_LETTERS = 100;

/**
 * Writes the charts of the run in `dir`, also one that goes on, into `folder`: `curves`, `parameters`, `importance` and
 * `timeline`, each as .svg and .png. Files of these names are replaced; a chart that has nothing to show is not written.
 * @throws DistmisError FILE_UNUSABLE if there is no run or a file can't be written, RUN_REFUSED if its journal is damaged,
 * SETUP_INCOMPLETE if distmis is not built
 */
export async function writeFigures(dir: string, folder: string): Promise<Figures> {
  const draw = await loadDrawing();
  const board = await openBoard(dir, "0");
  await board.look();
  const { run } = board.changes(-1);
  if (run.trouble !== null) throw new DistmisError("RUN_REFUSED", run.trouble);
  const remarks: string[] = [];
  const figures = [
    curvesFigure(board, remarks),
    parametersFigure(board, remarks),
    await importanceFigure(board, remarks),
    timelineFigure(board, remarks),
  ];
  await makeFolder(folder);
  const files: string[] = [];
  for (const figure of figures) {
    if (figure === null) continue;
    const { name, option, width, height } = figure;
    const svg = draw({ backgroundColor: PAPER.back, ...option }, { width, height });
    for (const [ending, bytes] of [
      ["svg", svg],
      ["png", [await pngOf(svg)]],
    ] as const) {
      const file = path.join(folder, `${name}.${ending}`);
      await replaceFile(file, bytes);
      files.push(file);
    }
  }
  return { files, remarks };
}

function bestTrials(board: RunBoard) {
  const { run } = board.changes(-1);
  const trials = ranked({ view: run, trials: new Map(board.trials().map((trial) => [trial.id, trial])) });
  return { run, trials: trials.filter(({ best }) => best !== null) };
}

function curvesFigure(board: RunBoard, remarks: string[]): Figure | null {
  const { run, trials } = bestTrials(board);
  const lines = trials.slice(0, MOST_CURVES).flatMap((trial, index) => {
    const curve = board.curve(trial.id);
    const colour = PAPER.series[index % PAPER.series.length] ?? PAPER.accent;
    const dashed = index >= PAPER.series.length;
    return curve === null
      ? []
      : [{ key: trial.id, name: trial.id, curve, colour, dashed, words: parameters(trial.parameters) }];
  });
  if (lines.length === 0) return none("curves", `no trial has reported ${run.metric}`, remarks);
  if (trials.length > lines.length) remarks.push(`curves: the best ${lines.length} of ${trials.length} trials`);
  const words = new Map(lines.map((line) => [line.name, shortened(`${line.name}  ${line.words}`)]));
  const option = curvesOption(lines, { metric: run.metric, smoothing: 0, logY: false, colours: PAPER });
  const below = 24 * lines.length + 16;
  return {
    name: "curves",
    width: WIDTH,
    height: 450 + below,
    option: {
      ...option,
      tooltip: { show: false },
      dataZoom: [],
      grid: { ...option.grid, bottom: 50 + below },
      xAxis: { ...option.xAxis, max: Math.max(2, ...lines.map(({ curve }) => curve.epochs.at(-1) ?? 0)) },
      legend: {
        ...legendBelow,
        orient: "vertical",
        icon: "rect",
        itemHeight: 3,
        height: below,
        itemGap: 12,
        formatter: (name: string) => words.get(name) ?? name,
      },
      series: option.series.map((series) => ({ ...series, sampling: "lttb" })),
    },
  };
}

function parametersFigure(board: RunBoard, remarks: string[]): Figure | null {
  const { run, trials } = bestTrials(board);
  if (run.parameters.length === 0) return none("parameters", "this experiment searches no field", remarks);
  if (trials.length === 0) return none("parameters", `no trial has reported ${run.metric}`, remarks);
  if (trials.length > MOST_LINES)
    remarks.push(`parameters: ${MOST_LINES} of ${trials.length} trials, evenly from the best to the worst`);
  const fields = run.parameters.slice(0, MOST_PARAMETERS);
  if (fields.length < run.parameters.length)
    remarks.push(`parameters: the first ${fields.length} of ${run.parameters.length} fields`);
  const option = parallelOption(spread(trials, MOST_LINES), { ...run, parameters: fields }, PAPER);
  const text = "A line is a trial, from grey (worst) over teal to orange (best).";
  return {
    name: "parameters",
    width: Math.max(WIDTH, 130 * (fields.length + 1)),
    height: 420,
    option: {
      ...option,
      parallel: { ...option.parallel, bottom: 50 },
      title: { text, left: 60, bottom: 8, textStyle: { color: PAPER.faint, fontSize: 12, fontWeight: "normal" } },
      // Nobody waits while it is drawn: in parts, all but the first would be missing.
      series: { ...option.series, progressive: 0 },
    },
  };
}

async function importanceFigure(board: RunBoard, remarks: string[]): Promise<Figure | null> {
  const { shares, missing } = await importanceOfBoard(board);
  if (shares === null) return none("importance", missing ?? "nothing is known", remarks);
  const shown = shares.slice(0, MOST_PARAMETERS);
  if (shown.length < shares.length) remarks.push(`importance: the first ${shown.length} of ${shares.length} fields`);
  const option = importanceOption(shown, PAPER);
  return { name: "importance", width: WIDTH, height: 80 + 30 * shown.length, option };
}

function timelineFigure(board: RunBoard, remarks: string[]): Figure | null {
  const { run } = board.changes(-1);
  const all = board.attempts();
  if (all.length === 0) return none("timeline", "no trial has started", remarks);
  if (all.length > MOST_ATTEMPTS) remarks.push(`timeline: the first ${MOST_ATTEMPTS} of ${all.length} attempts`);
  const attempts = all.slice(0, MOST_ATTEMPTS);
  const end = all.length > MOST_ATTEMPTS ? Math.max(...attempts.map((each) => each.end ?? run.lastAt)) : run.lastAt;
  const places = lanesOf(attempts, run.startedAt, end);
  const lanes = places.slice(0, MOST_LANES);
  if (lanes.length < places.length) remarks.push(`timeline: the first ${lanes.length} of ${places.length} GPUs`);
  const option = timelineOption(lanes, run.startedAt, end, PAPER);
  const outcomes = barsOf(lanes).map(({ attempt }) => OUTCOMES[attempt.outcome]);
  const { data, ...series } = option.series;
  return {
    name: "timeline",
    width: WIDTH,
    height: Math.min(HIGHEST, timelineHeight(lanes)),
    option: {
      ...option,
      tooltip: { show: false },
      dataZoom: [],
      grid: { ...option.grid, left: 210, right: 40 },
      xAxis: { ...option.xAxis, axisLabel: { ...option.xAxis.axisLabel, hideOverlap: true } },
      yAxis: { ...option.yAxis, axisLabel: { ...option.yAxis.axisLabel, overflow: "truncate", width: 160 } },
      legend: legendBelow,
      // One series for each outcome, as a legend names series.
      series: [...new Set(outcomes)].map((name) => {
        const own = data.filter((_, at) => outcomes[at] === name);
        return { ...series, id: name, name, progressive: 0, color: own[0]?.itemStyle.color, data: own };
      }),
    },
  };
}

const legendBelow = {
  left: 60,
  bottom: 8,
  itemWidth: 18,
  // Letters are measured without their font.
  itemGap: 22,
  textStyle: { color: PAPER.text },
  selectedMode: false,
};

function none(name: string, why: string, remarks: string[]): null {
  remarks.push(`no ${name}: ${why}`);
  return null;
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= MOST_LETTERS ? line : `${line.slice(0, MOST_LETTERS - 1)}…`;
}
