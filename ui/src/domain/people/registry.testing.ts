// The accounts of the in-memory test server: names, devices, identities and device logs, checked as
// a real server does.

import { entriesOf, fromBase64url, readLog, toBase64url } from "../../crypto";
import type {
  AppendEntry,
  Device,
  DeviceKeys,
  DeviceList,
  NewIdentity,
  SignedEntry,
} from "../../protocol/wire";

type List = Pick<DeviceList, "devices" | "identity_key" | "log">;

export class TestRegistry {
  readonly names = new Map<string, string>();
  readonly devices = new Map<string, Device[]>();
  readonly identities = new Map<string, NewIdentity>();
  readonly logs = new Map<string, SignedEntry[]>();
  /** Devices that can never be registered again. */
  readonly removed = new Set<string>();
  /** Number of registration requests. */
  registrations = 0;
  /** Requests to append to a log. */
  appends = 0;
  /** Answers the next requests to append with 409. */
  rejectAppends = 0;
  /** Called before the next request is answered. */
  before: ((method: string, what: string) => void) | undefined;
  /** False answers, by the account that requests them and the account they are about. */
  readonly #lies = new Map<string, Partial<List>>();
  /** Malformed answers, likewise. */
  readonly #garbage = new Map<string, unknown>();

  join(account: string): void {
    this.names.set(account, account);
    this.devices.set(account, []);
    this.logs.set(account, []);
  }

  /** From now on, `viewer` receives this about `account`. */
  lie(viewer: string, account: string, list: Partial<List>): void {
    this.#lies.set(`${viewer}/${account}`, list);
  }

  /** From now on, `viewer` receives this instead of a list of `account`. */
  garble(viewer: string, account: string, answer: unknown): void {
    this.#garbage.set(`${viewer}/${account}`, answer);
  }

  /** `viewer` receives the truth about `account` again. */
  confess(viewer: string, account: string): void {
    this.#garbage.delete(`${viewer}/${account}`);
    this.#lies.delete(`${viewer}/${account}`);
  }

  /** The true list. */
  truth(account: string): List {
    const identity_key = this.identities.get(account)?.identity_key;
    return {
      devices: [...(this.devices.get(account) ?? [])],
      ...(identity_key === undefined ? {} : { identity_key }),
      log: [...(this.logs.get(account) ?? [])],
    };
  }

  list(viewer: string, account: string): Response {
    const name = `${viewer}/${account}`;
    if (this.#garbage.has(name)) return Response.json(this.#garbage.get(name));
    const { ...list } = { ...this.truth(account), ...this.#lies.get(`${viewer}/${account}`) };
    if (list.identity_key === undefined) delete list.identity_key;
    return Response.json({ account_id: account, username: this.names.get(account), ...list });
  }

  user(username: string): Response {
    const [account, name] =
      [...this.names].find(([, name]) => name === username.toLowerCase()) ?? [];
    if (account === undefined) return problem(404, "not-found");
    return Response.json({ account_id: account, username: name });
  }

  register(account: string, device: string, keys: DeviceKeys): Response {
    this.registrations += 1;
    if (this.removed.has(device)) return problem(410, "device-removed");
    const devices = this.devices.get(account) ?? [];
    const known = devices.find((one) => one.device === device);
    const listed = { device, ...keys, registered_at: "" };
    if (!known) devices.push(listed);
    else if (keys.generation > known.generation) devices[devices.indexOf(known)] = listed;
    else if (JSON.stringify(listed) !== JSON.stringify(known)) return problem(422, "invalid-value");
    return new Response(null, { status: 204 });
  }

  remove(account: string, device: string): Response {
    this.removed.add(device);
    const devices = this.devices.get(account) ?? [];
    this.devices.set(
      account,
      devices.filter((known) => known.device !== device),
    );
    return new Response(null, { status: 204 });
  }

  async setIdentity(account: string, identity: NewIdentity): Promise<Response> {
    const known = this.identities.get(account);
    const isRepeated = JSON.stringify(known) === JSON.stringify(identity);
    if (isRepeated) return new Response(null, { status: 204 });
    if (known?.identity_key !== identity.replaces) return problem(409, "conflict");
    const key = fromBase64url(identity.identity_key);
    const log = key && (await readLog(account, key, [identity.entry]));
    const registered = this.devices.get(account)?.map(({ device }) => device) ?? [];
    const first = log && entriesOf(log)[0];
    if (!first || !registered.includes(first.device)) return problem(422, "invalid-value");
    this.identities.set(account, identity);
    this.logs.set(account, [identity.entry]);
    return new Response(null, { status: 204 });
  }

  async append(account: string, { version, entry }: AppendEntry): Promise<Response> {
    this.appends += 1;
    if (this.rejectAppends > 0) {
      this.rejectAppends -= 1;
      return problem(409, "conflict");
    }
    const entries = this.logs.get(account) ?? [];
    if (version !== entries.length + 1) return problem(409, "conflict");
    const key = fromBase64url(this.identities.get(account)?.identity_key ?? "");
    if (!key || !(await readLog(account, key, [...entries, entry])))
      return problem(422, "invalid-value");
    entries.push(entry);
    return new Response(null, { status: 204 });
  }
}

export function problem(status: number, type: string): Response {
  return Response.json({ type, title: type, status }, { status });
}

/** base64url with another last byte. */
export function altered(text: string): string {
  const bytes = fromBase64url(text) ?? new Uint8Array();
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  return toBase64url(bytes);
}
