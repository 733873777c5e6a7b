import { access } from "node:fs/promises";
import { DistmisError } from "../errors/index.ts";
import { type Affine, type NiftiGeometry, readGeometry, type StoredGrid } from "./affine.ts";
import { type ByteSource, openByteSource } from "./byte-source.ts";
import { type Datatype, HEADER_BYTES, type NiftiLayout, parseLayout } from "./layout.ts";
import { decodeVoxels, type VoxelArray } from "./voxels.ts";

/** What a NIfTI header says, checked against the size of the file where that is possible without reading it whole. */
export interface NiftiHeader {
  /** File that holds the header, as it was named. */
  path: string;
  version: 1 | 2;
  littleEndian: boolean;
  gzip: boolean;
  /** 1 to 7 sizes: X, Y, Z, then channels or time. */
  shape: number[];
  /** How the voxels are stored. */
  datatype: Datatype;
  scaling: { slope: number; inter: number } | null;
  affine: Affine;
  /** What the header has of it. */
  stored: StoredGrid;
  affineSource: NiftiGeometry["affineSource"];
  /** Edges of a voxel in mm. */
  spacing: [number, number, number];
  description: string;
}

export interface NiftiImage extends NiftiHeader {
  /**
   * Voxel values after slope and intercept, x running fastest (Fortran order). Float32Array where that is exact (8- and
   * 16-bit integers and float32, unscaled), else Float64Array.
   */
  data: VoxelArray;
}

/**
 * Reads a volume: NIfTI-1 or NIfTI-2, one file or header and image (either named), plain or gzip (by content, with its
 * CRC verified), both byte orders, all real datatypes. Nothing is allocated that the file can't fill.
 *
 * Errors: FILE_UNUSABLE if a file is missing; DATA_INVALID naming the file for anything that isn't a whole, legal NIfTI
 * volume of real numbers (Analyze, CIFTI, complex and RGB are refused by name).
 */
export async function readNifti(path: string): Promise<NiftiImage> {
  return withHeader(path, async ({ header, layout, source }) => {
    if (layout.pair) {
      const image = await imageOfPair(path);
      return using(await openByteSource(image), async (voxels) => ({
        ...header,
        data: await readVoxels(image, voxels, layout, layout.voxelOffset),
      }));
    }
    const consumed = await walkExtensions(path, source, layout);
    return { ...header, data: await readVoxels(path, source, layout, layout.voxelOffset - consumed) };
  });
}

/** Reads only the header of a volume. Errors as {@link readNifti}, without those that only the voxels can show. */
export async function readNiftiHeader(path: string): Promise<NiftiHeader> {
  return withHeader(path, async ({ header }) => header);
}

interface Opened {
  header: NiftiHeader;
  layout: NiftiLayout;
  /** Stands behind the fixed header. */
  source: ByteSource;
}

async function withHeader<T>(named: string, use: (opened: Opened) => Promise<T>): Promise<T> {
  const path = await headerOf(named);
  return using(await openByteSource(path), async (source) => {
    // A pair's header may end right after byte 348, a NIfTI-2 header takes 540: first the shorter one.
    const first = await source.read(348);
    const long = first.length === 348 && (first.readInt32LE(0) === 540 || first.readInt32BE(0) === 540);
    const bytes = long ? Buffer.concat([first, await source.read(HEADER_BYTES - 348)]) : first;
    const layout = parseLayout(path, bytes);
    const needed = layout.voxels * layout.bytesPerVoxel + (layout.pair ? 0 : layout.voxelOffset);
    if (!layout.pair && needed > source.upperBound) {
      throw new DistmisError(
        "DATA_INVALID",
        `${path}: the header claims ${layout.shape.join(" x ")} voxels of ${layout.datatype} from byte ${layout.voxelOffset}, more than the file can hold`,
      );
    }
    const header: NiftiHeader = {
      path: named,
      version: layout.version,
      littleEndian: layout.littleEndian,
      gzip: source.gzip,
      shape: layout.shape,
      datatype: layout.datatype,
      scaling: layout.scaling,
      ...readGeometry(path, bytes, layout),
    };
    return use({ header, layout, source });
  });
}

async function using<T>(source: ByteSource, use: (source: ByteSource) => Promise<T>): Promise<T> {
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** Checks the sizes of all extensions; returns how many bytes behind the fixed header have been consumed, plus its own size. */
async function walkExtensions(path: string, source: ByteSource, layout: NiftiLayout): Promise<number> {
  const flag = await source.read(4);
  let at = layout.headerBytes + 4;
  if (flag.length < 4 || flag[0] === 0) return at;
  while (at + 8 <= layout.voxelOffset) {
    const head = await source.read(8);
    if (head.length < 8) break;
    const size = layout.littleEndian ? head.readInt32LE(0) : head.readInt32BE(0);
    if (size === 0) return at + 8;
    if (size < 8 || at + size > layout.voxelOffset) {
      throw new DistmisError(
        "DATA_INVALID",
        `${path}: the header extension at byte ${at} claims ${size} bytes, but voxels begin at byte ${layout.voxelOffset}`,
      );
    }
    await source.skip(size - 8);
    at += size;
  }
  return at;
}

async function readVoxels(path: string, source: ByteSource, layout: NiftiLayout, skip: number): Promise<VoxelArray> {
  const bytes = layout.voxels * layout.bytesPerVoxel;
  if (skip + bytes > source.upperBound) throw tooShort(path, layout, source.upperBound);
  await source.skip(skip);
  const voxels = new Uint8Array(bytes);
  const found = await source.readInto(voxels);
  if (found < bytes) throw tooShort(path, layout, found);
  await source.finish();
  return decodeVoxels(path, voxels, layout);
}

function tooShort(path: string, layout: NiftiLayout, found: number): DistmisError {
  const needed = layout.voxels * layout.bytesPerVoxel;
  return new DistmisError(
    "DATA_INVALID",
    `${path}: ends after ${found} of the ${needed} voxel bytes that its header declares (${layout.shape.join(" x ")} of ${layout.datatype}); fetch it again`,
  );
}

const IMAGE_NAME = /\.img(\.gz)?$/i;
const HEADER_NAME = /\.hdr(\.gz)?$/i;

async function headerOf(path: string): Promise<string> {
  if (!IMAGE_NAME.test(path)) return path;
  return partner(path, path.replace(IMAGE_NAME, ".hdr"), "its header");
}

async function imageOfPair(path: string): Promise<string> {
  if (IMAGE_NAME.test(path)) return path;
  if (!HEADER_NAME.test(path)) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: the header of a pair (magic ni1 or ni2), but not named .hdr, so that its .img can't be found`,
    );
  }
  return partner(path, path.replace(HEADER_NAME, ".img"), "the image that belongs to it");
}

async function partner(path: string, base: string, what: string): Promise<string> {
  for (const candidate of [base, `${base}.gz`]) {
    const found = await access(candidate).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  throw new DistmisError("FILE_UNUSABLE", `${path}: ${what}, ${base} or ${base}.gz, does not exist`);
}
