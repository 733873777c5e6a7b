/** Files that are there as a whole, the old one or the new one, whatever happens meanwhile. */
export { removeTemporary } from "./remove-temporary.ts";
export { replaceFile } from "./replace-file.ts";
