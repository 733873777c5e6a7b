/** The gang's side of the stream, against a gRPC server in this process that says what the shim might say. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { createClients } from "../../src/cluster/client.ts";
import { runGang } from "../../src/cluster/gang.ts";
import type { Gang, GangEvent } from "../../src/cluster/index.ts";
import {
  ClusterServiceService,
  GangEndCause,
  LogStream,
  type RunGangRequest,
  type RunGangResponse,
} from "../../src/generated/distmis/v1/cluster.ts";
import {
  createToTrainerDecoder,
  encodeFromTrainer,
  MAX_PAYLOAD_BYTES,
  PROTOCOL_VERSION,
  type ToTrainerMessage,
} from "../../src/wire/index.ts";
import { assignment } from "../support/trainer.ts";
import { until, untilSteady } from "../support/until.ts";

type Call = ServerDuplexStream<RunGangRequest, RunGangResponse>;
type Said = NonNullable<RunGangResponse["message"]>;

const ready = { protocolVersion: PROTOCOL_VERSION, pid: 1, distmisVersion: "0", nodeVersion: "v20", collectivePort: 0 };
const readyFrame = encodeFromTrainer({ $case: "ready", value: ready });
const bytes = (data: Uint8Array, rank = 0): Said => ({ $case: "bytes", value: { rank, data: Buffer.from(data) } });
const log = (data: Uint8Array, rank = 0, stream = LogStream.LOG_STREAM_STDOUT): Said => ({
  $case: "log",
  value: { rank, stream, data: Buffer.from(data) },
});
const ended: Said = { $case: "ended", value: { cause: GangEndCause.GANG_END_CAUSE_STOPPED, message: "as asked" } };

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "gang-test-"));
const server = new Server();
/** What the server does with the next gang. */
let script: (call: Call) => void = () => {};

before(async () => {
  const unimplemented = () => {};
  server.addService(ClusterServiceService, {
    describeCluster: unimplemented,
    checkGang: unimplemented,
    runGang: (call: Call) => script(call),
  });
  await new Promise<void>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure();
    server.bindAsync(`unix:${dir}/sock`, credentials, (error) => (error ? reject(error) : resolve()));
  });
});
after(() => {
  server.forceShutdown();
  fs.rmSync(dir, { recursive: true });
});

/** Runs a gang against `next`. */
async function withGang<T>(next: (call: Call) => void, use: (gang: Gang) => Promise<T>): Promise<T> {
  script = next;
  const { cluster: client } = createClients(`${dir}/sock`);
  const start = { name: "g", gang: undefined, trainer: undefined, placementDeadlineSeconds: 1 };
  try {
    return await use(runGang({ call: client.runGang(), start, reasonOfLoss: async ({ code }) => `status ${code}` }));
  } finally {
    client.close();
  }
}

async function collect(gang: Gang): Promise<GangEvent[]> {
  const events: GangEvent[] = [];
  for await (const event of gang.events) events.push(event);
  return events;
}

const play = (said: Said[]) => (call: Call) => {
  call.on("error", () => {});
  for (const message of said) call.write({ message });
  call.end();
};

