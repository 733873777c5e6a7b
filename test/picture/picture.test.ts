import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Affine, writeNifti } from "../../src/nifti/index.ts";
import { type Picture, visualize } from "../../src/picture/index.ts";
import { failure, noise, tempDir } from "../data/helpers.ts";
import { cropped, readGif, readPng } from "./pictures.ts";

type Triple = [number, number, number];

const RAS: Affine = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
];
const spaced = (x: number, y: number, z: number): Affine => [
  [x, 0, 0, 3],
  [0, y, 0, -7],
  [0, 0, z, 5],
  [0, 0, 0, 1],
];

async function write(
  file: string,
  shape: number[],
  voxel: (x: number, y: number, z: number, c: number) => number,
  affine = RAS,
) {
  const [nx = 1, ny = 1, nz = 1, nc = 1] = shape;
  const data = new Float32Array(nx * ny * nz * nc);
  let at = 0;
  for (let c = 0; c < nc; c++)
    for (let z = 0; z < nz; z++)
      for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++) data[at++] = voxel(x, y, z, c);
  await writeNifti(file, { data, shape, affine });
  return file;
}

function panelsOf(picture: Picture, row = 0) {
  const [axial, coronal, sagittal] = picture.panels[row] ?? [];
  assert.ok(axial && coronal && sagittal);
  return { axial, coronal, sagittal };
}

/** The same body stored in another order: voxel axes run to where `code` says. */
function stored(code: string, body: Triple): { shape: Triple; affine: Affine; world: (voxel: Triple) => Triple } {
  const axes = [...code].map((letter) => {
    const index = ["RL", "AP", "SI"].findIndex((ends) => ends.includes(letter));
    return { index, reversed: "LPI".includes(letter) };
  });
  const shape = axes.map(({ index }) => body[index] ?? 1) as Triple;
  const affine = [0, 1, 2].map((row) => [
    ...axes.map(({ index, reversed }) => (index === row ? (reversed ? -1 : 1) : 0)),
    axes.some(({ index, reversed }) => index === row && reversed) ? (body[row] ?? 1) - 1 : 0,
  ]);
  const world = (voxel: Triple): Triple => {
    const place: Triple = [0, 0, 0];
    for (const [axis, { index, reversed }] of axes.entries()) {
      const value = voxel[axis] ?? 0;
      place[index] = reversed ? (body[index] ?? 1) - 1 - value : value;
    }
    return place;
  };
  return { shape, affine: [...affine, [0, 0, 0, 1]], world };
}

const ORDERS = ["RAS", "LPS", "LAS", "SLA", "PIR", "ASR"];

describe("orientation", () => {
  const body: Triple = [6, 8, 10];
  /** Bright at the right, front, upper corner; grey steps elsewhere. */
  const signal = ([x, y, z]: Triple): number => (x >= 4 && y >= 6 && z >= 8 ? 1000 : x + 2 * y + 3 * z);
  const label = ([x, y, z]: Triple): number => (x < 3 && y < 4 && z < 5 ? 2 : 0);

  for (const code of ORDERS) {
    it(`a volume stored ${code} is drawn as the same body stored RAS`, async (t) => {
      const dir = await tempDir(t);
      const draw = async (order: string) => {
        const { shape, affine, world } = stored(order, body);
        const at = (voxel: Triple, of: (place: Triple) => number): number => of(world(voxel));
        const image = await write(
          join(dir, `${order}.nii`),
          shape,
          (...voxel) => at(voxel.slice(0, 3) as Triple, signal),
          affine,
        );
        const truth = await write(
          join(dir, `${order}_l.nii`),
          shape,
          (...voxel) => at(voxel.slice(0, 3) as Triple, label),
          affine,
        );
        const corner = [...Array(shape[0] * shape[1] * shape[2]).keys()]
          .map(
            (index): Triple => [
              index % shape[0],
              Math.floor(index / shape[0]) % shape[1],
              Math.floor(index / (shape[0] * shape[1])),
            ],
          )
          .find((voxel) => world(voxel).join() === "5,7,9");
        assert.ok(corner);
        const picture = await visualize({ image, label: truth, slice: corner, output: join(dir, `${order}.png`) });
        const png = await readPng(picture.file);
        return { picture, panels: (picture.panels[0] ?? []).map((box) => cropped(png, box)) };
      };
      const [reference, other] = [await draw("RAS"), await draw(code)];
      assert.equal(other.picture.orientation, code);
      assert.deepEqual(other.panels, reference.panels);
      // Axial and coronal: the patient's right is on the left. Axial: the front is on top; sagittal: on the left. The head is on top.
      for (const panel of other.panels) {
        assert.equal(panel[0]?.[0], "#ffffff");
        for (const [y, x] of [
          [0, -1],
          [-1, 0],
          [-1, -1],
        ] as const)
          assert.notEqual(panel.at(y)?.at(x), "#ffffff");
      }
    });
  }

  it("the GIF goes through the same body in the same order, however it is stored", async (t) => {
    const dir = await tempDir(t);
    const walk = async (code: string) => {
      const { shape, affine, world } = stored(code, body);
      const image = await write(join(dir, `${code}.nii`), shape, (x, y, z) => signal(world([x, y, z])), affine);
      const { positions } = await visualize({ image, output: join(dir, `${code}.gif`) });
      return positions.map(([x, y, z]) => world([x, y, z]));
    };
    const path = await walk("RAS");
    assert.equal(path.length, 10);
    assert.deepEqual(
      [path[0], path.at(-1)],
      [
        [5, 0, 0],
        [0, 7, 9],
      ],
    );
    assert.deepEqual(await walk("SLA"), path);
  });
});

