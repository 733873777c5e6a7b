/** gRPC and HTTP/2 by hand, as a client speaks them that knows no better or means harm. */
import type http2 from "node:http2";

export interface Answer {
  status: string;
  message: string;
}

export const METHODS = "/distmis.v1.ServerService/";

/** Opens a call by hand. `given` is the token that is sent; null: none. */
export function call(client: http2.ClientHttp2Session, method: string, given: string | null, more: object = {}) {
  const headers = { ":method": "POST", ":path": method, "content-type": "application/grpc", te: "trailers", ...more };
  const stream = client.request(given === null ? headers : { ...headers, authorization: `Bearer ${given}` });
  stream.on("error", () => {});
  const answer = new Promise<Answer>((resolve) => {
    const note = (fields: http2.IncomingHttpHeaders): void => {
      if (fields["grpc-status"] !== undefined)
        resolve({ status: String(fields["grpc-status"]), message: String(fields["grpc-message"]) });
    };
    stream.on("response", note).on("trailers", note);
    stream.once("close", () => resolve({ status: "none", message: `closed with ${stream.rstCode}` }));
  });
  stream.resume();
  return { stream, answer };
}

/** A gRPC message with a length that may be a lie. */
export function frame(body: Uint8Array, length = body.length, compressed = false): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, body]);
}

/** Writes until the stream ends or all is written. */
export async function writeMuch(stream: http2.ClientHttp2Stream, bytes: number): Promise<void> {
  const piece = Buffer.alloc(256 * 1024, 1);
  let left = bytes;
  await new Promise<void>((resolve) => {
    const more = (): void => {
      while (left > 0 && !stream.destroyed) {
        left -= piece.length;
        if (!stream.write(piece)) return;
      }
      resolve();
    };
    stream.on("drain", more).once("close", resolve);
    more();
  });
}

/** One frame of HTTP/2. */
export function http2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Header fields as HPACK's literals without indexing, each shorter than 127 bytes. */
export function headerBlock(fields: Record<string, string>): Buffer {
  const literal = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text)]);
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

/** Field 1 of a message, a string. */
export function stringField(text: Buffer): Buffer {
  const size: number[] = [];
  for (let rest = text.length; ; rest = Math.floor(rest / 128)) {
    size.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([0x0a, ...size]), text]);
}
