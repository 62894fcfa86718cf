// A hostile server answers one thing and delivers another, or drops messages.

import { describe, expect, test } from "vitest";
import { publicKeys, rotate } from "../../crypto";
import { browserArchives } from "../../platform/archive";
import type { Envelope } from "../../protocol/wire";
import { headerOf, lieAboutBob, listed } from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  deliveries,
  expectTexts,
  keysOf,
  lastMessage,
  lines,
  notices,
  problems,
  server,
  startLinked,
  until,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

describe("a message that the server rejects and delivers all the same", () => {
  /** Ada's message as sent, although the server answered that it was rejected. */
  async function rejectedButKept(ada: Person): Promise<Envelope> {
    server.rejectSends = true;
    await ada.messenger.write("Rejected?");
    await until(() => expect(deliveries(ada)).toEqual(["failed"]));
    server.rejectSends = false;
    const { request } = server.frames.at(-1) ?? {};
    if (request?.type !== "send") throw new Error("nothing was sent");
    return request.envelope;
  }

  const at = new Date(1_800_000_000_000).toISOString();
  const kept = (envelope: Envelope) => ({ ...headerOf(envelope), envelope });

  test("its counter is not used again: both messages are shown, without a replay", async () => {
    const [ada, bob] = await adaAndBob();
    const { cid, counter, envelope } = kept(await rejectedButKept(ada));
    const from = { conversation: "ada.bob", sender: "ada", device: "device-ada", at };
    const message = { ...from, seq: 1, cid, envelope };
    server.conversations.set("ada.bob", [message]);
    server.deliver("bob", { kind: "message", ...message });
    await expectTexts(bob, ["Rejected?"]);
    await ada.messenger.write("The next one.");
    await expectTexts(bob, ["Rejected?", "The next one."]);
    expect(kept(lastMessage().envelope).counter).toBe(counter + 1);
    expect(lines(bob)).toMatchObject([{ warnings: [] }, { warnings: [] }]);
  });

  test("the sender sees that it was delivered", async () => {
    const [ada] = await adaAndBob();
    const { cid, envelope } = kept(await rejectedButKept(ada));
    const message = { conversation: "ada.bob", sender: "ada", device: "device-ada", at };
    server.deliver("ada", { kind: "message", ...message, seq: 1, cid, envelope });
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    expect(lines(ada)).toMatchObject([{ failed: undefined }]);
  });
});

describe("a dropped message before one that cannot be opened", () => {
  const gap = [{ kind: "gap", missing: 1 }];

  test("not for this device, because the server hid it from the sender: the gap is shown", async () => {
    const [ada, bob] = await adaAndBob();
    const phone = await startLinked("bob", "bob-phone");
    await phone.messenger.stop();
    server.holdEvents = true;
    await ada.messenger.write("Dropped.");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    server.inboxes.get("bob")?.pop();
    server.holdEvents = false;
    lieAboutBob({ devices: [await listed("bob", "bob-phone")] });
    await until(() => expect(notices(ada)).toContain("device-unlisted"));
    await ada.messenger.write("Not for Bob's device.");
    await until(() => expect(problems(bob)).toEqual(["not-for-this-device"]));
    expect(lines(bob).find(({ kind }) => kind === "problem")).toMatchObject({ warnings: gap });
  });

  test("encrypted for a key that this device no longer has: the gap is shown", async () => {
    const lost = await rotate(await keysOf("bob"), server.clock.now());
    const [real] = server.truth("bob").devices;
    const devices = [
      { ...(await listed("bob", "bob")), ...real, ...(await publicKeys(lost, "bob")) },
    ];
    server.lie("ada", "bob", { devices });
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.write("Dropped.");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    server.inboxes.set("bob", []);
    server.holdEvents = false;
    await ada.messenger.write("For the lost key.");
    await until(() => expect(problems(bob)).toEqual(["undecryptable"]));
    expect(lines(bob)).toMatchObject([{ warnings: gap }]);
  });
});
