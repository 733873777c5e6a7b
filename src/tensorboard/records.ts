/** The records of an event file: each a TFRecord with one Event. */
import { Event, SessionLog_SessionStatus } from "../generated/tensorflow/event.ts";
import { HParamsPluginData, Status, type Value } from "../generated/tensorflow/hparams.ts";
import { headOf, tailOf } from "../tfrecord/index.ts";

type What = NonNullable<Event["what"]>;
type HParams = NonNullable<HParamsPluginData["data"]>;

function record(wallTime: number, step: number, what: What): Buffer {
  const data = Event.encode({ wallTime, step, what }).finish();
  return Buffer.concat([headOf(data.length), data, tailOf([data])]);
}

/** The first record of every file. */
export function versionRecord(wallTime: number): Buffer {
  return record(wallTime, 0, { $case: "fileVersion", value: "brain.Event:2" });
}

/**
 * An attempt's first step, which follows from the checkpoint that it goes on from: readers forget what earlier attempts told of
 * this step and later ones. TensorBoard does so from the second such record of a trial on, so the first attempt has one, too.
 */
export function startRecord(wallTime: number, step: number): Buffer {
  return record(wallTime, step, { $case: "sessionLog", value: { status: SessionLog_SessionStatus.START } });
}

export function scalarsRecord(wallTime: number, step: number, scalars: Readonly<Record<string, number>>): Buffer {
  const value = Object.entries(scalars).map(([tag, scalar]) => ({
    tag,
    // The encoder refuses what is beyond float32 instead of making it infinite.
    value: { $case: "simpleValue" as const, value: Math.fround(scalar) },
    metadata: undefined,
  }));
  return record(wallTime, step, { $case: "summary", value: { value } });
}

/** @param png whole file, see {@link pngSize} */
export function imageRecord(wallTime: number, step: number, tag: string, png: Buffer): Buffer {
  const image = { ...pngSize(png), colorspace: 3, encodedImageString: png };
  const value = { tag, value: { $case: "image" as const, value: image }, metadata: undefined };
  return record(wallTime, step, { $case: "summary", value: { value: [value] } });
}

/** Of a PNG, by its first chunk. */
function pngSize(png: Buffer): { width: number; height: number } {
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) };
}

/** A trial begins, with these hyper-parameters. */
export function sessionStartRecord(
  wallTime: number,
  parameters: Readonly<Record<string, number | string | boolean>>,
): Buffer {
  const hparams = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, protobufValue(value)]));
  return hparamsRecord(wallTime, "_hparams_/session_start_info", {
    $case: "sessionStartInfo",
    value: { hparams, startTimeSecs: wallTime },
  });
}

export function sessionEndRecord(wallTime: number, success: boolean): Buffer {
  const status = success ? Status.STATUS_SUCCESS : Status.STATUS_FAILURE;
  return hparamsRecord(wallTime, "_hparams_/session_end_info", {
    $case: "sessionEndInfo",
    value: { status, endTimeSecs: wallTime },
  });
}

function hparamsRecord(wallTime: number, tag: string, data: HParams): Buffer {
  const content = Buffer.from(HParamsPluginData.encode({ version: 0, data }).finish());
  const metadata = { pluginData: { pluginName: "hparams", content } };
  return record(wallTime, 0, { $case: "summary", value: { value: [{ tag, value: undefined, metadata }] } });
}

function protobufValue(value: number | string | boolean): Value {
  if (typeof value === "number") return { kind: { $case: "numberValue", value } };
  if (typeof value === "string") return { kind: { $case: "stringValue", value } };
  return { kind: { $case: "boolValue", value } };
}
