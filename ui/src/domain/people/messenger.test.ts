// Private chat end to end, against an in-memory server that can misbehave.

import { describe, expect, test } from "vitest";
import { browserArchives } from "../../platform/archive";
import { CLOSE } from "../../protocol/wire";
import {
  adaAndBob,
  deliveries,
  expectTexts,
  lastMessage,
  lines,
  notices,
  openWith,
  problems,
  server,
  start,
  startLinked,
  texts,
  until,
  warnings,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

describe("two people", () => {
  test("read each other's messages in order, and the server cannot", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("The heron lands at noon.");
    await ada.messenger.write("Keep it secret.");
    await expectTexts(bob, ["The heron lands at noon.", "Keep it secret."]);
    await bob.messenger.write("Understood.");
    await expectTexts(ada, ["The heron lands at noon.", "Keep it secret.", "Understood."]);
    const seen = JSON.stringify([server.frames, [...server.conversations], [...server.inboxes]]);
    expect(seen).toContain("rsa-aes-1");
    for (const secret of ["heron", "secret", "Understood"]) expect(seen).not.toContain(secret);
  });

  test("see the delivery state of their messages", async () => {
    const [ada] = await adaAndBob();
    await ada.messenger.write("Hello?");
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    const receipt = { kind: "receipt", conversation: "ada.bob", account: "bob", upto: 1 } as const;
    server.deliver("ada", { ...receipt, state: "received" });
    await until(() => expect(deliveries(ada)).toEqual(["received"]));
    server.deliver("ada", { ...receipt, state: "read" });
    await until(() => expect(deliveries(ada)).toEqual(["read"]));
  });

  test("store their history encrypted", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("The heron lands at noon.");
    await expectTexts(bob, ["The heron lands at noon."]);
    for (const { archive } of [ada, bob]) {
      const [record] = await archive.latest("ada.bob", 10);
      expect(record?.body.kind).toBe("text");
      expect(Buffer.from(JSON.stringify(record)).toString("latin1")).not.toContain("heron");
    }
  });

  test("resume where they left off", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Before.");
    await expectTexts(bob, ["Before."]);
    await bob.messenger.stop();
    await ada.messenger.write("While you were away.");
    await until(() => expect(deliveries(ada)).toEqual(["sent", "sent"]));
    const again = await start("bob");
    await openWith(again, "ada");
    await expectTexts(again, ["Before.", "While you were away."]);
    expect(
      server.frames
        .filter(({ account, request }) => account === "bob" && request.type === "hello")
        .at(-1),
    ).toEqual({
      account: "bob",
      request: expect.objectContaining({ resume: expect.any(Number) as number }) as unknown,
    });
  });

  test("acknowledge after a reload what the page before it only stored", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Just before the reload.");
    await expectTexts(bob, ["Just before the reload."]);
    await bob.messenger.stop();
    const acknowledged = () =>
      server.frames.flatMap(({ account, request }) =>
        account === "bob" && request.type === "received" ? [request.upto] : [],
      );
    expect(acknowledged()).toEqual([]);
    await start("bob");
    await until(() => {
      server.clock.advance(200);
      expect(acknowledged()).toEqual([server.inboxes.get("bob")?.length]);
    });
  });

  test("sync by pages when the server cannot replay a gap, without duplicates", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    server.holdEvents = true;
    await ada.messenger.write("Two.");
    await until(() => expect(deliveries(ada)).toEqual(["sent", "sent"]));
    server.recovers = false;
    server.cut("bob");
    server.clock.advance(60_000);
    await expectTexts(bob, ["One.", "Two."]);
  });
});

