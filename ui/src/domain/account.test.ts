// Accounts of whole pages, against a server that creates one for each write without a cookie.

import { beforeEach, describe, expect, test, vi } from "vitest";
import { Api, Http } from "../net";
import type { Me, ProblemType } from "../protocol/wire";
import { Account } from "./account";
import type { Archives, Exclusive, Settings } from "./ports";

/** Accounts by cookie, and the one cookie of a browser profile. */
class Server {
  readonly accounts = new Map<string, Me>();
  readonly requests: string[] = [];
  readonly removed = new Set<string>();
  cookie: string | undefined;
  #made = 0;
  /** Responses wait for this promise. */
  gate: Promise<void> = Promise.resolve();

  readonly fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const request = `${init.method} ${path}`;
    this.requests.push(request);
    const { cookie } = this;
    await this.gate;
    const me = cookie === undefined ? undefined : this.accounts.get(cookie);
    if (request === "POST /api/logout") {
      if (!me && !this.removed.has(cookie ?? "")) return problem("unauthenticated", 401);
      this.accounts.delete(cookie ?? "");
      this.cookie = undefined;
      return new Response(null, { status: 204 });
    }
    if (this.removed.has(cookie ?? "")) return problem("device-removed", 401);
    if (request === "POST /api/me") {
      const { username } = JSON.parse(String(init.body)) as { username?: string };
      if (
        [...this.accounts.values()].some(
          (known) => username !== undefined && known.username === username,
        )
      ) {
        return problem("username-taken", 409, "This name is taken.");
      }
      const known = me ?? this.make();
      const claimed = { ...known, ...(username === undefined ? {} : { username }) };
      this.accounts.set(this.cookie ?? "", claimed);
      return Response.json(claimed);
    }
    if (!me) return problem("unauthenticated", 401);
    if (path === "/api/tombstone") return problem("device-removed", 410);
    return Response.json(me);
  };

  make(): Me {
    this.#made += 1;
    const me = { account_id: `account-${this.#made}` };
    this.cookie = `cookie-${this.#made}`;
    this.accounts.set(this.cookie, me);
    return me;
  }
}

function problem(type: ProblemType, status: number, detail?: string): Response {
  return Response.json({ type, title: type, status, detail }, { status });
}

/** State shared by the pages of one browser profile. */
class Profile {
  readonly values = new Map<string, string>();
  readonly observers: {
    page: number;
    name: string;
    observer: (value: string | undefined) => void;
  }[] = [];
  readonly archives = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();
  #pages = 0;

  readonly exclusive: Exclusive = (_, task) => {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  };

  settings(): Settings {
    const page = this.#pages++;
    return {
      get: (name) => this.values.get(name),
      set: (name, value) => {
        if (this.values.get(name) === value) return;
        if (value === undefined) this.values.delete(name);
        else this.values.set(name, value);
        for (const known of this.observers) {
          if (known.page !== page && known.name === name)
            queueMicrotask(() => known.observer(value));
        }
      },
      observe: (name, observer) => void this.observers.push({ page, name, observer }),
    };
  }

  readonly store: Archives = {
    open: () => Promise.reject(new Error("no archive is opened here")),
    destroy: async (account) => void this.archives.delete(account),
    list: async () => [...this.archives],
  };
}

let server: Server;
let profile: Profile;

beforeEach(() => {
  server = new Server();
  profile = new Profile();
});

function page() {
  const settings = profile.settings();
  const http: Http = new Http(server.fetch, (rejected) => account.rejected(rejected));
  const api = new Api(http);
  const account: Account = new Account({
    api,
    settings,
    archives: profile.store,
    exclusive: profile.exclusive,
  });
  return { account, api, http, settings };
}

/** A page with an account that has a name. */
async function member(username = "ada") {
  const here = page();
  await here.account.load();
  expect(await here.account.claim(username)).toEqual({ ok: true });
  const account = here.account.me.value?.account_id ?? "";
  profile.archives.add(account);
  return { ...here, id: account };
}

const kind = (account: Account) => account.status.value.kind;

