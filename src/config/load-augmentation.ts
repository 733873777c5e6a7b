/** The section `train.augmentation` in a file of its own, for copies that are made before training. */
import { type AugmentationConfig, augmentationSchema } from "./augmentation.ts";
import { schemaNode } from "./describe.ts";
import { readDocument } from "./document.ts";
import { problemsOf, throwProblems } from "./problems.ts";

/**
 * Reads a YAML or JSON file that holds what an experiment has below `train.augmentation`.
 *
 * @throws DistmisError FILE_UNUSABLE, or CONFIG_INVALID with every problem on a line of its own, as loadExperiment.
 */
export async function loadAugmentation(file: string): Promise<AugmentationConfig> {
  const document = await readDocument(file);
  const parsed = augmentationSchema.safeParse(document.data);
  if (parsed.success) return parsed.data;
  throwProblems(problemsOf(parsed.error, document.data, schemaNode(augmentationSchema)), (path) => {
    const line = document.lineOf(path);
    return line === undefined ? file : `${file}:${line}`;
  });
  throw parsed.error;
}
