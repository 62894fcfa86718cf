// An in-memory server for domain tests: accounts, inboxes and sockets, and the attacks of a
// malicious server.

import { TestClock } from "../../net/clock.testing";
import type { SocketEvents } from "../../net";
import type {
  AppendEntry,
  ClientFrame,
  DeviceKeys,
  ErrorCode,
  InboxEvent,
  NewIdentity,
  PrivateMessage,
  Request,
  ServerFrame,
} from "../../protocol/wire";
import { conversationOf } from "./records";
import { TestRegistry, problem } from "./registry.testing";

interface Client {
  readonly account: string;
  readonly events: SocketEvents;
  device: string | undefined;
}

export class TestServer extends TestRegistry {
  readonly clock = new TestClock();
  readonly conversations = new Map<string, PrivateMessage[]>();
  readonly inboxes = new Map<string, InboxEvent[]>();
  /** Every frame sent by a client. */
  readonly frames: { account: string; request: Request }[] = [];
  readonly #clients = new Set<Client>();
  /** While set, every `send` closes the socket without an answer. */
  loseAnswers = false;
  /** While set, no events are sent. */
  holdEvents = false;
  /** Rejects `send` permanently. */
  rejectSends = false;
  /** While set, sockets close before they open. */
  rejectHandshakes = false;
  recovers = true;
  /** How long a device keeps an encryption key, in seconds. */
  rotation = 10 * 365 * 86_400;
  /** Delays the answer to the next request for a device list. */
  #delay: Promise<void> | undefined;

  override join(account: string): void {
    super.join(account);
    this.inboxes.set(account, []);
  }

  fetchAs(account: string) {
    return async (path: string, init: RequestInit): Promise<Response> => {
      const [, , what = "", id = "", more] = new URL(path, "https://test").pathname
        .split("/")
        .map(decodeURIComponent);
      const body = init.body === undefined ? undefined : (JSON.parse(String(init.body)) as unknown);
      this.before?.(init.method ?? "", what);
      if (what === "users") return this.user(id);
      if (what === "identity") return this.setIdentity(account, body as NewIdentity);
      if (what === "devices" && id === "log") return this.append(account, body as AppendEntry);
      if (what === "devices" && init.method === "DELETE") return this.remove(account, id);
      if (what === "devices") return this.register(account, id, body as DeviceKeys);
      if (what === "accounts" && more === "devices") {
        const delay = this.#delay;
        this.#delay = undefined;
        const answer = this.list(account, id);
        await delay;
        return answer;
      }
      if (what === "conversations" && id === "")
        return Response.json({ conversations: this.#listFor(account) });
      if (what === "conversations")
        return Response.json({ messages: this.conversations.get(id) ?? [], more: false });
      return problem(404, "not-found");
    };
  }

  socketAs(account: string) {
    return (events: SocketEvents) => {
      const client: Client = { account, events, device: undefined };
      this.#clients.add(client);
      queueMicrotask(() => (this.rejectHandshakes ? this.cut(account) : events.opened()));
      return {
        send: (text: string) => this.#receive(client, JSON.parse(text) as ClientFrame),
        close: () => void this.#clients.delete(client),
      };
    };
  }

  /**
   * Gives a name to an account, even if another has it, and sends the events a server would send.
   */
  rename(account: string, username: string): void {
    const previous = this.names.get(account);
    this.names.set(account, username);
    const inboxes = [...this.conversations.keys()].flatMap((id) => {
      const members = id.split(".");
      return members.includes(account) ? members : [];
    });
    for (const inbox of new Set([account, ...inboxes])) {
      this.deliver(inbox, {
        kind: "renamed",
        account,
        username,
        ...(previous === undefined ? {} : { previous }),
      });
    }
  }

  /** Lists a device that the account never approved. */
  addGhost(account: string, device: string, keys: DeviceKeys): void {
    this.devices.get(account)?.push({ device, ...keys, registered_at: "" });
  }

  /** The next answer with a device list is sent after `release`. */
  delayLists(): { release: () => void } {
    let release: () => void = () => undefined;
    this.#delay = new Promise((resolve) => (release = resolve));
    return { release };
  }

  /** Announces a change of an account's device list to everyone. */
  announce(account: string): void {
    for (const inbox of this.inboxes.keys()) this.deliver(inbox, { kind: "key_change", account });
  }

  /** Closes every connection of this account. */
  cut(account: string, code = 1006): void {
    for (const client of [...this.#clients].filter((candidate) => candidate.account === account)) {
      this.#clients.delete(client);
      client.events.closed(code);
    }
  }

  /** Delivers any event. */
  deliver(account: string, event: InboxEvent): void {
    this.inboxes.get(account)?.push(event);
    if (!this.holdEvents) this.#push(account);
  }

  #push(account: string): void {
    const inbox = this.inboxes.get(account) ?? [];
    const event = inbox.at(-1);
    for (const client of this.#clients) {
      if (client.account === account && client.device && event)
        this.#send(client, { type: "event", position: inbox.length, event });
    }
  }

  #receive(client: Client, { id, do: request }: ClientFrame): void {
    this.frames.push({ account: client.account, request });
    if (request.type === "hello") return this.#hello(client, id, request);
    if (request.type !== "send") return this.#send(client, { type: "ok", id });
    if (this.rejectSends) return this.#reject(client, id, "not-found");
    const message = this.#write(client, request);
    if (JSON.stringify(message.envelope) !== JSON.stringify(request.envelope))
      return this.#reject(client, id, "cid-reused");
    if (this.loseAnswers) return this.cut(client.account);
    const { conversation, seq, at } = message;
    this.#send(client, { type: "ok", id, sent: { conversation, seq, at } });
  }

  #reject(client: Client, id: number, code: ErrorCode): void {
    this.#send(client, { type: "err", id, code, message: `rejected: ${code}`, temporary: false });
  }

