// The whole page without a view: which requests it sends, and when.

import { expect, test, vi } from "vitest";
import { TestClock } from "../net/clock.testing";
import type { Me } from "../protocol/wire";
import { Gatehouse } from "./gatehouse";
import type { Missing } from "./ports";

const UNAUTHENTICATED = { type: "unauthenticated", title: "No account", status: 401 };
const REMOVED = { type: "device-removed", title: "Removed", status: 401 };

/** A server that creates an account with `POST /api/me` and rejects everyone else. */
function arrange() {
  const requests: string[] = [];
  const values = new Map<string, string>();
  const server: { me: Me | undefined; removed: boolean } = { me: undefined, removed: false };
  const locked: string[] = [];
  const browser: { missing: Missing | undefined } = { missing: undefined };
  const opened: string[] = [];
  const fetch = async (path: string, { method }: RequestInit): Promise<Response> => {
    const request = `${method} ${path}`;
    requests.push(request);
    if (request === "GET /api/models")
      return Response.json({ models: [{ id: "demo", demo: true }] });
    if (server.removed) return Response.json(REMOVED, { status: 401 });
    if (request === "POST /api/me") server.me ??= { account_id: "account-1" };
    if (!server.me) return Response.json(UNAUTHENTICATED, { status: 401 });
    if (path === "/api/me") return Response.json(server.me);
    if (path === "/api/sessions") return Response.json({ sessions: [] });
    return new Response(
      'id: 1\nevent: run.completed\ndata: {"message":{"id":"m","content":"Yes.","created_at":""}}\n\n',
    );
  };
  const gatehouse = new Gatehouse({
    fetch,
    openSocket: () => ({ send: () => undefined, close: () => undefined }),
    clock: new TestClock(),
    random: () => 0,
    archives: {
      open: (account) => {
        opened.push(account);
        return Promise.reject(new Error("no archive is opened here"));
      },
      destroy: async () => undefined,
      list: async () => [],
    },
    settings: {
      get: (name) => values.get(name),
      set: (name, value) =>
        void (value === undefined ? values.delete(name) : values.set(name, value)),
      observe: () => undefined,
    },
    tabLock: {
      acquire: async (name) => {
        locked.push(name);
        return "other-tab";
      },
      released: () => new Promise(() => undefined),
    },
    exclusive: (_, task) => task(),
    checkSupport: async () => browser.missing,
  });
  return { gatehouse, requests, values, server, locked, browser, opened };
}

test("a visitor sees models and an empty list, and no request fails", async () => {
  const { gatehouse, requests } = arrange();
  await gatehouse.start();
  expect(requests).toEqual(["GET /api/models"]);
  expect(gatehouse.assistant.sessions.value).toEqual([]);
  expect(gatehouse.assistant.trouble.value).toBeUndefined();
  expect(gatehouse.privateChat.state.value.kind).toBe("nameless");
  gatehouse.assistant.open("another-account");
  expect(gatehouse.assistant.chatSession.value?.state.value.phase).toBe("ready");
  expect(requests).toEqual(["GET /api/models"]);
});

test("the first question creates the account, then asks", async () => {
  const { gatehouse, requests } = arrange();
  await gatehouse.start();
  gatehouse.assistant.begin();
  gatehouse.assistant.ask("Well?");
  await vi.waitFor(() =>
    expect(gatehouse.assistant.chatSession.value?.state.value.messages.at(-1)).toMatchObject({
      content: "Yes.",
    }),
  );
  const writes = requests.filter((request) => request.startsWith("POST"));
  expect(writes).toEqual(["POST /api/me", "POST /api/chat"]);
  expect(gatehouse.account.me.value).toEqual({ account_id: "account-1" });
});

test("an account that ends stops the private chat", async () => {
  const { gatehouse, server, values, locked } = arrange();
  server.me = { account_id: "account-1", username: "ada" };
  values.set("account", "account-1");
  await gatehouse.start();
  await vi.waitFor(() => expect(gatehouse.privateChat.state.value.kind).toBe("other-tab"));
  server.removed = true;
  await gatehouse.assistant.refresh();
  await vi.waitFor(() =>
    expect(gatehouse.account.status.value).toMatchObject({ ending: "removed" }),
  );
  expect(gatehouse.privateChat.state.value.kind).toBe("nameless");
  expect(locked).toEqual(["account-1"]);
});

test("a browser that cannot keep keys is reported before an archive is opened", async () => {
  const { gatehouse, server, values, browser, locked, opened } = arrange();
  browser.missing = "key-storage";
  server.me = { account_id: "account-1", username: "ada" };
  values.set("account", "account-1");
  await gatehouse.start();
  await vi.waitFor(() =>
    expect(gatehouse.privateChat.state.value).toEqual({
      kind: "unsupported",
      missing: "key-storage",
    }),
  );
  expect([locked, opened]).toEqual([[], []]);
});

test("a visitor with an old browser sees what is missing before choosing a username", async () => {
  const { gatehouse, requests, browser } = arrange();
  await gatehouse.start();
  await gatehouse.privateChat.inspect();
  expect(gatehouse.privateChat.state.value.kind).toBe("nameless");
  browser.missing = "ed25519";
  await gatehouse.privateChat.inspect();
  expect(gatehouse.privateChat.state.value).toEqual({ kind: "unsupported", missing: "ed25519" });
  expect(requests).toEqual(["GET /api/models"]);
});
