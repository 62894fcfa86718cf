// A name moves to another account, on a server that announces it and on one that does not.

import { describe, expect, test } from "vitest";
import { browserArchives } from "../../platform/archive";
import { UnknownAccountError } from "./messenger";
import {
  type Person,
  adaAndBob,
  expectTexts,
  lines,
  notices,
  openWith,
  server,
  start,
  until,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

describe("a name that moves to another account", () => {
  const robertWasBob = { kind: "notice", notice: "renamed", from: "bob", to: "robert" };

  /** Bob renames himself to Robert, and Mallory to Bob. */
  async function exchangeNames(): Promise<{ ada: Person; bob: Person; mallory: Person }> {
    const [ada, bob] = await adaAndBob();
    const mallory = await start("mallory");
    await ada.messenger.write("Is it you?");
    await expectTexts(bob, ["Is it you?"]);
    ada.messenger.close();
    server.rename("bob", "robert");
    server.rename("mallory", "bob");
    return { ada, bob, mallory };
  }

  test("messages in a conversation still go to the same person", async () => {
    const { ada, bob } = await exchangeNames();
    await ada.messenger.open(ada.messenger.summaries.value?.[0]?.conversation.peer ?? "");
    await ada.messenger.write("Then meet me at noon.");
    await expectTexts(bob, ["Is it you?", "Then meet me at noon."]);
    expect(server.conversations.has("ada.mallory")).toBe(false);
    const sends = server.frames.flatMap(({ request }) =>
      request.type === "send" ? [request.to] : [],
    );
    expect(sends).toEqual(["bob", "bob"]);
  });

  test("the conversation shows the new name and a permanent notice", async () => {
    const { ada } = await exchangeNames();
    await until(() =>
      expect(ada.messenger.summaries.value?.[0]?.conversation.username).toBe("robert"),
    );
    await openWith(ada, "bob");
    expect(ada.messenger.conversation.value?.record).toMatchObject({
      username: "robert",
      formerly: ["bob"],
    });
    expect(lines(ada).at(-1)).toMatchObject(robertWasBob);
    await ada.messenger.stop();
    server.rename("bob", "bert");
    const again = await start("ada");
    await openWith(again, "bob");
    await until(() => expect(notices(again)).toEqual(["renamed", "renamed"]));
    expect(lines(again).filter(({ kind }) => kind === "notice")).toMatchObject([
      robertWasBob,
      { notice: "renamed", from: "robert", to: "bert" },
    ]);
    expect(await again.archive.get("contacts", "bob")).toMatchObject({ username: "bert" });
  });

  test("finding the old name returns the contact who was known by it", async () => {
    const { ada } = await exchangeNames();
    const known = { peer: "bob", username: "robert" };
    await until(async () =>
      expect((await ada.messenger.find("Bob")).namesake).toMatchObject(known),
    );
    expect((await ada.messenger.find("bob")).user).toEqual({
      account_id: "mallory",
      username: "bob",
    });
    expect(await ada.messenger.find("robert")).toEqual({
      user: { account_id: "bob", username: "robert" },
      namesake: undefined,
    });
    await openWith(ada, "mallory");
    expect(ada.messenger.conversation.value?.namesake).toMatchObject(known);
  });

  test("a server that hides the rename cannot pass off a stranger", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Is it you?");
    await expectTexts(bob, ["Is it you?"]);
    server.names.set("bob", "stranger");
    server.names.set("mallory", "bob");
    const { user, namesake } = await ada.messenger.find("bob");
    expect(user.account_id).toBe("mallory");
    expect(namesake).toMatchObject({ peer: "bob" });
  });

  test("a missed rename is noticed once, with the next device list", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Hello.");
    await expectTexts(bob, ["Hello."]);
    server.names.set("bob", "robert");
    await openWith(ada, "bob");
    await until(() => expect(notices(ada)).toEqual(["renamed"]));
    server.deliver("ada", { kind: "renamed", account: "bob", username: "robert", previous: "bob" });
    await bob.messenger.write("Still me.");
    await expectTexts(ada, ["Hello.", "Still me."]);
    expect(notices(ada)).toEqual(["renamed"]);
  });

  test("a new name of this account is reported", async () => {
    const [ada] = await adaAndBob();
    server.rename("ada", "adele");
    await until(() => expect(ada.renames).toEqual(["adele"]));
  });

  test("an unknown account cannot be opened", async () => {
    const ada = await start("ada");
    server.names.delete("ghost");
    await expect(ada.messenger.open("ghost")).rejects.toBeInstanceOf(UnknownAccountError);
  });
});
