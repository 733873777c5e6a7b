/** Clients that mean harm, or know no better, against real server processes: they live on, small, and serve the good ones. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { gzipSync } from "node:zlib";
import {
  connectServer,
  loadExperiment,
  makeCertificate,
  type RemoteServer,
  type ServeOptions,
  serve,
} from "../../src/index.ts";
import { distmisCommand, startCommand } from "../support/command.ts";
import { until } from "../support/until.ts";
import { type Answer, call, frame, headerBlock, http2Frame, METHODS, stringField, writeMuch } from "./raw-http2.ts";
import { endServing, experimentFile, type Serving, startServing } from "./serving.ts";

let folder = "";
let plain: Serving | undefined;
let secure: Serving | undefined;
let token = "";
let tokenFile = "";
let certificateFile = "";
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "distmis-hostile-"));
  tokenFile = path.join(folder, "token");
  const made = await makeCertificate({ dir: folder, hosts: ["localhost", "127.0.0.1"] });
  certificateFile = made.certificateFile;
  const common = ["--token-file", tokenFile];
  plain = await startServing(folder, 1, [...common, "--listen", "127.0.0.1:0", "--runs-dir", "plain"]);
  const keys = ["--tls-cert", certificateFile, "--tls-key", made.keyFile];
  secure = await startServing(folder, 1, [...common, ...keys, "--listen", "0.0.0.0:0", "--runs-dir", "secure"]);
  token = readFileSync(tokenFile, "utf8").trim();
});
after(async () => {
  await Promise.all([endServing(plain), endServing(secure)]);
  rmSync(folder, { recursive: true, force: true });
});

const MEGABYTE = 1024 * 1024;
/** What a server may hold more than before, whatever is thrown at it. */
const MOST_GROWTH = 80 * MEGABYTE;

