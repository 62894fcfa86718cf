// Client for /api, one method per endpoint.

import type {
  AccountId,
  AppendEntry,
  ClaimUsername,
  ConversationId,
  ConversationList,
  ConversationPage,
  DeviceId,
  DeviceKeys,
  DeviceList,
  History,
  Me,
  ModelList,
  NewIdentity,
  RunId,
  Session,
  SessionId,
  SessionList,
  SessionPatch,
  User,
} from "../protocol/wire";
import type { Http } from "./http";

export class Api {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  me(): Promise<Me> {
    return this.#http.json("GET", "/api/me");
  }

  /** The account of this browser. Creates one if there is none. */
  open(): Promise<Me> {
    return this.#http.json("POST", "/api/me", {} satisfies ClaimUsername);
  }

  /** Claims a username. Creates an account if there is none. */
  claim(username: string): Promise<Me> {
    return this.#http.json("POST", "/api/me", { username } satisfies ClaimUsername);
  }

  logout(): Promise<void> {
    return this.#http.json("POST", "/api/logout");
  }

  models(): Promise<ModelList> {
    return this.#http.json("GET", "/api/models");
  }

  sessions(): Promise<SessionList> {
    return this.#http.json("GET", "/api/sessions");
  }

  session(id: SessionId): Promise<Session> {
    return this.#http.json("GET", `/api/sessions/${encodeURIComponent(id)}/info`);
  }

  history(id: SessionId): Promise<History> {
    return this.#http.json("GET", `/api/sessions/${encodeURIComponent(id)}/messages`);
  }

  patchSession(id: SessionId, patch: SessionPatch): Promise<Session> {
    return this.#http.json("PATCH", `/api/sessions/${encodeURIComponent(id)}`, patch);
  }

  deleteSession(id: SessionId): Promise<void> {
    return this.#http.json("DELETE", `/api/sessions/${encodeURIComponent(id)}`);
  }

  stopRun(id: RunId): Promise<void> {
    return this.#http.json("POST", `/api/runs/${encodeURIComponent(id)}/stop`);
  }

  user(username: string): Promise<User> {
    return this.#http.json("GET", `/api/users/${encodeURIComponent(username)}`);
  }

  devices(account: AccountId): Promise<DeviceList> {
    return this.#http.json("GET", `/api/accounts/${encodeURIComponent(account)}/devices`);
  }

  registerDevice(device: DeviceId, keys: DeviceKeys): Promise<void> {
    return this.#http.json("PUT", `/api/devices/${encodeURIComponent(device)}`, keys);
  }

  removeDevice(device: DeviceId): Promise<void> {
    return this.#http.json("DELETE", `/api/devices/${encodeURIComponent(device)}`);
  }

  /** Creates or replaces the account's identity. Repeating it changes nothing. */
  putIdentity(identity: NewIdentity): Promise<void> {
    return this.#http.json("PUT", "/api/identity", identity);
  }

  /** Appends to the device log. Rejected with 409 if the log has another length. */
  appendEntry(append: AppendEntry): Promise<void> {
    return this.#http.json("POST", "/api/devices/log", append);
  }

  conversations(): Promise<ConversationList> {
    return this.#http.json("GET", "/api/conversations");
  }

  conversationPage(id: ConversationId, before?: number): Promise<ConversationPage> {
    const query = before === undefined ? "limit=100" : `before=${before}&limit=100`;
    return this.#http.json("GET", `/api/conversations/${encodeURIComponent(id)}/messages?${query}`);
  }
}
