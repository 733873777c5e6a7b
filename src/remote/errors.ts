/** Errors on their way from server to client: the code of src/errors travels as metadata, the message as gRPC's details. */
import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { DistmisError, type ErrorCode, isErrorCode } from "../errors/index.ts";

const CODE_KEY = "distmis-code";
/** HTTP/2 carries it as a header, which is bounded. */
const MAX_MESSAGE = 6_000;

/** What a server answers where `error` was thrown; null if it is a defect of its own. */
export function toStatus(error: unknown): Pick<StatusObject, "code" | "details" | "metadata"> | null {
  if (!(error instanceof DistmisError)) return null;
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  const { message } = error;
  const details = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)} ...` : message;
  return { code: STATUS[error.code] ?? status.INTERNAL, details, metadata };
}

const STATUS: Partial<Record<ErrorCode, status>> = {
  USAGE: status.INVALID_ARGUMENT,
  CONFIG_INVALID: status.INVALID_ARGUMENT,
  DATA_INVALID: status.INVALID_ARGUMENT,
  FILE_UNUSABLE: status.FAILED_PRECONDITION,
  RUN_REFUSED: status.FAILED_PRECONDITION,
  SERVER_UNAVAILABLE: status.UNAVAILABLE,
};

/** The error that a call to the server at `address` ended with. */
export function fromStatus({ code, details, metadata }: ServiceError, address: string): DistmisError {
  const [said] = metadata?.get(CODE_KEY) ?? [];
  if (isErrorCode(said)) return new DistmisError(said, details);
  switch (code) {
    case status.UNAUTHENTICATED:
      return new DistmisError(
        "ACCESS_DENIED",
        `the server at ${address} refused the token; copy the server's token file here, and name it with --token-file`,
      );
    case status.UNIMPLEMENTED:
      return new DistmisError(
        "SERVER_UNAVAILABLE",
        `the server at ${address} is not of this version of distmis: ${details}`,
      );
    case status.RESOURCE_EXHAUSTED:
      return new DistmisError("SERVER_UNAVAILABLE", `the server at ${address} refused the request: ${details}`);
    case status.UNAVAILABLE:
      return unreachable(details, address);
    default:
      return new DistmisError("SERVER_UNAVAILABLE", `the server at ${address} failed: ${details}`);
  }
}

/** gRPC's words for what OpenSSL and the kernel said. */
function unreachable(details: string, address: string): DistmisError {
  if (/self.signed|unable to (verify|get)|UNABLE_TO|certificate has expired/i.test(details)) {
    return new DistmisError(
      "ACCESS_DENIED",
      `the certificate of the server at ${address} is not the one of --tls-cert; copy the server's server.crt here`,
    );
  }
  if (/altnames/i.test(details)) {
    return new DistmisError(
      "ACCESS_DENIED",
      `the certificate of the server is not for ${address}: ${details}; make one with \`distmis certificate --host\` for this name`,
    );
  }
  if (/wrong version number|packet length too long|EPROTO/i.test(details)) {
    return new DistmisError("SERVER_UNAVAILABLE", `the server at ${address} does not speak TLS: leave out --tls-cert`);
  }
  const why = details
    .replace(/^No connection established\. Last error: (Error: )?/, "")
    .replace(/\.? Resolution note: $/, "");
  const tls = address.startsWith("unix:") ? "" : " A server with TLS needs --tls-cert here as well.";
  return new DistmisError(
    "SERVER_UNAVAILABLE",
    `the server at ${address} can't be reached: ${why}; is \`distmis serve\` running there?${tls}`,
  );
}
