/** Records hold channels first, TensorFlow computes and augmentation works on channels last. */

/** Voxels of a block: what is written for one channel is still in the second-level cache when the next one comes. */
const BLOCK = 4096;

/** [C, voxels] to [voxels, C], into `output`, which must not overlap `input`; it is returned. */
export function channelsLast(input: Float32Array, channels: number, output: Float32Array): Float32Array {
  const voxels = input.length / channels;
  if (channels === 4) {
    // The usual case, in one pass over memory.
    for (let voxel = 0, to = 0; voxel < voxels; voxel++, to += 4) {
      output[to] = input[voxel] as number;
      output[to + 1] = input[voxel + voxels] as number;
      output[to + 2] = input[voxel + 2 * voxels] as number;
      output[to + 3] = input[voxel + 3 * voxels] as number;
    }
    return output;
  }
  for (let first = 0; first < voxels; first += BLOCK) {
    const end = Math.min(voxels, first + BLOCK);
    for (let channel = 0; channel < channels; channel++) {
      const start = channel * voxels;
      for (let voxel = first, to = first * channels + channel; voxel < end; voxel++, to += channels) {
        output[to] = input[start + voxel] as number;
      }
    }
  }
  return output;
}

/** [voxels, C] to [C, voxels], as {@link channelsLast}. */
export function channelsFirst(input: Float32Array, channels: number, output: Float32Array): Float32Array {
  // The same permutation with the roles of channels and voxels exchanged.
  return channelsLast(input, input.length / channels, output);
}
