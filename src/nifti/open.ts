import { access } from "node:fs/promises";
import { DistmisError } from "../errors/index.ts";
import { type Affine, type NiftiGeometry, readGeometry, type StoredGrid } from "./affine.ts";
import { type ByteSource, openByteSource } from "./byte-source.ts";
import { type Datatype, HEADER_BYTES, type NiftiLayout, parseLayout } from "./layout.ts";

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

export interface OpenHeader {
  header: NiftiHeader;
  layout: NiftiLayout;
  /** Stands behind the fixed header. */
  source: ByteSource;
}

export interface OpenVolume {
  header: NiftiHeader;
  layout: NiftiLayout;
  /** Stands at the first voxel of a file that can hold them all. */
  source: ByteSource;
}

/** Opens a volume, lets `use` read its header, and closes it. Errors: as readNiftiHeader. */
export async function withHeader<T>(named: string, use: (opened: OpenHeader) => Promise<T>): Promise<T> {
  const path = await headerOf(named);
  return using(await openByteSource(path), async (source) => {
    // A pair's header may end right after byte 348, a NIfTI-2 header takes 540: first the shorter one.
    const first = await source.read(348);
    const long = first.length === 348 && (first.readInt32LE(0) === 540 || first.readInt32BE(0) === 540);
    const bytes = long ? Buffer.concat([first, await source.read(HEADER_BYTES - 348)]) : first;
    const layout = parseLayout(path, bytes);
    if (!layout.pair) checkRoom(source, layout);
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

/** Opens a volume, lets `use` read its voxels, and closes it. Errors: as readNifti. */
export async function withVoxels<T>(named: string, use: (opened: OpenVolume) => Promise<T>): Promise<T> {
  return withHeader(named, async ({ header, layout, source }) => {
    if (!layout.pair) {
      const consumed = await walkExtensions(source, layout);
      await source.skip(layout.voxelOffset - consumed);
      return use({ header, layout, source });
    }
    await source.finish();
    return using(await openByteSource(await imageOfPair(named)), async (image) => {
      checkRoom(image, layout);
      await image.skip(layout.voxelOffset);
      return use({ header, layout, source: image });
    });
  });
}

async function using<T>(source: ByteSource, use: (source: ByteSource) => Promise<T>): Promise<T> {
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

function checkRoom({ path, upperBound }: ByteSource, layout: NiftiLayout): void {
  if (layout.voxelOffset + layout.voxels * layout.bytesPerVoxel > upperBound) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: the header claims ${layout.shape.join(" x ")} voxels of ${layout.datatype} from byte ${layout.voxelOffset}, more than the file can hold; it is cut off or its header is wrong`,
    );
  }
}

/** The error for a file that holds fewer voxels than its header declares. */
export function tooShort(path: string, layout: NiftiLayout, found: number): DistmisError {
  const needed = layout.voxels * layout.bytesPerVoxel;
  return new DistmisError(
    "DATA_INVALID",
    `${path}: ends after ${found} of the ${needed} voxel bytes that its header declares (${layout.shape.join(" x ")} of ${layout.datatype}); fetch it again`,
  );
}

/** More would only be there to keep a reader busy. */
const MAX_EXTENSIONS = 1000;

/** Checks the sizes of all extensions; returns where in the file that ended. */
async function walkExtensions(source: ByteSource, layout: NiftiLayout): Promise<number> {
  const flag = await source.read(4);
  let at = layout.headerBytes + 4;
  if (flag.length < 4 || flag[0] === 0) return at;
  for (let count = 0; at + 8 <= layout.voxelOffset; count++) {
    if (count === MAX_EXTENSIONS) {
      throw new DistmisError("DATA_INVALID", `${source.path}: has more than ${MAX_EXTENSIONS} header extensions`);
    }
    const head = await source.read(8);
    if (head.length < 8) break;
    const size = layout.littleEndian ? head.readInt32LE(0) : head.readInt32BE(0);
    if (size === 0) return at + 8;
    if (size < 8 || at + size > layout.voxelOffset) {
      throw new DistmisError(
        "DATA_INVALID",
        `${source.path}: the header extension at byte ${at} claims ${size} bytes, but voxels begin at byte ${layout.voxelOffset}`,
      );
    }
    await source.skip(size - 8);
    at += size;
  }
  return at;
}

const IMAGE_NAME = /\.img(\.gz)?$/i;
const HEADER_NAME = /\.hdr(\.gz)?$/i;

async function headerOf(path: string): Promise<string> {
  return IMAGE_NAME.test(path) ? partner(path, IMAGE_NAME, "hdr", "its header") : path;
}

async function imageOfPair(path: string): Promise<string> {
  if (IMAGE_NAME.test(path)) return path;
  if (!HEADER_NAME.test(path)) {
    throw new DistmisError(
      "DATA_INVALID",
      `${path}: the header of a pair (magic ni1 or ni2), but not named .hdr, so that its .img can't be found`,
    );
  }
  return partner(path, HEADER_NAME, "img", "the image that belongs to it");
}

async function partner(path: string, name: RegExp, extension: string, what: string): Promise<string> {
  const capitals = name.exec(path)?.[0].startsWith(name === IMAGE_NAME ? ".IMG" : ".HDR") === true;
  const base = path.replace(name, `.${capitals ? extension.toUpperCase() : extension}`);
  const zipped = `${base}${capitals ? ".GZ" : ".gz"}`;
  for (const candidate of [base, zipped]) {
    const found = await access(candidate).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  throw new DistmisError("FILE_UNUSABLE", `${path}: ${what}, ${base} or ${zipped}, does not exist`);
}