describe("geometry", () => {
  it("millimetres are square", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "aniso.nii"), [20, 24, 16], (x, y, z) => x + y + z, spaced(0.5, 0.75, 3));
    const picture = await visualize({ image, slice: "auto", output: join(dir, "aniso.png") });
    const { axial, coronal, sagittal } = panelsOf(picture);
    const scale = picture.pixels_per_mm;
    assert.deepEqual(picture.spacing_mm, [0.5, 0.75, 3]);
    assert.ok(Number.isInteger(scale * 0.5));
    assert.deepEqual([axial.width, axial.height], [10 * scale, 18 * scale]);
    assert.deepEqual([coronal.width, coronal.height], [10 * scale, 48 * scale]);
    assert.deepEqual([sagittal.width, sagittal.height], [18 * scale, 48 * scale]);
    const { width, height } = await readPng(picture.file);
    assert.deepEqual([picture.width, picture.height], [width, height]);
  });

  it("a volume too large for a screen is drawn smaller, all planes at one scale", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "large.nii"), [1200, 900, 2], (x, y) => x + y);
    const { panels, pixels_per_mm: scale } = await visualize({ image, slice: "auto", output: join(dir, "large.png") });
    assert.ok(scale < 1);
    const [axial] = panels[0] ?? [];
    assert.deepEqual([axial?.width, axial?.height], [Math.round(1200 * scale), Math.round(900 * scale)]);
  });
});

