// A name passes from one person to another, on a server that tells and on one that does not.

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

describe("a name that passes from one person to another", () => {
  const robertWasBob = { kind: "notice", notice: "renamed", from: "bob", to: "robert" };

  /** Bob becomes Robert, and Mallory becomes Bob. */
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

  test("what is written in a conversation goes to the person it was with", async () => {
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

  test("the conversation shows the new name, and a line about the change that stays", async () => {
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

  test("a look-up by the old name says who was known by it, whether or not the rename was heard", async () => {
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

  test("a server that keeps the rename to itself cannot pass a stranger off", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Is it you?");
    await expectTexts(bob, ["Is it you?"]);
    server.names.set("bob", "somebody");
    server.names.set("mallory", "bob");
    const { user, namesake } = await ada.messenger.find("bob");
    expect(user.account_id).toBe("mallory");
    expect(namesake).toMatchObject({ peer: "bob" });
  });

  test("a rename that was missed is noticed with the next list of keys, once", async () => {
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

  test("the own account's new name is passed on", async () => {
    const [ada] = await adaAndBob();
    server.rename("ada", "adele");
    await until(() => expect(ada.renames).toEqual(["adele"]));
  });

  test("an account that nobody has cannot be opened", async () => {
    const ada = await start("ada");
    server.names.delete("ghost");
    await expect(ada.messenger.open("ghost")).rejects.toBeInstanceOf(UnknownAccountError);
  });
});