describe("a gang's stream", { timeout: 30_000 }, () => {
  it("gives messages and text by worker, however they are cut", async () => {
    const heartbeat = { residentBytes: 7, mainThreadSilentSeconds: 0 };
    const frames = Buffer.concat([readyFrame, encodeFromTrainer({ $case: "heartbeat", value: heartbeat })]);
    const text = Buffer.from("größer 🧠\n");
    const said: Said[] = [{ $case: "placed", value: { workers: [] } }];
    for (const byte of frames) said.push(bytes(Buffer.of(byte), 0), bytes(Buffer.of(byte), 1));
    for (const byte of text) said.push(log(Buffer.of(byte), 1), log(Buffer.of(byte), 1, LogStream.LOG_STREAM_STDERR));
    said.push(log(text.subarray(0, 3), 0), ended);
    const events = await withGang(play(said), collect);

    assert.deepEqual(events[0], { type: "placed", workers: [] });
    const last = events.at(-1);
    assert.ok(last?.type === "ended" && last.ended.message === "as asked");
    for (const rank of [0, 1]) {
      const messages = events.flatMap((event) =>
        event.type === "message" && event.rank === rank ? [event.message.$case] : [],
      );
      assert.deepEqual(messages, ["ready", "heartbeat"]);
    }
    const printed = (rank: number, stream: string) =>
      events.map((event) => (event.type === "log" && event.rank === rank && event.stream === stream ? event.text : ""));
    assert.equal(printed(1, "stdout").join(""), "größer 🧠\n");
    assert.equal(printed(1, "stderr").join(""), "größer 🧠\n");
    // A character that never became whole is not lost without a trace.
    assert.equal(printed(0, "stdout").join(""), "gr\ufffd");
  });

  const otherVersion = encodeFromTrainer({
    $case: "ready",
    value: { ...ready, protocolVersion: 99, distmisVersion: "9.9" },
  });
  const early = encodeFromTrainer({ $case: "heartbeat", value: { residentBytes: 1, mainThreadSilentSeconds: 0 } });
  const broken: [string, Uint8Array, RegExp][] = [
    ["says what is no frame", Buffer.from("Segmentation fault"), /rank 1 .*bytes was announced/],
    ["says what is no message", Buffer.concat([readyFrame, Buffer.of(2, 0, 0, 0, 0xff, 0xff)]), /not a message/],
    ["speaks another version", otherVersion, /distmis 9\.9 and speaks version 99 .*install the same/],
    ["does not begin with Ready", early, /"heartbeat" before "ready"/],
  ];
  for (const [what, data, message] of broken) {
    it(`ends with the gang killed when a trainer ${what}`, async () => {
      let cancelled = false;
      const server = (call: Call) => {
        call.on("cancelled", () => {
          cancelled = true;
        });
        call.write({ message: bytes(readyFrame, 0) });
        call.write({ message: bytes(data, 1) });
      };
      const events = await withGang(server, async (gang) => {
        const events = await collect(gang);
        await until("the shim sees the end", () => cancelled || null);
        return events;
      });
      const last = events.at(-1);
      assert.ok(last?.type === "ended");
      assert.deepEqual([last.ended.cause, last.ended.rank], [GangEndCause.GANG_END_CAUSE_TRAINER_EXITED, 1]);
      assert.match(last.ended.message, message);
      assert.equal(events.filter((event) => event.type === "ended").length, 1);
    });
  }

  it("ends in words when it breaks, after all that came before", async () => {
    const server = (call: Call) => {
      for (let i = 0; i < 100; i++) call.write({ message: log(Buffer.from("x")) });
      call.emit("error", { code: status.INTERNAL, details: "boom" });
    };
    const events = await withGang(server, collect);
    assert.deepEqual(events.at(-1), {
      type: "ended",
      ended: { cause: GangEndCause.GANG_END_CAUSE_SHUTDOWN, message: "gang g was lost: status 13" },
    });
    const withoutEnd = await withGang(play([]), collect);
    assert.ok(withoutEnd.length === 1 && withoutEnd[0]?.type === "ended");
    assert.equal(withoutEnd[0].ended.cause, GangEndCause.GANG_END_CAUSE_SHUTDOWN);
  });

  it("ends at once when it is killed, and takes no more messages", async () => {
    let opened = false;
    let cancelled = false;
    const server = (call: Call) => {
      opened = true;
      call.on("cancelled", () => {
        cancelled = true;
      });
    };
    await withGang(server, async (gang) => {
      await until("the stream is open", () => opened || null);
      gang.kill();
      const events = await collect(gang);
      assert.ok(events[0]?.type === "ended" && events[0].ended.cause === GangEndCause.GANG_END_CAUSE_STOPPED);
      await gang.send(0, assignment("train", "/"));
      gang.stop(1);
      gang.kill();
      await until("the shim sees the end", () => cancelled || null);
    });
  });

  it("holds the shim back when nobody listens", async () => {
    const piece = log(Buffer.alloc(64 * 1024, "x"));
    const total = 400;
    let sent = 0;
    const server = (call: Call) => {
      const pump = () => {
        while (sent < total) {
          sent++;
          if (!call.write({ message: piece })) return void call.once("drain", pump);
        }
        call.end();
      };
      pump();
    };
    await withGang(server, async (gang) => {
      const events = gang.events[Symbol.asyncIterator]();
      await events.next();
      await untilSteady("the shim is held back", () => sent);
      assert.ok(sent < 150, `${sent} of ${total} pieces were taken`);
      let count = 1;
      for (let next = await events.next(); !next.done; next = await events.next()) count++;
      assert.equal(count, total + 1);
    });
  });

  it("is held back when the shim does not read, and sends frames whole", async () => {
    let call: Call | undefined;
    const server = (opened: Call) => {
      call = opened;
      opened.pause();
    };
    await withGang(server, async (gang) => {
      const message = assignment("train", "/", { taskJson: JSON.stringify("x".repeat(1_000_000)) });
      const count = 40;
      let accepted = 0;
      const sending = (async () => {
        for (; accepted < count; accepted++) await gang.send(0, message);
      })();
      await until("the stream is open", () => call);
      await untilSteady("the sender is held back", () => accepted);
      assert.ok(accepted < 20, `${accepted} megabytes were taken`);
      const decode = createToTrainerDecoder();
      let received = 0;
      call?.on("data", ({ message: request }: RunGangRequest) => {
        if (request?.$case !== "bytes") return;
        for (const each of decode(request.value.data)) {
          assert.deepEqual(each, message);
          received++;
        }
      });
      call?.resume();
      await sending;
      await until("all messages", () => received === count || null);
      gang.kill();
    });
  });

  it("sends frames whole and in their order, also those that are sent while another is on its way", async () => {
    let call: Call | undefined;
    const server = (opened: Call) => {
      call = opened;
      opened.pause();
    };
    await withGang(server, async (gang) => {
      const large = assignment("train", "/", { taskJson: JSON.stringify("x".repeat(12_000_000)) });
      const stop: ToTrainerMessage = { $case: "stop", value: { trialId: "t1", reason: "pruned" } };
      let accepted = false;
      const sending = Promise.all([0, 1].map((rank) => gang.send(rank, large))).then(() => {
        accepted = true;
      });
      await until("the stream is open", () => call);
      const stopping = Promise.all([0, 1].map((rank) => gang.send(rank, stop)));
      assert.ok(!accepted, "the stop is sent while the assignment is on its way");
      const decoders = [createToTrainerDecoder(), createToTrainerDecoder()];
      const received: ToTrainerMessage[][] = [[], []];
      call?.on("data", ({ message: request }: RunGangRequest) => {
        if (request?.$case !== "bytes") return;
        const { rank, data } = request.value;
        received[rank]?.push(...(decoders[rank]?.(data) ?? []));
      });
      call?.resume();
      await Promise.all([sending, stopping]);
      await until("all messages", () => received.flat().length === 4 || null);
      for (const own of received) assert.deepEqual(own, [large, stop]);
      gang.kill();
    });
  });

  it("refuses a message that is too large, and takes the next one", async () => {
    const received: Buffer[] = [];
    const server = (call: Call) => {
      call.on("data", ({ message: request }: RunGangRequest) => {
        if (request?.$case === "bytes") received.push(request.value.data);
      });
    };
    await withGang(server, async (gang) => {
      const large = assignment("train", "/", { taskJson: "x".repeat(MAX_PAYLOAD_BYTES) });
      await assert.rejects(gang.send(0, large), {
        code: "TRAINER_FAILED",
        message: /a frame of \d+ bytes was to be sent/,
      });
      const next = assignment("train", "/");
      await gang.send(0, next);
      await until("the next message", () => received[0]);
      assert.deepEqual([...createToTrainerDecoder()(Buffer.concat(received))], [next]);
      gang.kill();
    });
  });
});