function residentBytes(serving: Serving | undefined): number {
  const status = readFileSync(`/proc/${serving?.child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

function portOf(serving: Serving | undefined): number {
  return Number(/:(\d+)$/.exec(serving?.address ?? "")?.[1]);
}

/** Connections that the server's side holds open, of /proc/net/tcp: local address, remote address, state. */
function connections(serving: Serving | undefined): number {
  const port = portOf(serving).toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync(`/proc/${serving?.child.pid}/net/tcp`, "utf8").split("\n");
  return lines.filter((line) => new RegExp(`^ *\\d+: \\w+:${port} \\w+:\\w+ 01 `).test(line)).length;
}

/** A client that has what it needs. Its calls are to work soon, also on a busy machine. */
async function good<T>(action: (server: RemoteServer) => Promise<T>): Promise<T> {
  const server = await connectServer({ address: `127.0.0.1:${portOf(plain)}`, tokenFile });
  try {
    return await action(server);
  } finally {
    server.close();
  }
}

/** Runs an attack; a good client is served meanwhile and afterwards, and the server's memory stays bounded. */
async function survives(attack: () => Promise<void>): Promise<void> {
  const list = (): Promise<unknown> => good((server) => server.list());
  await list();
  const held = residentBytes(plain);
  let over = false;
  const attacked = attack().finally(() => {
    over = true;
  });
  do {
    const begin = performance.now();
    await list();
    assert.ok(performance.now() - begin < 30_000, "a good client waited");
  } while (!over);
  await attacked;
  await list();
  const growth = residentBytes(plain) - held;
  assert.ok(growth < MOST_GROWTH, `${Math.round(growth / MEGABYTE)} MB more`);
  assert.equal(plain?.child.exitCode, null);
}

function session(): Promise<http2.ClientHttp2Session> {
  const client = http2.connect(`http://127.0.0.1:${portOf(plain)}`);
  client.on("error", () => {});
  return once(client, "connect").then(() => client);
}

describe("a server and hostile clients", () => {
  it("refuses wrong, missing and longer tokens alike, before it reads what they send", async () => {
    await survives(async () => {
      const client = await session();
      for (const given of [null, "", token.slice(1), `${token}x`, "x".repeat(token.length), "ü".repeat(20)]) {
        const { stream, answer } = call(client, `${METHODS}ListExperiments`, given && encodeURI(given));
        // Without an end, and without a message.
        assert.deepEqual(await answer, { status: "16", message: "wrong%20or%20missing%20token" }, String(given));
        stream.close();
      }
      client.destroy();
    });
    const wrong = path.join(folder, "wrong");
    writeFileSync(wrong, "x".repeat(43), { mode: 0o600 });
    const address = `127.0.0.1:${portOf(plain)}`;
    const command = startCommand(distmisCommand(["status", "--server", address, "--token-file", wrong]), folder);
    assert.equal((await command.exit).code, 2);
    assert.match(
      command.stderr(),
      /^distmis: the server at 127\.0\.0\.1:\d+ refused the token; copy the server's token/,
    );
    await until("the refusal is logged", () =>
      /Z refused 127\.0\.0\.1: wrong or missing token$/m.test(plain?.stderr() ?? ""),
    );
  });

  it("closes the connection of who tries many tokens", async () => {
    await survives(async () => {
      const client = await session();
      const answers: Answer[] = [];
      for (let tries = 0; tries < 40 && !client.destroyed; tries++)
        answers.push(await call(client, `${METHODS}ListExperiments`, `guess-${tries}`).answer);
      assert.ok(client.destroyed || client.closed);
      assert.ok(answers.length < 40);
    });
  });

  it("takes no huge messages, with the token or without it", async () => {
    await survives(async () => {
      const client = await session();
      for (const given of [token, null]) {
        const { stream, answer } = call(client, `${METHODS}Submit`, given);
        stream.write(frame(Buffer.alloc(0), 100 * MEGABYTE));
        await writeMuch(stream, 100 * MEGABYTE);
        const { status } = await answer;
        assert.ok(status === "8" || (given === null && ["16", "none"].includes(status)), status);
        stream.close();
      }
      client.destroy();
    });
  });

  it("takes no small messages that are huge when they are unpacked", async () => {
    await survives(async () => {
      const client = await session();
      const bomb = gzipSync(Buffer.alloc(200 * MEGABYTE));
      const { stream, answer } = call(client, `${METHODS}Submit`, token, { "grpc-encoding": "gzip" });
      stream.end(frame(bomb, bomb.length, true));
      assert.equal((await answer).status, "8");
      client.destroy();
    });
  });

  it("takes no garbage for HTTP/2, for a message, for an experiment, or for a method", async () => {
    await survives(async () => {
      for (const text of ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "\0".repeat(100_000)]) {
        const socket = net.connect(portOf(plain), "127.0.0.1");
        socket.on("error", () => {});
        socket.resume();
        socket.write(text);
        // It is closed at once, or after the time that strangers have.
        await once(socket, "close");
      }
      const client = await session();
      const send = async (method: string, body: Buffer): Promise<Answer> => {
        const { stream, answer } = call(client, method, token);
        stream.end(frame(body));
        return answer;
      };
      assert.equal((await send(`${METHODS}Submit`, Buffer.from([0xff, 0xff, 0xff]))).status, "13");
      assert.equal((await send(`${METHODS}Shutdown`, Buffer.alloc(0))).status, "12");
      assert.equal((await send("/etc/passwd", Buffer.alloc(0))).status, "12");
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
      for (const json of ["", "{", "null", "[]", deep, '{"name": "../x"}', `{"name": "${"a".repeat(3_000_000)}"}`]) {
        const { status, message } = await send(`${METHODS}Submit`, stringField(Buffer.from(json)));
        assert.equal(status, "3", message);
      }
      const polluted = '{"name": "a", "__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}';
      assert.equal((await send(`${METHODS}Submit`, stringField(Buffer.from(polluted)))).status, "3");
      client.destroy();
    });
  });

  it("keeps no half-open streams and connections", async () => {
    await survives(async () => {
      // By hand: Node's client would keep to the number of streams that the server allows.
      const socket = net.connect(portOf(plain), "127.0.0.1");
      socket.on("error", () => {}).resume();
      const settings = http2Frame(4, 0, 0, Buffer.alloc(0));
      socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings]));
      const headers = headerBlock({
        ":method": "POST",
        ":scheme": "http",
        ":path": `${METHODS}Submit`,
        "content-type": "application/grpc",
        authorization: `Bearer ${token}`,
      });
      const half = frame(Buffer.from("half"), 1000);
      for (let stream = 1; stream < 2000 && !socket.destroyed; stream += 2)
        socket.write(Buffer.concat([http2Frame(1, 4, stream, headers), http2Frame(0, 0, stream, half)]));
      // Too many streams that were refused: the server ends the connection.
      await once(socket, "close");

      // As many as are allowed end when their time is over.
      const client = await session();
      const answers = Array.from({ length: 32 }, () => {
        const { stream, answer } = call(client, `${METHODS}Submit`, token);
        stream.write(half);
        return answer;
      });
      assert.deepEqual([...new Set((await Promise.all(answers)).map(({ status }) => status))], ["4"]);
      client.destroy();
    });
    await survives(async () => {
      const sockets = Array.from({ length: 400 }, () => net.connect(portOf(plain), "127.0.0.1"));
      for (const socket of sockets) socket.on("error", () => {}).resume();
      // No word from them: the server ends every one.
      await Promise.all(sockets.map((socket) => socket.closed || once(socket, "close")));
    });
  });

  it("notices that a client which follows a run is gone, killed or silent", async () => {
    const run = "followed";
    const file = path.join(folder, "go");
    const experiment = experimentFile(
      folder,
      run,
      "until-file",
      `file: ${file}`,
      "resources: { gpus_per_replica: 0 }\n",
    );
    await good(async (server) => server.submit(await loadExperiment(experiment)));
    const args = ["attach", run, "--server", `127.0.0.1:${portOf(plain)}`, "--token-file", tokenFile];
    const clients = [1, 2].map(() => startCommand(distmisCommand(args), folder));
    for (const client of clients)
      await until(
        () => client.stderr(),
        () => /trial 0001 epoch 1/.test(client.stderr()),
        60_000,
      );
    assert.equal(connections(plain), 2);
    clients[0]?.child.kill("SIGKILL");
    // Its kernel keeps the connection, but nobody answers the server's pings.
    clients[1]?.child.kill("SIGSTOP");
    await until("both connections are closed", () => connections(plain) === 0, 60_000);
    clients[1]?.child.kill("SIGKILL");
    await Promise.all(clients.map(({ exit }) => exit));
    writeFileSync(file, "");
    const state = await good(async (server) => {
      const remote = server.attach(run);
      for await (const event of remote) assert.ok(event.type);
      return (await remote.results).state;
    });
    assert.equal(state, "finished");
  });

  it("talks TLS with who knows its certificate, and with nobody else", async () => {
    const port = portOf(secure);
    const client = (address: string, certificate?: string): Promise<RemoteServer> =>
      connectServer({ address, tokenFile, ...(certificate === undefined ? {} : { certificateFile: certificate }) });
    const listed = async (address: string, certificate?: string): Promise<unknown> => {
      const server = await client(address, certificate);
      return server.list().finally(() => server.close());
    };
    await listed(`localhost:${port}`, certificateFile);
    await listed(`127.0.0.1:${port}`, certificateFile);
    const other = await makeCertificate({ dir: path.join(folder, "other"), hosts: ["localhost"] });
    await assert.rejects(listed(`localhost:${port}`, other.certificateFile), {
      code: "ACCESS_DENIED",
      message: /is not the one of --tls-cert/,
    });
    const named = `127.0.0.2:${port}`;
    await assert.rejects(listed(named, certificateFile), { code: "ACCESS_DENIED", message: /is not for 127\.0\.0\.2/ });
    await assert.rejects(listed(`localhost:${port}`), { code: "SERVER_UNAVAILABLE", message: /needs --tls-cert/ });
    await assert.rejects(listed(`127.0.0.1:${portOf(plain)}`, certificateFile), {
      code: "SERVER_UNAVAILABLE",
      message: /does not speak TLS/,
    });
    await assert.rejects(listed(`10.1.0.1:${port}`), {
      code: "USAGE",
      message: /not sent to another machine without TLS/,
    });

    const old = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.1" });
    await assert.rejects(once(old, "secureConnect"));
    // A handshake that never comes does not hold a connection.
    const silent = net.connect(port, "127.0.0.1");
    silent.on("error", () => {}).resume();
    await once(silent, "close");
    await listed(`localhost:${port}`, certificateFile);
  });

  it("listens beyond this machine with TLS and a private token only", async () => {
    const other = path.join(folder, "other", "server.key");
    const tls = { certificateFile, keyFile: other };
    const cases: [Partial<ServeOptions>, RegExp][] = [
      [{ listen: "0.0.0.0:0" }, /--listen 0\.0\.0\.0:0: others can reach this address.*`distmis certificate`/],
      [{ listen: "[::]:0" }, /others can reach this address/],
      [{ listen: "127.0.0.1:0", tokenFile: certificateFile }, /others may use it/],
      [
        { listen: "127.0.0.1:0", tls },
        /server\.key: can't be used as a private key: it is not that of the certificate/,
      ],
      [{ listen: path.join(folder, "a.sock"), tls }, /is a UNIX socket, which needs no TLS/],
      [{ listen: "/tmp/a.sock" }, /\/tmp: can't hold the server's socket: others may write to it \(mode 1777\)/],
      [{ listen: tokenFile }, /expected a socket or nothing, found something else/],
      [{ listen: "head" }, /expected unix:PATH, HOST:PORT or local/],
      [{ listen: `127.0.0.1:${portOf(plain)}` }, /another program listens there/],
      [{ maxExperiments: 0 }, /--max-experiments: expected a whole number of at least 1/],
    ];
    for (const [options, message] of cases) {
      const started = serve({ runsDir: path.join(folder, "none"), tokenFile, ...options });
      await assert.rejects(started, { name: "DistmisError", message }, JSON.stringify(options));
    }
    // Nothing is left that would keep the next one away.
    assert.deepEqual(readdirSync(path.join(folder, "none", ".server")), []);
  });
});