describe("a first visit", () => {
  test("sends no request and creates no account", async () => {
    const { account } = page();
    await account.load();
    expect(account.status.value).toEqual({ kind: "visitor" });
    expect(server.requests).toEqual([]);
    await page().account.load();
    expect(server.requests).toEqual([]);
  });

  test("the first write creates the account, and the next page loads it", async () => {
    const { account } = page();
    await account.load();
    expect(await account.ensure()).toEqual({ account_id: "account-1" });
    expect(account.status.value).toEqual({ kind: "member", me: { account_id: "account-1" } });
    const next = page();
    await next.account.load();
    expect(next.account.me.value).toEqual({ account_id: "account-1" });
    expect(server.requests).toEqual(["POST /api/me", "GET /api/me"]);
  });

  test("concurrent writes create one account", async () => {
    const { account } = page();
    await account.load();
    const [first, claim, second] = await Promise.all([
      account.ensure(),
      account.claim("ada"),
      account.ensure(),
    ]);
    expect(claim).toEqual({ ok: true });
    expect([first, second]).toEqual([{ account_id: "account-1" }, { account_id: "account-1" }]);
    expect(server.accounts.size).toBe(1);
    expect(account.me.value).toEqual({ account_id: "account-1", username: "ada" });
  });

  test("two pages that write at the same time create one account", async () => {
    const [left, right] = [page(), page()];
    await Promise.all([left.account.load(), right.account.load()]);
    const made = await Promise.all([left.account.ensure(), right.account.ensure()]);
    expect(made[0]).toEqual(made[1]);
    expect(server.accounts.size).toBe(1);
  });

  test("a page follows changes made by another page", async () => {
    const [left, right] = [page(), page()];
    await Promise.all([left.account.load(), right.account.load()]);
    await left.account.claim("ada");
    await vi.waitFor(() =>
      expect(right.account.me.value).toEqual({ account_id: "account-1", username: "ada" }),
    );
    await left.account.claim("adele");
    await vi.waitFor(() => expect(right.account.me.value?.username).toBe("adele"));
  });

  test("a failed write can be retried", async () => {
    const { account } = page();
    await account.load();
    server.gate = Promise.reject(new Error("no network"));
    await expect(account.ensure()).rejects.toThrow();
    server.gate = Promise.resolve();
    expect(await account.ensure()).toEqual({ account_id: "account-1" });
  });

  test("a rejected name creates no account, and an invalid one is never sent", async () => {
    const { account } = page();
    await account.load();
    server.accounts.set("other", { account_id: "other", username: "ada" });
    expect(await account.claim("ada")).toEqual({ ok: false, reason: "This name is taken." });
    expect(kind(account)).toBe("visitor");
    const sent = server.requests.length;
    expect(await account.claim("a/b")).toMatchObject({ ok: false });
    expect(server.requests).toHaveLength(sent);
  });

  test("a browser with data of an older version sends one request", async () => {
    server.make();
    profile.values.set("session", "s1");
    const { account } = page();
    await account.load();
    expect(account.me.value).toEqual({ account_id: "account-1" });

    profile = new Profile();
    profile.archives.add("account-9");
    server.cookie = undefined;
    server.requests.length = 0;
    const stranger = page();
    await stranger.account.load();
    await page().account.load();
    expect(kind(stranger.account)).toBe("visitor");
    expect(server.requests).toEqual(["GET /api/me"]);
  });
});

