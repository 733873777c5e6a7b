import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DistmisError } from "../../src/errors/index.ts";
import {
  createFrameDecoder,
  createFromTrainerDecoder,
  createToTrainerDecoder,
  encodeFrame,
  encodeFromTrainer,
  encodeToTrainer,
  type FromTrainerMessage,
  MAX_PAYLOAD_BYTES,
  type ToTrainerMessage,
} from "../../src/wire/index.ts";

const trainerFailed = (error: unknown) => error instanceof DistmisError && error.code === "TRAINER_FAILED";

/** An announced size and whatever follows it. */
function announce(size: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = Buffer.alloc(4 + payload.byteLength);
  bytes.writeUInt32LE(size);
  bytes.set(payload, 4);
  return bytes;
}

const assign: ToTrainerMessage = {
  $case: "assign",
  value: {
    trialId: "t0001",
    attempt: 2,
    task: "train",
    configJson: '{"name":"größer"}',
    trialDir: "/runs/x/t0001",
    rank: 0,
    replicas: 2,
    taskJson: "{}",
    addresses: ["10.0.0.1:40001", "10.0.0.2:40002"],
    reportedEpoch: 3,
  },
};
const stop: ToTrainerMessage = { $case: "stop", value: { trialId: "t0001", reason: "" } };

describe("frames", () => {
  it("are the size as 32-bit little endian, then the payload", () => {
    assert.deepEqual([...encodeFrame(Uint8Array.of(7, 8, 9))], [3, 0, 0, 0, 7, 8, 9]);
    assert.deepEqual([...encodeFrame(new Uint8Array(0))], [0, 0, 0, 0]);
  });

  it("lie in memory of their own, so that a thread can give them away", () => {
    const frame = encodeFrame(Uint8Array.of(1));
    assert.equal(frame.buffer.byteLength, frame.byteLength);
  });

  it("come out whole wherever the stream is cut", () => {
    const payloads = [
      new Uint8Array(0),
      Uint8Array.of(1),
      Uint8Array.from({ length: 300 }, (_, i) => i),
      new Uint8Array(0),
    ];
    const stream = Buffer.concat(payloads.map(encodeFrame));
    for (let cut = 0; cut <= stream.byteLength; cut++) {
      const decode = createFrameDecoder();
      const got = [...decode(stream.subarray(0, cut)), ...decode(stream.subarray(cut))];
      assert.deepEqual(got.map(Buffer.from), payloads.map(Buffer.from), `cut at ${cut}`);
    }
    const decode = createFrameDecoder();
    const got = [...stream].flatMap((byte) => [...decode(Uint8Array.of(byte))]);
    assert.deepEqual(got.map(Buffer.from), payloads.map(Buffer.from), "byte by byte");
  });

  it("of the largest size pass, one byte more is refused on both sides", () => {
    const largest = encodeFrame(new Uint8Array(MAX_PAYLOAD_BYTES));
    assert.equal([...createFrameDecoder()(largest)][0]?.byteLength, MAX_PAYLOAD_BYTES);
    assert.throws(() => encodeFrame(new Uint8Array(MAX_PAYLOAD_BYTES + 1)), trainerFailed);
    assert.throws(() => [...createFrameDecoder()(announce(MAX_PAYLOAD_BYTES + 1))], trainerFailed);
  });

  it("with a hostile size are refused before memory is taken for them, after the good ones before", () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i++) {
      const decoded = createFrameDecoder()(Buffer.concat([encodeFrame(Uint8Array.of(5)), announce(0xffffffff)]));
      assert.deepEqual([...(decoded.next().value ?? [])], [5]);
      assert.throws(() => decoded.next(), /4294967295 bytes was announced/);
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
  });

  it("take time in proportion to their bytes when they arrive in small pieces", () => {
    const seconds = (bytes: number) => {
      const frame = encodeFrame(new Uint8Array(bytes));
      const decode = createFrameDecoder();
      let count = 0;
      const start = performance.now();
      for (let i = 0; i < frame.byteLength; i += 4) for (const _ of decode(frame.subarray(i, i + 4))) count++;
      assert.equal(count, 1);
      return performance.now() - start;
    };
    seconds(2 ** 17);
    const small = seconds(2 ** 17);
    // 8 times the bytes: 64 times the time if each piece copied what came before.
    assert.ok(seconds(2 ** 20) < 24 * small + 50);
  });
});

describe("messages", () => {
  it("for trainers come back as they were, also byte by byte", () => {
    const stream = Buffer.concat([encodeToTrainer(assign), encodeToTrainer(stop)]);
    assert.deepEqual([...createToTrainerDecoder()(stream)], [assign, stop]);
    const decode = createToTrainerDecoder();
    assert.deepEqual(
      [...stream].flatMap((byte) => [...decode(Uint8Array.of(byte))]),
      [assign, stop],
    );
  });

  it("of trainers come back as they were", () => {
    const metrics = { loss: 0.25, nan: Number.NaN, inf: Number.POSITIVE_INFINITY };
    const messages: FromTrainerMessage[] = [
      {
        $case: "ready",
        value: { protocolVersion: 1, pid: 2 ** 22, distmisVersion: "1.2.3", nodeVersion: "v20", collectivePort: 65535 },
      },
      { $case: "heartbeat", value: { residentBytes: 2 ** 40, mainThreadSilentSeconds: 1.5 } },
      {
        $case: "report",
        value: {
          trialId: "t",
          attempt: 1,
          epoch: 3,
          epochs: 20,
          metrics,
          seconds: 0.5,
          volumesPerSecond: 12,
          peakResidentBytes: 2 ** 33,
          checkpoint: "checkpoints/3",
          workSeconds: 0.4,
        },
      },
    ];
    const stream = Buffer.concat(messages.map(encodeFromTrainer));
    assert.deepEqual([...createFromTrainerDecoder()(stream)], messages);
  });

  it("that cannot be read are refused, never waited for", () => {
    const bad = [
      announce(0),
      announce(3, Uint8Array.of(0x0a, 0x7f, 0x01)),
      announce(5, Buffer.from("hello")),
      announce(2, Uint8Array.of(0x9a, 0x06)),
    ];
    for (const bytes of bad) {
      assert.throws(() => [...createFromTrainerDecoder()(bytes)], trainerFailed, Buffer.from(bytes).toString("hex"));
      assert.throws(() => [...createToTrainerDecoder()(bytes)], trainerFailed, Buffer.from(bytes).toString("hex"));
    }
  });

  it("damaged at any byte are read or refused, with no other error", () => {
    const whole = encodeToTrainer(assign);
    for (let i = 0; i < whole.byteLength; i++) {
      for (const value of [0x00, 0x7f, 0x80, 0xff]) {
        const damaged = whole.slice();
        damaged[i] = value;
        try {
          for (const _ of createToTrainerDecoder()(damaged));
        } catch (error) {
          assert.ok(trainerFailed(error), `byte ${i} = ${value}: ${error}`);
        }
      }
    }
  });
});