describe("outlines", () => {
  const shape = [12, 14, 10];
  const inBox = (x: number, y: number, z: number): boolean => x >= 3 && x < 9 && y >= 2 && y < 11 && z >= 4 && z < 8;

  it("run along the label's edge, one pixel wide, and nowhere else", async (t) => {
    const dir = await tempDir(t);
    const random = noise(12 * 14 * 10);
    const image = await write(join(dir, "image.nii"), shape, (x, y, z) => random[x + 12 * (y + 14 * z)] ?? 0);
    const label = await write(join(dir, "label.nii"), shape, (x, y, z) => (inBox(x, y, z) ? 1 : 0));
    const picture = await visualize({ image, label, slice: "auto", output: join(dir, "a.png") });
    assert.deepEqual(picture.labels, [{ of: "truth", value: 1, name: "class 1", colour: "#e69f00" }]);
    const png = await readPng(picture.file);
    const scale = picture.pixels_per_mm;
    assert.ok(scale > 1 && Number.isInteger(scale));
    const { axial, coronal, sagittal } = panelsOf(picture);
    // First and last voxel of the box from the left and from the top: x to the left, y and z upwards, in the sagittal plane y to the left.
    for (const [panel, [left, right], [top, bottom]] of [
      [axial, [12 - 9, 12 - 3], [14 - 11, 14 - 2]],
      [coronal, [12 - 9, 12 - 3], [10 - 8, 10 - 4]],
      [sagittal, [14 - 11, 14 - 2], [10 - 8, 10 - 4]],
    ] as const) {
      for (const [y, row] of cropped(png, panel).entries()) {
        for (const [x, colour] of row.entries()) {
          const inside = x >= left * scale && x < right * scale && y >= top * scale && y < bottom * scale;
          const edge = x === left * scale || x === right * scale - 1 || y === top * scale || y === bottom * scale - 1;
          assert.equal(colour === "#e69f00", inside && edge, `${x}, ${y}: ${colour}`);
        }
      }
    }
  });

  it("of a prediction are dashed, over the truth's where both agree; each class has its colour", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "image.nii"), shape, (x) => x);
    const classOf = (x: number): number => (x < 6 ? 3 : 5);
    const label = await write(join(dir, "label.nii"), shape, (x, y, z) => (inBox(x, y, z) ? classOf(x) : 0));
    const moved = await write(join(dir, "moved.nii"), shape, (x, y, z) => (inBox(x, y - 1, z) ? classOf(x) : 0));
    const draw = async (prediction: string) => {
      const picture = await visualize({ image, label, prediction, slice: [5, 6, 5], output: join(dir, "b.png") });
      const pixels = cropped(await readPng(picture.file), panelsOf(picture).axial);
      const counts = new Map<string, number>();
      for (const colour of pixels.flat()) counts.set(colour, (counts.get(colour) ?? 0) + 1);
      return { picture, counts, pixels };
    };
    const same = await draw(label);
    const colours = same.picture.labels.map(({ of, value, colour }) => `${of} ${value} ${colour}`);
    assert.deepEqual(colours, ["truth 3 #e69f00", "truth 5 #56b4e9", "prediction 3 #f3cf80", "prediction 5 #abdaf4"]);
    for (const [solid, dashed] of [
      ["#e69f00", "#f3cf80"],
      ["#56b4e9", "#abdaf4"],
    ] as const) {
      const [truth = 0, prediction = 0] = [same.counts.get(solid), same.counts.get(dashed)];
      assert.ok(
        truth > 20 && Math.abs(truth - prediction) < 0.2 * truth,
        `${truth} solid, ${prediction} dashed pixels`,
      );
    }
    // One row of the moved prediction's lower edge, where no truth runs: dashes and black.
    const other = await draw(moved);
    const scale = other.picture.pixels_per_mm;
    const upper = other.pixels[(14 - 12) * scale]?.slice((12 - 9) * scale, (12 - 3) * scale) ?? [];
    assert.deepEqual([...new Set(upper)].sort(), ["#000000", "#abdaf4", "#f3cf80"]);
    assert.ok(upper.filter((colour) => colour === "#000000").length >= upper.length / 3);
  });

  it("--merge makes one class of all, and an empty label has none", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "image.nii"), shape, (x) => x);
    const label = await write(join(dir, "label.nii"), shape, (x, y, z) => (inBox(x, y, z) ? 1 + (x % 3) : 0));
    const empty = await write(join(dir, "empty.nii"), shape, () => 0);
    const merged = await visualize({ image, label, merge: true, slice: "auto", output: join(dir, "c.png") });
    assert.deepEqual(merged.labels, [{ of: "truth", value: 1, name: "foreground", colour: "#e69f00" }]);
    assert.deepEqual(merged.positions, [[6, 6, 6]]);
    const none = await visualize({ image, label: empty, slice: "auto", output: join(dir, "d.png") });
    assert.deepEqual(none.labels, []);
    assert.deepEqual(none.positions, [[6, 7, 5]]);
  });
});

describe("modalities", () => {
  it("each has a row, its name of dataset.json and a window of its own", async (t) => {
    const dir = await tempDir(t);
    await mkdir(join(dir, "imagesTr"));
    await writeFile(
      join(dir, "dataset.json"),
      JSON.stringify({ modality: { 0: "T1", 1: "T2" }, labels: { 0: "background", 1: "lesion" } }),
    );
    // 0 in the corner and around; 1..100 resp. 10 times as much inside.
    const image = await write(join(dir, "imagesTr", "a.nii"), [12, 12, 12, 2], (x, y, z, c) =>
      x < 10 && y < 10 && z > 0 ? (c === 0 ? 1 : 10) * (1 + x + 10 * y) : 0,
    );
    const label = await write(join(dir, "l.nii"), [12, 12, 12], (x) => (x === 4 ? 1 : 0));
    const picture = await visualize({ image, label, slice: "auto", output: join(dir, "m.png") });
    const windows = picture.modalities.map(({ name, low, high }) => `${name} ${low.toFixed(2)} ${high.toFixed(2)}`);
    assert.deepEqual(windows, ["T1 1.99 99.01", "T2 19.90 990.10"]);
    assert.deepEqual(
      picture.labels.map(({ name }) => name),
      ["lesion"],
    );
    const png = await readPng(picture.file);
    const [first, second] = [panelsOf(picture, 0), panelsOf(picture, 1)];
    assert.deepEqual(cropped(png, first.axial), cropped(png, second.axial));
    assert.ok(second.axial.y > first.axial.y + first.axial.height);
  });
});

