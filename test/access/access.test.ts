import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import {
  defaultTokenFile,
  ensureToken,
  formatAddress,
  isLoopback,
  loadCertificate,
  makeCertificate,
  parseAddress,
  readToken,
  tokenCheck,
} from "../../src/access/index.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "distmis-access-"));
});
after(() => rm(folder, { recursive: true, force: true }));

describe("addresses", () => {
  it("are read, written, and told to be this machine's alone", () => {
    const cases: [string, string, boolean][] = [
      ["unix:/run/a.sock", "unix:/run/a.sock", true],
      ["/run/../tmp/a.sock", "unix:/tmp/a.sock", true],
      ["./a.sock", `unix:${path.resolve("a.sock")}`, true],
      ["localhost:7400", "localhost:7400", true],
      ["127.0.0.1:0", "127.0.0.1:0", true],
      ["127.9.9.9:1", "127.9.9.9:1", true],
      ["[::1]:7400", "[::1]:7400", true],
      ["0.0.0.0:7400", "0.0.0.0:7400", false],
      ["[::]:7400", "[::]:7400", false],
      ["10.1.0.1:65535", "10.1.0.1:65535", false],
      ["head.cluster.org:7400", "head.cluster.org:7400", false],
      ["localhost.evil.org:7400", "localhost.evil.org:7400", false],
      ["[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false],
    ];
    for (const [text, written, loopback] of cases) {
      const address = parseAddress(text, "--listen");
      assert.equal(formatAddress(address), written);
      assert.equal(isLoopback(address), loopback, text);
    }
    for (const bad of ["", "head", "head:", ":7400", "head:70000", "[head]:1", "a:b:1", "head:7400x"]) {
      assert.throws(
        () => parseAddress(bad, "--listen"),
        { code: "USAGE", message: /expected unix:PATH, HOST:PORT/ },
        bad,
      );
    }
    assert.throws(() => parseAddress(`/${"a".repeat(200)}`, "--listen"), {
      code: "USAGE",
      message: /at most 107 bytes/,
    });
  });
});

describe("tokens", () => {
  it("are made once, for their owner alone, whatever the umask", async () => {
    const file = path.join(folder, "settings", "distmis", "token");
    const before = process.umask(0);
    try {
      const first = await ensureToken(file);
      assert.equal(first.made, true);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.match(first.token, /^[\w-]{43}$/);
      assert.deepEqual(await ensureToken(file), { token: first.token, made: false });
      assert.equal(await readToken(file), first.token);
    } finally {
      process.umask(before);
    }
    assert.equal(defaultTokenFile({ XDG_CONFIG_HOME: path.join(folder, "settings") }), file);
    assert.equal(defaultTokenFile({ DISTMIS_TOKEN_FILE: "/a" }), "/a");
  });

  it("are refused where others can read them, or where there is none", async () => {
    const file = path.join(folder, "token");
    await writeFile(file, "0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
    await chmod(file, 0o640);
    await assert.rejects(readToken(file), {
      code: "FILE_UNUSABLE",
      message: /others may use it \(mode 640\).*chmod 600/,
    });
    const link = path.join(folder, "link");
    await symlink(file, link);
    await assert.rejects(ensureToken(link), { code: "FILE_UNUSABLE", message: /others may use it/ });
    await chmod(file, 0o600);
    await writeFile(file, "short\n");
    await assert.rejects(readToken(file), { code: "FILE_UNUSABLE", message: /expected one line of at least 32/ });
    await assert.rejects(readToken(path.join(folder, "none")), { message: /no such file; copy the server's token/ });
    await assert.rejects(readToken(folder), { code: "FILE_UNUSABLE" });
    await assert.rejects(readToken("/dev/zero"), { code: "FILE_UNUSABLE", message: /expected a file/ });
  });

  it("are compared whole", () => {
    const check = tokenCheck("secret-of-this-server");
    assert.equal(check("secret-of-this-server"), true);
    for (const wrong of ["", "secret", "secret-of-this-serves", "secret-of-this-server2", "x".repeat(100_000)])
      assert.equal(check(wrong), false);
  });
});

describe("certificates", () => {
  it("are made for names and addresses, and don't take the place of others", async () => {
    const dir = path.join(folder, "certificate");
    const hosts = ["head.cluster.org", "localhost", "127.0.0.1", "fd00::1"];
    const made = await makeCertificate({ dir, hosts, days: 30 });
    assert.deepEqual((await readdir(dir)).toSorted(), ["server.crt", "server.key"]);
    assert.equal((await stat(made.keyFile)).mode & 0o777, 0o600);
    const days = (made.validTo.getTime() - Date.now()) / 86_400_000;
    assert.ok(days > 29 && days < 31, `${days}`);
    const { certificate, key } = await loadCertificate(made.certificateFile, made.keyFile);
    assert.equal(String(certificate), await readFile(made.certificateFile, "utf8"));
    assert.match(String(key), /PRIVATE KEY/);

    await assert.rejects(makeCertificate({ dir, hosts }), { code: "FILE_UNUSABLE", message: /is there already/ });
    const other = await makeCertificate({ dir: path.join(folder, "other"), hosts: ["localhost"] });
    await assert.rejects(loadCertificate(made.certificateFile, other.keyFile), {
      message: /not that of the certificate/,
    });
    await chmod(made.keyFile, 0o644);
    await assert.rejects(loadCertificate(made.certificateFile, made.keyFile), { message: /others may use it/ });
    await assert.rejects(loadCertificate(made.keyFile), { code: "FILE_UNUSABLE", message: /expected PEM/ });
    for (const host of ["a b", "head:7400", "", "-a", "a\nDNS.9 = evil", "a_b".repeat(100)])
      await assert.rejects(makeCertificate({ dir, hosts: [host] }), { code: "USAGE" }, host);
    await assert.rejects(makeCertificate({ dir, hosts, days: 0 }), { code: "USAGE" });
  });

  it("say what is missing where there is no openssl", async () => {
    const before = process.env.PATH;
    process.env.PATH = folder;
    try {
      const made = makeCertificate({ dir: path.join(folder, "none"), hosts: ["localhost"] });
      await assert.rejects(made, { code: "SETUP_INCOMPLETE", message: /apt-get install openssl/ });
    } finally {
      process.env.PATH = before;
    }
  });
});
