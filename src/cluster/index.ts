/** The Ray cluster: connect to it (or start one) and run gangs of trainers on it. */
export {
  type CheckGangResponse,
  type DescribeClusterResponse,
  GangEndCause,
  type GangEnded,
  type GangRequest,
  type Node,
  PlacementStrategy,
  type ReplicaResources,
  type RunOnNodesResponse,
  type TrainerProcess,
  type Worker,
} from "../generated/distmis/v1/cluster.ts";
export {
  type OpenStudy,
  StudyDirection,
  type StudyEvent,
  StudyOutcome,
  type StudyParameter,
  StudyRecord,
  type TrialFinish,
} from "../generated/distmis/v1/study.ts";
export { connect } from "./connect.ts";
export { studyValue, studyValues } from "./study.ts";
export type { Cluster, ConnectOptions, Gang, GangEvent, GangOptions, PlainValue, Study } from "./types.ts";
