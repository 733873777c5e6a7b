/** A server of experiments as its clients see it; see proto/distmis/v1/server.proto. */
export {
  connectServer,
  type ExperimentInfo,
  type RemoteRun,
  type RemoteServer,
  type ServerOptions,
  type Submitting,
} from "./client.ts";
export { toStatus } from "./errors.ts";
