/** What a U-Net learns. */
import type { ModelConfig } from "../config/index.ts";
import type { ParameterSpec } from "./parameters.ts";

/** Parameters and moving statistics of a U-Net for images of `inputs` modalities, in the order of their flat vectors. */
export function unetParameters(
  model: ModelConfig,
  inputs: number,
  logits: number,
): { parameters: ParameterSpec[]; statistics: ParameterSpec[] } {
  const { norm, depth } = model;
  const filtersAt = (level: number) => model.filters * 2 ** level;
  const learnt: ParameterSpec[] = [];
  const averaged: ParameterSpec[] = [];
  const addKernel = (name: string, from: number, to: number, side: number = model.kernel) =>
    learnt.push({ name, shape: [side, side, side, from, to], initial: { deviation: model.initial_deviation } });
  const addConstant = (name: string, size: number, constant: number) =>
    learnt.push({ name, shape: [size], initial: { constant } });

  function addBlock(name: string, from: number, to: number): void {
    for (const [index, input] of [from, to].entries()) {
      addKernel(`${name}.conv${index}.kernel`, input, to);
      if (norm === "none") {
        addConstant(`${name}.conv${index}.bias`, to, 0);
        continue;
      }
      // The norm's offset stands for the convolution's bias, which it would cancel.
      addConstant(`${name}.norm${index}.scale`, to, 1);
      addConstant(`${name}.norm${index}.offset`, to, 0);
      if (norm !== "batch") continue;
      averaged.push({ name: `${name}.norm${index}.mean`, shape: [to], initial: { constant: 0 } });
      averaged.push({ name: `${name}.norm${index}.variance`, shape: [to], initial: { constant: 1 } });
    }
    // The shortcut changes the number of channels.
    if (model.residual) addKernel(`${name}.shortcut.kernel`, from, to, 1);
  }

  for (let level = 0; level < depth; level++) {
    addBlock(`down${level}`, level === 0 ? inputs : filtersAt(level - 1), filtersAt(level));
  }
  addBlock("bottom", filtersAt(depth - 1), filtersAt(depth));
  for (let level = depth - 1; level >= 0; level--) {
    const [wide, narrow] = [filtersAt(level + 1), filtersAt(level)];
    // A transposed convolution's kernel is that of the convolution whose gradient it is.
    if (model.upsampling === "transpose") addKernel(`up${level}.transpose.kernel`, narrow, wide);
    else addKernel(`up${level}.transpose.kernel`, wide, narrow);
    addConstant(`up${level}.transpose.bias`, narrow, 0);
    addBlock(`up${level}`, 2 * narrow, narrow);
  }
  addKernel("output.kernel", filtersAt(0), logits);
  addConstant("output.bias", logits, 0);
  return { parameters: learnt, statistics: averaged };
}
