/** One sample, as the network takes it. */
export interface Volume {
  /** (X, Y, Z, C), C running fastest. */
  image: Float32Array;
  /** (X, Y, Z, 1); 0 or 1, or the class's place from 0 (info.json's `distmis.preprocessing.labels.mode`). */
  label: Float32Array;
  /** [X, Y, Z, C] */
  imageShape: [number, number, number, number];
  /** Position in the split, from 0; with info.json's `distmis.samples` it tells which files the sample comes from. */
  index: number;
}