describe("the outbox", () => {
  test("resends the same envelope with the same cid until it is acknowledged", async () => {
    const [ada, bob] = await adaAndBob();
    server.loseAnswers = true;
    server.holdEvents = true;
    await ada.messenger.write("Did you get this?");
    await until(() => expect(ada.messenger.connection.value.kind).toBe("waiting"));
    await until(() => expect(deliveries(ada)).toEqual(["sending"]));
    server.loseAnswers = false;
    server.inboxes.set("ada", []);
    server.clock.advance(60_000);
    await until(() => expect(deliveries(ada)).toEqual(["sent"]));
    const sends = server.frames.flatMap(({ request }) =>
      request.type === "send" ? [request] : [],
    );
    expect(sends).toHaveLength(2);
    expect(sends[1]).toEqual(sends[0]);
    server.holdEvents = false;
    server.cut("bob");
    server.clock.advance(60_000);
    await expectTexts(bob, ["Did you get this?"]);
  });

  test("survives a reload", async () => {
    const [ada, bob] = await adaAndBob();
    server.cut("ada");
    await ada.messenger.write("Written in a tunnel.");
    await until(() => expect(deliveries(ada)).toEqual(["sending"]));
    await ada.messenger.stop();
    const again = await start("ada");
    await openWith(again, "bob");
    await expectTexts(bob, ["Written in a tunnel."]);
    await until(() => expect(deliveries(again)).toEqual(["sent"]));
  });

  test("marks a permanently rejected message as failed, and the next one shows the gap", async () => {
    const [ada, bob] = await adaAndBob();
    server.rejectSends = true;
    await ada.messenger.write("Rejected.");
    await until(() => expect(deliveries(ada)).toEqual(["failed"]));
    server.rejectSends = false;
    await ada.messenger.write("Accepted.");
    await expectTexts(bob, ["Accepted."]);
    expect(lines(bob)).toMatchObject([{ kind: "text", warnings: [{ kind: "gap", missing: 1 }] }]);
  });
});

describe("a server that misbehaves", () => {
  test("has another envelope under a message's cid: the message is marked as failed", async () => {
    const [ada] = await adaAndBob();
    server.holdEvents = true;
    server.loseAnswers = true;
    await ada.messenger.write("Exchanged.");
    const messages = () => server.conversations.get("ada.bob") ?? [];
    await until(() => expect(messages()).toHaveLength(1));
    await until(() => expect(ada.messenger.connection.value.kind).toBe("waiting"));
    for (const message of messages()) {
      message.envelope = { ...message.envelope, ciphertext: "AAAA" };
    }
    server.inboxes.set("ada", []);
    server.loseAnswers = false;
    server.clock.advance(60_000);
    await until(() => expect(deliveries(ada)).toEqual(["failed"]));
  });

  test("drops a message: the next one has a gap warning", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("One.");
    await expectTexts(bob, ["One."]);
    const inbox = server.inboxes.get("bob");
    server.holdEvents = true;
    await ada.messenger.write("Two.");
    await until(() => expect(inbox).toHaveLength(2));
    inbox?.pop();
    server.holdEvents = false;
    await ada.messenger.write("Three.");
    await expectTexts(bob, ["One.", "Three."]);
    expect(lines(bob).at(-1)).toMatchObject({ warnings: [{ kind: "gap", missing: 1 }] });
  });

  test("replays a message with another cid: rejected, nothing shown", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.write("Yes.");
    await expectTexts(bob, ["Yes."]);
    server.deliver("bob", { kind: "message", ...lastMessage(), seq: 2, cid: "another" });
    await until(() => expect(problems(bob)).toEqual(["misdirected"]));
    server.deliver("bob", { kind: "message", ...lastMessage() });
    await ada.messenger.write("No.");
    await expectTexts(bob, ["Yes.", "No."]);
  });

  test("alters a message: rejected, nothing shown", async () => {
    const [ada, bob] = await adaAndBob();
    server.holdEvents = true;
    await ada.messenger.write("Pay Bob.");
    await until(() => expect(server.inboxes.get("bob")).toHaveLength(1));
    const { envelope } = lastMessage();
    const ciphertext = `${envelope.ciphertext.startsWith("A") ? "B" : "A"}${envelope.ciphertext.slice(1)}`;
    server.inboxes.set("bob", [
      { kind: "message", ...lastMessage(), envelope: { ...envelope, ciphertext } },
    ]);
    server.cut("bob");
    server.clock.advance(60_000);
    await until(() => expect(problems(bob)).toEqual(["forged"]));
    expect(texts(bob)).toEqual([]);
  });
});

