import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";

const NIFTI = /\.(nii|hdr|img)(\.gz)?$/i;

/** A file's name without folder and NIfTI's extension: what an image, its label and its prediction have in common. */
export function niftiStem(file: string): string {
  return basename(file).replace(NIFTI, "");
}

/**
 * Paths of the NIfTI files in a folder by name; of a header/image pair, the header.
 * Errors: FILE_UNUSABLE if the folder can't be read or holds none.
 */
export async function listNifti(dir: string): Promise<string[]> {
  const entries = await readdir(dir).catch((error: unknown) => {
    const why = hasErrno(error, "ENOENT") ? "does not exist" : `is no folder that can be read: ${messageOf(error)}`;
    throw new DistmisError("FILE_UNUSABLE", `${dir}: ${why}`, { cause: error });
  });
  const names = entries.filter((name) => /\.(nii|nii\.gz|hdr)$/i.test(name) && !name.startsWith("."));
  if (names.length === 0) throw new DistmisError("FILE_UNUSABLE", `${dir}: holds no .nii, .nii.gz or .hdr file`);
  return names.sort().map((name) => join(dir, name));
}
