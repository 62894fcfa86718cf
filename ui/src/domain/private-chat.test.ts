// The states of the private chat: starting, a browser without keys, starting over, two tabs.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Api, Http } from "../net";
import { browserArchives } from "../platform/archive";
import { adopt } from "./people/enrolment";
import { approve, keysOf, logOf, server, start, withPeople } from "./people/person.testing";
import { PrivateChat } from "./private-chat";

withPeople(browserArchives);

const ME = { account_id: "ada", username: "ada" };
const chats: PrivateChat[] = [];

beforeEach(() => vi.stubGlobal("indexedDB", new IDBFactory()));
afterEach(async () => {
  await Promise.all(chats.splice(0).map((chat) => chat.stop()));
});

/** A browser profile with the cookie of Ada's account. */
function arrange() {
  const network = { down: false };
  const real = server.fetchAs("ada");
  const fetch = async (path: string, init: RequestInit) => {
    if (network.down) throw new TypeError("network");
    return real(path, init);
  };
  const tabs: { acquired: number; lost: (() => Promise<void>) | undefined } = {
    acquired: 0,
    lost: undefined,
  };
  const chat = new PrivateChat({
    api: new Api(new Http(fetch)),
    account: {
      confirm: async () => true,
      renamed: () => undefined,
      replacingCookie: <T>(request: () => Promise<T>) => request(),
    } as never,
    archives: browserArchives,
    clock: server.clock,
    random: () => 0,
    openSocket: server.socketAs("ada"),
    tabLock: {
      acquire: async (_, lost) => {
        tabs.acquired += 1;
        tabs.lost = lost;
        return tabs.acquired === 1 ? "acquired" : "other-tab";
      },
      released: () => new Promise(() => undefined),
    },
    checkSupport: async () => undefined,
  });
  chats.push(chat);
  const kind = () => chat.state.value.kind;
  return { chat, network, tabs, kind };
}

/** Ada's account has an identity and a device in another browser. */
async function withOtherDevice(): Promise<void> {
  const other = await start("ada", "ada-laptop");
  await other.messenger.stop();
}

test("the first browser of an account starts, and shows a recovery code", async () => {
  const { chat } = arrange();
  await chat.follow(ME);
  const state = chat.state.value;
  if (state.kind !== "running") throw new Error(`the state is ${state.kind}`);
  expect(state.messenger.recoveryCode.value).toBeDefined();
});

test("without the server at the first start: an error, and a retry works", async () => {
  const { chat, network, tabs, kind } = arrange();
  network.down = true;
  await chat.follow(ME);
  expect(chat.state.value).toMatchObject({ kind: "broken", trouble: { retry: true } });
  network.down = false;
  await chat.start(ME, true);
  expect(kind()).toBe("running");
  expect(tabs.acquired).toBe(1);
});

describe("a browser that lost its keys but not its cookie", () => {
  test("does not become a new device", async () => {
    await withOtherDevice();
    const { chat } = arrange();
    await chat.follow(ME);
    expect(chat.state.value).toMatchObject({ kind: "keys-lost", reason: "keys-lost" });
    await chat.follow(ME);
    expect(server.truth("ada").devices).toHaveLength(1);
  });

  test("starts after it was linked", async () => {
    await withOtherDevice();
    const { chat, kind, tabs } = arrange();
    await chat.follow(ME);
    await approve("ada", "ada-new", false, "ada-laptop");
    const archive = await browserArchives.open("ada");
    await adopt(archive, "ada", { keys: await keysOf("ada-new"), log: await logOf("ada") });
    archive.close();
    await chat.retry(ME);
    expect(kind()).toBe("running");
    expect(tabs.acquired).toBe(1);
  });

  test("starts over with a new identity, once the server can be reached", async () => {
    await withOtherDevice();
    const before = server.truth("ada").identity_key;
    const { chat, network, kind } = arrange();
    await chat.follow(ME);
    network.down = true;
    await expect(chat.startOver()).rejects.toThrow();
    expect(kind()).toBe("keys-lost");
    network.down = false;
    await chat.startOver();
    expect(kind()).toBe("running");
    expect(server.truth("ada").identity_key).not.toBe(before);
  });

  test("is left to another tab that takes over", async () => {
    await withOtherDevice();
    const { chat, tabs, kind } = arrange();
    await chat.follow(ME);
    await tabs.lost?.();
    expect(kind()).toBe("other-tab");
  });

  test("is stopped when the account ends", async () => {
    await withOtherDevice();
    const { chat, kind } = arrange();
    await chat.follow(ME);
    expect(await chat.stop()).toBeUndefined();
    expect(kind()).toBe("nameless");
    await browserArchives.destroy("ada");
  });
});

test("a sign-out signs this device's removal first", async () => {
  const { chat } = arrange();
  await chat.follow(ME);
  await chat.leave();
  const device = await chat.stop();
  expect((await logOf("ada")).devices.get(device ?? "")).toMatchObject({ removedIn: 2 });
});
