// Disappearing messages: both people apply the latest change, and delete what has expired.

import { describe, expect, test } from "vitest";
import { browserArchives } from "../../platform/archive";
import { forged, headerOf } from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  deliveries,
  expectTexts,
  lastMessage,
  lines,
  openWith,
  problems,
  server,
  start,
  texts,
  until,
  warnings,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

const DAY = 86_400;
const WEEK = 604_800;
const lifetimes = (person: Person) =>
  lines(person).flatMap((line) => (line.kind === "lifetime" ? [[line.mine, line.seconds]] : []));
const current = ({ messenger }: Person) =>
  messenger.conversation.value?.record.lifetime?.seconds ?? 0;

async function everyone(people: Person[], seconds: number): Promise<void> {
  for (const person of people) await until(() => expect(current(person)).toBe(seconds));
}

describe("the lifetime of a conversation", () => {
  test("is set by either person for both, and stated in the header and to the server", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.setLifetime("bob", DAY);
    await until(() => expect(lifetimes(bob)).toEqual([[false, DAY]]));
    expect(lifetimes(ada)).toEqual([[true, DAY]]);
    await bob.messenger.write("For a day.");
    await expectTexts(ada, ["For a day."]);
    expect(lastMessage().lifetime).toBe(DAY);
    expect(headerOf(lastMessage().envelope).lifetime).toBe(DAY);
    await bob.messenger.setLifetime("ada", 0);
    await everyone([ada, bob], 0);
    await ada.messenger.write("For ever.");
    await expectTexts(bob, ["For a day.", "For ever."]);
    expect(lastMessage()).not.toHaveProperty("lifetime");
    for (const person of [ada, bob]) expect(warnings(person)).toEqual([]);
  });

  test("applies to messages written before it was sent, and survives a reload", async () => {
    const [ada, bob] = await adaAndBob();
    server.cut("ada");
    await ada.messenger.setLifetime("bob", WEEK);
    await ada.messenger.write("In a tunnel.");
    await ada.messenger.stop();
    const again = await start("ada");
    await openWith(again, "bob");
    await expectTexts(bob, ["In a tunnel."]);
    expect(headerOf(lastMessage().envelope).lifetime).toBe(WEEK);
    await everyone([again, bob], WEEK);
  });

  test("set by both at the same time: the later one applies for both", async () => {
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.setLifetime("bob", DAY);
    await until(() => expect(server.conversations.get("ada.bob")).toHaveLength(1));
    await bob.messenger.setLifetime("ada", WEEK);
    await until(() => expect(server.conversations.get("ada.bob")).toHaveLength(2));
    server.holdEvents = false;
    for (const person of ["ada", "bob"]) server.cut(person);
    server.clock.advance(60_000);
    await everyone([ada, bob], WEEK);
    await until(() => expect(lifetimes(bob)).toHaveLength(2));
    expect(current(bob)).toBe(WEEK);
  });

  test("rejected by the server: a later change of the other person still applies", async () => {
    const [ada, bob] = await adaAndBob();
    server.rejectSends = true;
    await ada.messenger.setLifetime("bob", DAY);
    await until(() => expect(lines(ada)).toMatchObject([{ failed: "rejected: not-found" }]));
    server.rejectSends = false;
    await bob.messenger.setLifetime("ada", WEEK);
    await everyone([ada, bob], WEEK);
  });

  test("changed by the server: the message is blocked", async () => {
    const [ada] = await adaAndBob();
    const real = await forged("bob", "bob", "For a day.", { position: { lifetime: DAY } });
    server.deliver("ada", { kind: "message", ...real, lifetime: WEEK });
    await until(() => expect(problems(ada)).toEqual(["misdirected"]));
    server.deliver("ada", { kind: "message", ...real, cid: "again", seq: 2 });
    await until(() => expect(problems(ada)).toEqual(["misdirected", "misdirected"]));
    expect(texts(ada)).toEqual([]);
  });
});

describe("a message with a lifetime", () => {
  /** Both have a message that lives for a day. */
  async function written(): Promise<[Person, Person]> {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.setLifetime("bob", DAY);
    await ada.messenger.write("For a day.");
    await expectTexts(bob, ["For a day."]);
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    return [ada, bob];
  }

  test("disappears for both when its time has passed", async () => {
    const people = await written();
    server.clock.advance(DAY * 1000 - 1);
    for (const person of people) expect(texts(person)).toEqual(["For a day."]);
    server.clock.advance(1);
    for (const person of people) await until(() => expect(texts(person)).toEqual([]));
    for (const { archive } of people) expect(await archive.latest("ada.bob", 10)).toEqual([]);
  });

  test("disappears at the next start if the page was closed", async () => {
    const [, bob] = await written();
    await bob.messenger.stop();
    server.clock.advance(DAY * 1000);
    const again = await start("bob");
    await openWith(again, "ada");
    expect(texts(again)).toEqual([]);
    expect(await again.archive.firstToExpire()).toBeUndefined();
  });

  test("is not deleted before it was sent", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.setLifetime("bob", DAY);
    await until(() => expect(current(bob)).toBe(DAY));
    server.rejectHandshakes = true;
    server.cut("ada");
    await ada.messenger.write("Written offline.");
    server.clock.advance(2 * DAY * 1000);
    await until(() => expect(texts(ada)).toEqual(["Written offline."]));
    expect(deliveries(ada)).toEqual(["sending"]);
  });

  test("counts from its arrival if the sender's clock is ahead", async () => {
    const [ada] = await adaAndBob();
    const now = server.clock.now();
    const message = await forged("bob", "bob", "From the future.", {
      writtenAt: now + 10 * DAY * 1000,
      position: { lifetime: DAY },
    });
    server.deliver("ada", { kind: "message", ...message, lifetime: DAY });
    await expectTexts(ada, ["From the future."]);
    expect((await ada.archive.firstToExpire())?.expires).toBe(now + DAY * 1000);
  });

  test("that has expired already is not stored, and leaves no gap", async () => {
    const [ada] = await adaAndBob();
    const old = await forged("bob", "bob", "Expired.", {
      writtenAt: server.clock.now() - 2 * DAY * 1000,
      position: { lifetime: DAY },
    });
    server.deliver("ada", { kind: "message", ...old, lifetime: DAY });
    await until(async () =>
      expect(await ada.archive.get("chains", ["ada.bob", "bob", "device-bob"])).toMatchObject({
        link: { counter: 1 },
      }),
    );
    expect(await ada.archive.latest("ada.bob", 10)).toEqual([]);
  });
});