describe("a second device", () => {
  test("reads new messages and those the first device sends, not old ones", async () => {
    const [ada, bob] = await adaAndBob();
    await bob.messenger.write("Before the phone.");
    await expectTexts(ada, ["Before the phone."]);
    const phone = await startLinked("ada", "ada-phone");
    await openWith(phone, "bob");
    await until(() => expect(problems(phone)).toEqual(["not-for-this-device"]));
    await until(() => expect(notices(bob)).toContain("device-added"));
    await until(() => expect(ada.messenger.ownChanges.value?.added).toEqual(["device-ada-phone"]));
    await bob.messenger.write("To both.");
    await expectTexts(phone, ["To both."]);
    await expectTexts(ada, ["Before the phone.", "To both."]);
    await ada.messenger.write("From the laptop.");
    await expectTexts(phone, ["To both.", "From the laptop."]);
    expect(lines(phone).at(-1)).toMatchObject({ mine: true, warnings: [] });
    await phone.messenger.write("From the phone.");
    await expectTexts(bob, [
      "Before the phone.",
      "To both.",
      "From the laptop.",
      "From the phone.",
    ]);
    for (const person of [ada, bob, phone]) expect(warnings(person)).toEqual([]);
  });
});

describe("a connection that the server closes permanently", () => {
  test("reconnects if the account is still valid", async () => {
    const ada = await start("ada");
    server.cut("ada", CLOSE.revoked);
    await until(() => expect(ada.messenger.connection.value.kind).toBe("waiting"));
    expect(ada.accountCheck.count).toBe(1);
    server.clock.advance(1);
    await until(() => expect(ada.messenger.connection.value.kind).toBe("online"));
  });

  test("stays closed if the account is gone", async () => {
    const ada = await start("ada");
    ada.accountCheck.valid = false;
    server.cut("ada", CLOSE.revoked);
    await until(() => expect(ada.accountCheck.count).toBe(1));
    expect(ada.messenger.connection.value).toEqual({ kind: "ended", code: CLOSE.revoked });
  });

  test("checks the account after a failed handshake, because browsers hide the reason", async () => {
    const ada = await start("ada");
    server.rejectHandshakes = true;
    server.cut("ada");
    expect(ada.accountCheck.count).toBe(0);
    server.clock.advance(0);
    await until(() => expect(ada.accountCheck.count).toBe(1));
  });

  test("reconnects without a check after a new cookie", async () => {
    const ada = await start("ada");
    server.cut("ada", CLOSE.cookieReplaced);
    expect(ada.messenger.connection.value.kind).toBe("waiting");
    server.clock.advance(1);
    await until(() => expect(ada.messenger.connection.value.kind).toBe("online"));
    expect(ada.accountCheck.count).toBe(0);
  });
});

describe("a device that was removed", () => {
  test("never registers again", async () => {
    const ada = await start("ada");
    server.removed.add("device-ada");
    server.devices.set("ada", []);
    server.cut("ada");
    const hellos: string[] = [];
    ada.messenger.connection.subscribe(({ kind }) => void hellos.push(kind));
    const attempts = () => hellos.filter((kind) => kind === "connecting").length;
    const attempt = async (count: number) => {
      await until(() => {
        if (ada.messenger.connection.value.kind === "waiting") server.clock.advance(1);
        expect(attempts()).toBeGreaterThanOrEqual(count);
      });
    };
    await attempt(3);
    expect(ada.messenger.trouble.value).toMatchObject({ type: "device-removed" });
    const registrations = server.registrations;
    await attempt(6);
    expect(server.registrations).toBe(registrations);
  });
});
