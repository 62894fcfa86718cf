// An in-memory server for domain tests: accounts, inboxes and sockets, and the attacks of a
// malicious server.

import { TestClock } from "../../net/clock.testing";
import type { SocketEvents } from "../../net";
import type {
  ClientFrame,
  Device,
  DeviceKeys,
  Envelope,
  InboxEvent,
  PrivateMessage,
  Request,
  ServerFrame,
} from "../../protocol/wire";
import { conversationOf } from "./records";

interface Client {
  readonly account: string;
  readonly events: SocketEvents;
  device: string | undefined;
}

export class TestServer {
  readonly clock = new TestClock();
  readonly names = new Map<string, string>();
  readonly devices = new Map<string, Device[]>();
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
  /** Devices that can never be registered again. */
  readonly removed = new Set<string>();
  /** Number of registration requests. */
  registrations = 0;
  /** False device lists, by the account that requests them and the account they are about. */
  readonly #lies = new Map<string, readonly Device[]>();
  /** Delays the answer to the next request for a device list. */
  #delay: Promise<void> | undefined;

  join(account: string): void {
    this.names.set(account, account);
    this.devices.set(account, []);
    this.inboxes.set(account, []);
  }

  fetchAs(account: string) {
    return async (path: string, init: RequestInit): Promise<Response> => {
      const [, , what = "", id = "", more] = new URL(path, "https://test").pathname
        .split("/")
        .map(decodeURIComponent);
      if (what === "users") return this.#user(id);
      if (what === "devices" && init.method === "DELETE") return this.#remove(account, id);
      if (what === "devices")
        return this.#register(account, id, JSON.parse(String(init.body)) as DeviceKeys);
      if (what === "accounts" && more === "devices") {
        const delay = this.#delay;
        this.#delay = undefined;
        const answer = Response.json({
          account_id: id,
          username: this.names.get(id),
          devices: this.#lies.get(`${account}/${id}`) ?? this.devices.get(id) ?? [],
        });
        await delay;
        return answer;
      }
      if (what === "conversations" && id === "")
        return Response.json({ conversations: this.#listFor(account) });
      if (what === "conversations")
        return Response.json({ messages: this.conversations.get(id) ?? [], more: false });
      return Response.json({ type: "not-found", title: "Not found", status: 404 }, { status: 404 });
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

  /** Lists a device that the account never had. */
  addGhost(account: string, device: string, keys: DeviceKeys): void {
    this.devices.get(account)?.push({ device, ...keys });
  }

  /** From now on, `viewer` receives these devices as the list of `account`. */
  lie(viewer: string, account: string, devices: readonly Device[]): void {
    this.#lies.set(`${viewer}/${account}`, devices);
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
    if (this.rejectSends) {
      return this.#send(client, {
        type: "err",
        id,
        code: "not-found",
        message: "no such account",
        temporary: false,
      });
    }
    const message = this.#write(client, request);
    if (this.loseAnswers) return this.cut(client.account);
    const { conversation, seq, at } = message;
    this.#send(client, { type: "ok", id, sent: { conversation, seq, at } });
  }

  #hello(
    client: Client,
    id: number,
    { device, resume }: Extract<Request, { type: "hello" }>,
  ): void {
    if (this.removed.has(device)) {
      return this.#send(client, {
        type: "err",
        id,
        code: "unknown-device",
        message: "no",
        temporary: false,
      });
    }
    client.device = device;
    const inbox = this.inboxes.get(client.account) ?? [];
    const recovered = resume !== undefined && this.recovers;
    const limits = { max_frame: 65536, max_devices: 8, max_watched: 500, ping_seconds: 25 };
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
    { to, cid, envelope }: { to: string; cid: string; envelope: Envelope },
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
      envelope,
    };
    messages.push(message);
    this.deliver(client.account, { kind: "message", ...message });
    this.deliver(to, { kind: "message", ...message });
    return message;
  }

  #user(username: string): Response {
    const [account, name] =
      [...this.names].find(([, name]) => name === username.toLowerCase()) ?? [];
    if (account !== undefined) return Response.json({ account_id: account, username: name });
    return Response.json({ type: "not-found", title: "Not found", status: 404 }, { status: 404 });
  }

  #register(account: string, device: string, keys: DeviceKeys): Response {
    this.registrations += 1;
    if (this.removed.has(device)) {
      return Response.json(
        { type: "device-removed", title: "Removed", status: 410 },
        { status: 410 },
      );
    }
    const devices = this.devices.get(account) ?? [];
    if (!devices.some((known) => known.device === device)) devices.push({ device, ...keys });
    return new Response(null, { status: 204 });
  }

  #remove(account: string, device: string): Response {
    const devices = this.devices.get(account) ?? [];
    this.devices.set(
      account,
      devices.filter((known) => known.device !== device),
    );
    return new Response(null, { status: 204 });
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