describe("an account that ends", () => {
  test("signed out: starting again leads to a visitor without a loop", async () => {
    const { id } = await member();
    server.accounts.clear();
    const { account } = page();
    await account.load();
    expect(account.status.value).toEqual({
      kind: "ended",
      ending: "signed-out",
      account: id,
      username: "ada",
    });
    await account.startOver();
    expect(profile.archives.size).toBe(0);
    server.requests.length = 0;
    const next = page();
    await next.account.load();
    expect(kind(next.account)).toBe("visitor");
    expect(server.requests).toEqual([]);
  });

  test("removed: any rejected request ends it, and starting over signs out", async () => {
    const { account, api, id } = await member();
    server.removed.add(server.cookie ?? "");
    await expect(api.sessions()).rejects.toThrow();
    await vi.waitFor(() => expect(kind(account)).toBe("ended"));
    expect(account.status.value).toMatchObject({
      ending: "removed",
      account: id,
      username: "ada",
    });
    await expect(account.ensure()).rejects.toThrow();
    expect(await account.claim("eve")).toMatchObject({ ok: false });
    expect(server.requests.slice(-2)).toEqual(["GET /api/sessions", "GET /api/me"]);
    expect(profile.archives.size).toBe(1);

    await account.startOver();
    expect(server.requests.at(-1)).toBe("POST /api/logout");
    expect(server.cookie).toBeUndefined();
    expect(profile.archives.size).toBe(0);
    const next = page();
    await next.account.load();
    expect(kind(next.account)).toBe("visitor");
  });

  test("removed: it stays ended across reloads until the user starts over", async () => {
    await member();
    server.removed.add(server.cookie ?? "");
    for (let reload = 0; reload < 2; reload += 1) {
      const { account } = page();
      await account.load();
      expect(account.status.value).toMatchObject({ kind: "ended", ending: "removed" });
    }
    expect(profile.archives.size).toBe(1);
  });

  test("removed: a 410 ends it immediately, even with a valid cookie", async () => {
    const { account, http } = await member();
    await expect(http.json("GET", "/api/tombstone")).rejects.toThrow();
    expect(account.status.value).toMatchObject({ kind: "ended", ending: "removed" });
  });

  test("removed: a visitor with a removed device's cookie ends at the first write", async () => {
    server.make();
    server.removed.add(server.cookie ?? "");
    const { account } = page();
    await account.load();
    await expect(account.ensure()).rejects.toThrow();
    expect(account.status.value).toMatchObject({
      kind: "ended",
      ending: "removed",
      account: undefined,
    });
  });

  test("a rejection from before a new cookie is ignored", async () => {
    const { account, api } = await member();
    const old = server.cookie ?? "";
    let open: () => void = () => undefined;
    server.gate = new Promise((resolve) => (open = resolve));
    const removal = account.replacingCookie(() => api.removeDevice("other")).catch(() => undefined);
    const late = api.sessions().catch((error: unknown) => error);
    server.removed.add(old);
    server.accounts.set("fresh", server.accounts.get(old) ?? { account_id: "" });
    open();
    await late;
    // The response to the removal sets the new cookie.
    server.cookie = "fresh";
    await removal;
    expect(await account.confirm()).toBe(true);
    expect(kind(account)).toBe("member");
  });

  test("an unreachable server does not end it", async () => {
    const { account } = await member();
    server.gate = Promise.reject(new Error("no network"));
    expect(await account.confirm()).toBe(true);
    expect(kind(account)).toBe("member");
  });

  test("starting over keeps an account that another page has created since", async () => {
    const { account } = await member();
    server.removed.add(server.cookie ?? "");
    await account.confirm();
    const other = page();
    await other.account.load();
    await other.account.startOver();
    const fresh = page();
    await fresh.account.load();
    const { account_id: begun } = await fresh.account.ensure();
    const cookie = server.cookie;
    await account.startOver();
    expect(server.cookie).toBe(cookie);
    expect(profile.values.get("account")).toBe(begun);
  });

  test("signing out in one page ends it in the others", async () => {
    const { account } = await member();
    const other = page();
    await other.account.load();
    await account.signOut(undefined);
    await vi.waitFor(() =>
      expect(other.account.status.value).toMatchObject({ ending: "signed-out" }),
    );
    expect(profile.archives.size).toBe(0);
  });

  test("a different account than before is reported", async () => {
    const { account } = await member();
    expect(account.replaced.value).toBe(false);
    server.accounts.clear();
    server.make();
    await account.confirm();
    expect(account.replaced.value).toBe(true);
    expect(profile.values.get("account")).toBe("account-2");
    const next = page();
    await next.account.load();
    expect(next.account.replaced.value).toBe(false);
    server.make();
    const last = page();
    await last.account.load();
    expect(last.account.replaced.value).toBe(true);
  });
});

describe("an account that is taken over by linking or recovery", () => {
  /** The server sets the cookie of an account that has a username. */
  const claim = () => {
    const me = { ...server.make(), username: "ada" };
    server.accounts.set(server.cookie ?? "", me);
    return Promise.resolve(me);
  };

  test("is remembered at once, and used once it is joined", async () => {
    const { account } = page();
    await account.load();
    const me = await account.take(claim);
    expect(account.status.value.kind).toBe("visitor");
    // A page that is reloaded now continues with it.
    const { account: reloaded } = page();
    await reloaded.load();
    expect(reloaded.me.value).toEqual(me);
    account.join(me);
    expect(account.me.value).toEqual(me);
    expect(account.replaced.value).toBe(false);
  });

  test("replaces an anonymous account without a warning", async () => {
    const { account } = page();
    await account.load();
    await account.ensure();
    const me = await account.take(claim);
    account.join(me);
    expect(account.me.value).toEqual(me);
    expect(account.replaced.value).toBe(false);
  });

  test("is dropped with its cookie", async () => {
    const { account } = page();
    await account.load();
    await account.take(claim);
    await account.drop();
    expect(server.cookie).toBeUndefined();
    expect(account.status.value.kind).toBe("visitor");
    const { account: reloaded } = page();
    await reloaded.load();
    expect(reloaded.status.value.kind).toBe("visitor");
  });

  test("is not remembered if the request fails", async () => {
    const { account } = page();
    await account.load();
    await expect(account.take(() => Promise.reject(new Error("lost")))).rejects.toThrow("lost");
    const { account: reloaded } = page();
    await reloaded.load();
    expect(reloaded.status.value.kind).toBe("visitor");
  });
});