  #hello(
    client: Client,
    id: number,
    { device, resume }: Extract<Request, { type: "hello" }>,
  ): void {
    if (this.removed.has(device)) return this.#reject(client, id, "unknown-device");
    client.device = device;
    const inbox = this.inboxes.get(client.account) ?? [];
    const recovered = resume !== undefined && this.recovers;
    const limits = {
      max_frame: 65536,
      max_devices: 8,
      max_watched: 500,
      ping_seconds: 25,
      key_rotation_seconds: this.rotation,
      retention_seconds: 30 * 86_400,
    };
    this.#send(client, {
      type: "welcome",
      id,
      connection: "c",
      account: client.account,
      resume: inbox.length,
      recovered,
      limits,
    });
    if (!recovered) return;
    inbox
      .slice(resume)
      .forEach((event, at) =>
        this.#send(client, { type: "event", position: resume + at + 1, event }),
      );
  }

  #write(
    client: Client,
    { to, cid, lifetime, envelope }: Extract<Request, { type: "send" }>,
  ): PrivateMessage {
    const conversation = conversationOf(client.account, to);
    const messages = this.conversations.get(conversation) ?? [];
    this.conversations.set(conversation, messages);
    const known = messages.find(
      (message) => message.cid === cid && message.sender === client.account,
    );
    if (known) return known;
    const at = new Date(this.clock.now() + messages.length).toISOString();
    const seq = messages.length + 1;
    const message = {
      conversation,
      seq,
      cid,
      sender: client.account,
      device: client.device ?? "",
      at,
      ...(lifetime === undefined ? {} : { lifetime }),
      envelope,
    };
    messages.push(message);
    this.deliver(client.account, { kind: "message", ...message });
    this.deliver(to, { kind: "message", ...message });
    return message;
  }

  #listFor(account: string) {
    return [...this.conversations].flatMap(([id, messages]) => {
      const peer = id.split(".").find((member) => member !== account) ?? "";
      if (!id.split(".").includes(account)) return [];
      return {
        id,
        peer: { account_id: peer, username: this.names.get(peer) },
        last_seq: messages.length,
        updated_at: messages.at(-1)?.at,
        read_upto: 0,
        peer_received_upto: 0,
        peer_read_upto: 0,
      };
    });
  }

  #send(client: Client, frame: ServerFrame): void {
    queueMicrotask(() => {
      if (this.#clients.has(client)) client.events.message(JSON.stringify(frame));
    });
  }
}
