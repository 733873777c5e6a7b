/** The certificate of a server: self-signed, and trusted by clients because they have a copy of it. */
import { execFile } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import { DistmisError, hasErrno, messageOf } from "../errors/index.ts";
import { makeFolder } from "../paths/index.ts";
import { readSecret, unusable } from "./secret-file.ts";

export interface CertificateOptions {
  /** Folder to write server.crt and server.key to. */
  dir: string;
  /** Names and IP addresses that clients reach the server by; at least one. */
  hosts: readonly string[];
  /** Until it expires; default 825, the most that all programs accept. */
  days?: number;
}

export interface Certificate {
  certificateFile: string;
  keyFile: string;
  hosts: string[];
  validTo: Date;
  /** SHA-256, in hexadecimal digits with colons. */
  fingerprint: string;
}

const DEFAULT_DAYS = 825;
const HOST_NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/**
 * Makes a certificate and its private key (mode 0600), with the program openssl.
 * @throws DistmisError USAGE (hosts, days), FILE_UNUSABLE (the folder, or files that are there already), SETUP_INCOMPLETE (no openssl)
 */
export async function makeCertificate({ dir, hosts, days = DEFAULT_DAYS }: CertificateOptions): Promise<Certificate> {
  checkRequest(hosts, days);
  const certificateFile = path.resolve(dir, "server.crt");
  const keyFile = path.resolve(dir, "server.key");
  await makeFolder(path.dirname(keyFile));
  await refuseExisting(certificateFile, keyFile);
  const draft = await mkdtemp(path.join(path.dirname(keyFile), ".certificate-"));
  try {
    const files = ["request.cnf", "server.crt", "server.key"].map((name) => path.join(draft, name));
    const [config = "", certificate = "", key = ""] = files;
    await writeFile(config, requestConfig(hosts));
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
    const output = ["-days", String(days), "-keyout", key, "-out", certificate];
    await openssl(["req", "-x509", "-config", config, "-sha256", ...curve, ...output]);
    await chmod(key, 0o600);
    const { validToDate, fingerprint256 } = describe(await readFile(certificate), certificateFile);
    await rename(key, keyFile);
    await rename(certificate, certificateFile);
    return { certificateFile, keyFile, hosts: [...hosts], validTo: validToDate, fingerprint: fingerprint256 };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function checkRequest(hosts: readonly string[], days: number): void {
  if (hosts.length === 0) throw new DistmisError("USAGE", "--host: expected a name or an address, found none");
  for (const host of hosts) {
    if (isIP(host) !== 0 || (HOST_NAME.test(host) && host.length <= 253)) continue;
    throw new DistmisError("USAGE", `--host ${host}: expected the name or IP address of a machine, without a port`);
  }
  if (!Number.isInteger(days) || days < 1 || days > 3_650)
    throw new DistmisError("USAGE", `--days: expected a whole number from 1 to 3650, found ${days}`);
}

async function refuseExisting(...files: string[]): Promise<void> {
  for (const file of files) {
    const there = await stat(file).then(
      () => true,
      (error: unknown) => {
        if (hasErrno(error, "ENOENT")) return false;
        throw new DistmisError("FILE_UNUSABLE", `${file}: ${messageOf(error)}`, { cause: error });
      },
    );
    if (there)
      throw new DistmisError(
        "FILE_UNUSABLE",
        `${file}: is there already, and clients may have copies of it; remove it or name another folder with --dir`,
      );
  }
}

/** What openssl is to write into the certificate: nothing of the machine's own configuration of openssl. */
function requestConfig(hosts: readonly string[]): string {
  const names = hosts.map((host, index) => `${isIP(host) === 0 ? "DNS" : "IP"}.${index + 1} = ${host}`);
  return [
    "[req]",
    "distinguished_name = name",
    "x509_extensions = extensions",
    "prompt = no",
    "[name]",
    "CN = distmis server",
    "[extensions]",
    // Who has the key can pass for this server, and for no other one.
    "basicConstraints = critical, CA:FALSE",
    "keyUsage = critical, digitalSignature",
    "extendedKeyUsage = serverAuth",
    "subjectAltName = @hosts",
    "[hosts]",
    ...names,
    "",
  ].join("\n");
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)("openssl", args);
  } catch (error) {
    if (hasErrno(error, "ENOENT"))
      throw new DistmisError(
        "SETUP_INCOMPLETE",
        "the program openssl makes the certificate, and is not installed (Debian: sudo apt-get install openssl)",
      );
    throw new DistmisError("SETUP_INCOMPLETE", `openssl could not make the certificate: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Reads a server's certificate and, with a `keyFile`, its private key, as PEM.
 * @throws DistmisError FILE_UNUSABLE if they are no such files, don't belong together, or the certificate has expired
 */
export async function loadCertificate(certificateFile: string): Promise<{ certificate: Buffer }>;
export async function loadCertificate(
  certificateFile: string,
  keyFile: string,
): Promise<{ certificate: Buffer; key: Buffer }>;
export async function loadCertificate(
  certificateFile: string,
  keyFile?: string,
): Promise<{ certificate: Buffer; key?: Buffer }> {
  const certificate = await readFile(certificateFile).catch((error: unknown) => {
    throw unusable(certificateFile, "a certificate", messageOf(error), error);
  });
  const x509 = describe(certificate, certificateFile);
  const now = new Date();
  if (x509.validToDate < now)
    throw unusable(
      certificateFile,
      "a certificate",
      `it expired on ${x509.validTo}; make a new one with \`distmis certificate\``,
    );
  if (keyFile === undefined) return { certificate };
  const key = await readSecret(keyFile, "a private key");
  if (key === null) throw unusable(keyFile, "a private key", "there is no such file");
  let fits: boolean;
  try {
    fits = x509.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw unusable(keyFile, "a private key", `expected PEM without a passphrase: ${messageOf(error)}`, error);
  }
  if (!fits) throw unusable(keyFile, "a private key", `it is not that of the certificate ${certificateFile}`);
  return { certificate, key: Buffer.from(key) };
}

function describe(pem: Buffer, file: string) {
  try {
    const x509 = new X509Certificate(pem);
    // Node 20 has the dates as text only.
    const { validTo, fingerprint256 } = x509;
    return {
      validTo,
      validToDate: new Date(validTo),
      fingerprint256,
      checkPrivateKey: (key: Parameters<X509Certificate["checkPrivateKey"]>[0]) => x509.checkPrivateKey(key),
    };
  } catch (error) {
    throw unusable(file, "a certificate", `expected PEM: ${messageOf(error)}`, error);
  }
}
