// Client for /api, one method per endpoint.

import type {
  AccountId,
  AppendEntry,
  ClaimUsername,
  ConversationId,
  ConversationList,
  ConversationPage,
  DeviceApproval,
  DeviceId,
  DeviceKeys,
  DeviceList,
  History,
  Link,
  Me,
  ModelList,
  NewIdentity,
  Recover,
  Recovered,
  RelayMessage,
  RelayedMessages,
  RunId,
  Session,
  SessionId,
  SessionList,
  SessionPatch,
  User,
} from "../protocol/wire";
import { readDeviceList } from "./device-list";
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

  /** The account's devices, however malformed the response is. */
  async devices(account: AccountId): Promise<DeviceList> {
    const path = `/api/accounts/${encodeURIComponent(account)}/devices`;
    return readDeviceList(account, await this.#http.json<unknown>("GET", path));
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

  /** A link for this browser as the new device of an account. */
  createLink(): Promise<Link> {
    return this.#http.json("POST", "/api/links");
  }

  /** `token`: of the new device. The old device is known by its cookie. */
  postLinkMessage(code: string, body: string, token?: string): Promise<void> {
    const path = `/api/links/${encodeURIComponent(code)}/messages`;
    return this.#http.json("POST", path, { body } satisfies RelayMessage, token);
  }

  /** The messages after `after`, of both devices. */
  linkMessages(code: string, after: number, token?: string): Promise<RelayedMessages> {
    const path = `/api/links/${encodeURIComponent(code)}/messages?after=${after}`;
    return this.#http.json("GET", path, undefined, token);
  }

  approveLink(code: string, approval: DeviceApproval): Promise<void> {
    return this.#http.json("POST", `/api/links/${encodeURIComponent(code)}/approval`, approval);
  }

  /** Sets the cookie of the account that approved the link. */
  claimLink(code: string, token: string): Promise<Me> {
    const path = `/api/links/${encodeURIComponent(code)}/claim`;
    return this.#http.json("POST", path, undefined, token);
  }

  /** Sets the cookie of the account whose recovery code the token is from. */
  recover(token: string): Promise<Recovered> {
    return this.#http.json("POST", "/api/recovery", { token } satisfies Recover);
  }
}
