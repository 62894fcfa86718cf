// Public API of the net layer: http -> api, runs (server-sent events); live (WebSocket).

export { Api } from "./net/api";
export type { Clock } from "./net/clock";
export { type Fetch, Http, OfflineError, ProblemError } from "./net/http";
export {
  Live,
  type LiveListener,
  type LiveState,
  type OpenSocket,
  RequestError,
  type Socket,
  type SocketEvents,
  type Welcome,
} from "./net/live";
export { type RunSource, readRun } from "./net/runs";
