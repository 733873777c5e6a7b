import { type DatasetInfo, type SampleInfo, type SkippedPair, SPLITS, type Split, shardFile } from "../data/index.ts";
import { DistmisError } from "../errors/index.ts";
import { packageVersion } from "../paths/index.ts";
import type { Plan } from "./plan.ts";
import { median, perAxis } from "./plan-recipe.ts";
import type { Done } from "./shard-log.ts";

export interface Described {
  info: DatasetInfo;
  /** From the name of a shard while it was written to its name in the data set: one without records has none. */
  names: Map<string, string>;
}

/**
 * info.json of a data set whose shards are all done. Errors: DATA_INVALID if no training volume is left.
 * @param done for each shard of the plan
 */
export function describeDataset(plan: Plan, done: readonly (readonly Done[])[]): Described {
  const { dataset, recipe, options } = plan;
  const names = new Map<string, string>();
  const files: Record<string, number> = {};
  const samples: Record<Split, SampleInfo[]> = { train: [], valid: [], test: [] };
  const shards: Record<Split, number> = { train: 0, valid: 0, test: 0 };
  const gaps: SkippedPair[] = [];
  for (const [index, { split, file }] of plan.shards.entries()) {
    const entries = done[index] ?? [];
    const written = entries.flatMap((entry) => entry.samples);
    gaps.push(...entries.flatMap(({ skipped }) => skipped ?? []));
    if (written.length === 0) continue;
    const name = shardFile(split, shards[split]++);
    names.set(file, name);
    files[name] = entries.at(-1)?.bytes ?? 0;
    samples[split].push(...written);
  }
  const skipped = inOrder(dataset.pairs, [...plan.skipped, ...gaps]);
  if (samples.train.length === 0) {
    throw new DistmisError(
      "DATA_INVALID",
      `${dataset.dir}: no training volume is left, as ${skipped.length} bad pairs are skipped; ${skipped[0]?.reason}`,
    );
  }
  const volumes = SPLITS.flatMap((split) => samples[split]).filter(({ copy }) => copy === 0);
  const repaired = (kind: keyof SampleInfo["repaired"]): number =>
    volumes.reduce((sum, sample) => sum + sample.repaired[kind], 0);
  const spacings = volumes.flatMap(({ spacing }): [number, number, number][] => {
    const [x, y, z] = spacing ?? [];
    return x === undefined || y === undefined || z === undefined ? [] : [[x, y, z]];
  });
  const sizes = { train: samples.train.length, valid: samples.valid.length, test: samples.test.length };
  const info: DatasetInfo = {
    total_size: sizes.train + sizes.valid + sizes.test,
    train_size: sizes.train,
    valid_size: sizes.valid,
    test_size: sizes.test,
    train_shard: shards.train,
    valid_shard: shards.valid,
    test_shard: shards.test,
    distmis: {
      format: 1,
      versions: { distmis: packageVersion(), node: process.versions.node },
      source_dir: dataset.dir,
      name: dataset.name,
      image_shape: [recipe.modalities.length, ...recipe.shape],
      label_shape: [1, ...recipe.shape],
      modalities: recipe.modalities,
      classes: recipe.labels.classes,
      spacing: perAxis(spacings, median),
      preprocessing: recipe,
      options,
      repaired: { nonfinite: repaired("nonfinite"), labels: repaired("labels") },
      skipped,
      samples,
      files,
    },
  };
  return { info, names };
}

function inOrder(pairs: Plan["dataset"]["pairs"], skipped: readonly SkippedPair[]): SkippedPair[] {
  const byImage = new Map(skipped.map((pair) => [pair.image, pair]));
  return pairs.flatMap(({ image }) => byImage.get(image) ?? []);
}