describe("files", () => {
  const shape = [10, 12, 14];
  const value = (x: number, y: number, z: number): number => Math.sin(x) + Math.cos(y * z);

  it("a GIF's frames are the PNGs of its positions; the same input gives the same bytes", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "image.nii"), shape, value);
    const label = await write(join(dir, "label.nii"), shape, (x, y, z) => (x + y + z > 20 ? 4 : 0));
    const gif = await visualize({ image, label, frames: 5, delayMs: 250, output: join(dir, "a.gif") });
    const again = await visualize({ image, label, frames: 5, delayMs: 250, output: join(dir, "b.gif") });
    assert.deepEqual(await readFile(gif.file), await readFile(again.file));
    const { frames, delaysMs, loops } = await readGif(gif.file);
    assert.deepEqual([delaysMs, loops, gif.frames, gif.delay_ms], [[250, 250, 250, 250, 250], 0, 5, 250]);
    for (const [index, slice] of gif.positions.entries()) {
      const png = await visualize({ image, label, slice, output: join(dir, "a.png") });
      const [picture, frame] = [await readPng(png.file), frames[index]];
      assert.ok(frame);
      const whole = { x: 0, y: 0, width: picture.width, height: picture.height };
      assert.deepEqual(cropped(frame, whole), cropped(picture, whole));
    }
  });

  it("says what it replaced, and leaves nothing else behind", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "image.nii"), shape, value);
    const draw = () => visualize({ image, frames: 1, output: join(dir, "a.gif") });
    assert.equal((await draw()).replaced, false);
    assert.equal((await draw()).replaced, true);
    assert.deepEqual((await readdir(dir)).sort(), ["a.gif", "image.nii"]);
  });

  it("counts voxels that are not finite, and draws the others", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "nan.nii"), shape, (x, y, z) =>
      x === 5 && y === 5 ? ([Number.NaN, Number.POSITIVE_INFINITY][z % 2] ?? 0) : x,
    );
    const picture = await visualize({ image, slice: "auto", output: join(dir, "nan.png") });
    assert.match(picture.notes.join(), /^14 voxels of .*nan\.nii are not finite/);
    assert.deepEqual(picture.modalities, [{ name: "image", low: 1, high: 9 }]);
  });
});

describe("refusals", () => {
  it("name the file and what was expected", async (t) => {
    const dir = await tempDir(t);
    const image = await write(join(dir, "image.nii"), [4, 5, 6], (x) => x);
    const other = await write(join(dir, "other.nii"), [4, 5, 7], () => 1);
    const shifted = await write(join(dir, "shifted.nii"), [4, 5, 6], () => 1, spaced(1, 1, 1));
    const half = await write(join(dir, "half.nii"), [4, 5, 6], () => 0.5);
    const negative = await write(join(dir, "negative.nii"), [4, 5, 6], () => -1);
    const channels = await write(join(dir, "channels.nii"), [4, 5, 6, 2], () => 1);
    await writeNifti(join(dir, "five.nii"), { data: new Uint8Array(48), shape: [2, 2, 2, 2, 3], affine: RAS });
    const refused = (options: Parameters<typeof visualize>[0], ...parts: Parameters<typeof failure>) =>
      assert.rejects(visualize({ output: join(dir, "x.gif"), ...options }), failure(...parts));

    await refused({ image, label: other }, "DATA_INVALID", "image.nii", "other.nii", "4 x 5 x 7");
    await refused({ image, prediction: shifted }, "DATA_INVALID", "image.nii", "shifted.nii", "affines");
    await refused({ image, label: half }, "DATA_INVALID", "half.nii", "0.5");
    await refused({ image, prediction: negative }, "DATA_INVALID", "negative.nii", "-1");
    await refused({ image, label: channels }, "DATA_INVALID", "channels.nii", "4 x 5 x 6 x 2");
    await refused({ image: join(dir, "five.nii") }, "DATA_INVALID", "five.nii", "2 x 2 x 2 x 2 x 3");
    await refused({ image: join(dir, "none.nii") }, "FILE_UNUSABLE", "none.nii");
    await refused({ image, slice: [4, 0, 0], output: "x.png" }, "USAGE", "4,0,0", "3,4,5");
    await refused({ image, slice: "auto" }, "USAGE", "x.gif", ".png");
    await refused({ image, output: "x.png" }, "USAGE", "x.png", ".gif");
    await refused({ image, frames: 0 }, "USAGE", "--frames 0");
    await refused({ image, delayMs: 5 }, "USAGE", "--delay 5");
    await refused({ image, output: join(dir, "no/x.gif") }, "FILE_UNUSABLE", "its folder does not exist");
    assert.ok(!(await readdir(dir)).some((name) => /gif|png/.test(name)));
  });
});
