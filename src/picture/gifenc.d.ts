/** What is used of gifenc, which brings no types. It is a CommonJS module without names that Node could detect. */
declare module "gifenc" {
  interface GifStream {
    /** `index`: one palette index a pixel, row by row. The first frame's palette is the one of all. `delay` in ms. */
    writeFrame(
      index: Uint8Array,
      width: number,
      height: number,
      options: { palette?: readonly (readonly [number, number, number])[]; delay: number },
    ): void;
    finish(): void;
    bytes(): Uint8Array;
  }
  const gifenc: { GIFEncoder(): GifStream };
  export default gifenc;
}
