/** Files that are there as a whole, the old one or the new one, whatever happens meanwhile; folders that go with their owners. */
export { pieces } from "./pieces.ts";
export { createPrivateDir, type PrivateDir } from "./private-dir.ts";
export { removeTemporary } from "./remove-temporary.ts";
export { replaceFile } from "./replace-file.ts";
