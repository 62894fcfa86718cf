// Rotation of this device's encryption key: when, in which order, and what happens to old keys.

import { beforeAll, describe, expect, test, vi } from "vitest";
import { type OwnKeys, createOwnKeys } from "../../crypto";
import { Api, Http } from "../../net";
import { TestClock } from "../../net/clock.testing";
import { browserArchives } from "../../platform/archive";
import type { DeviceKeys } from "../../protocol/wire";
import { Keyring } from "./keyring";
import {
  adaAndBob,
  expectTexts,
  openWith,
  server,
  start,
  until,
  warnings,
  withPeople,
} from "./person.testing";
import { Registration } from "./registration";
import { Rotation } from "./rotation";

withPeople(browserArchives);

const WEEK = 604_800;
const RETENTION = 3 * WEEK;
const limits = { key_rotation_seconds: WEEK, retention_seconds: RETENTION };

let first: OwnKeys;
beforeAll(async () => {
  first = await createOwnKeys("device-ada", new TestClock().now());
});

/** Ada's device, registered with a server that can be unreachable. */
async function arrange() {
  const archive = await browserArchives.open("ada");
  await archive.commit([{ table: "device", put: { id: "self", keys: first } }]);
  const clock = new TestClock();
  const sent: DeviceKeys[] = [];
  const network = { down: false, loseAnswers: false };
  const fetch = async (_: string, { body }: RequestInit): Promise<Response> => {
    if (network.down) throw new TypeError("network");
    sent.push(JSON.parse(String(body)) as DeviceKeys);
    if (network.loseAnswers) throw new TypeError("network");
    return new Response(null, { status: 204 });
  };
  const run = async () => {
    const record = await archive.get("device", "self");
    if (!record) throw new Error("the keys are stored");
    const keyring = new Keyring({ archive, clock, me: "ada" }, record);
    const registration = new Registration(new Api(new Http(fetch)), keyring);
    await registration.ensure().catch(() => false);
    const rotated = vi.fn();
    const rotation = new Rotation({ keyring, registration, clock, rotated });
    return { keyring, registration, rotation, rotated };
  };
  const generations = async () => {
    const keys = (await archive.get("device", "self"))?.keys;
    return [keys?.encryption.generation, ...(keys?.retired ?? []).map((key) => key.generation)];
  };
  const pass = (seconds: number) => clock.advance(seconds * 1000);
  return { archive, clock, sent, network, run, generations, pass };
}

describe("an encryption key", () => {
  test("is replaced when it is due, then registered", async () => {
    const { run, sent, generations, pass } = await arrange();
    const { rotation, rotated } = await run();
    pass(WEEK - 1);
    await rotation.follow(limits);
    expect(await generations()).toEqual([1]);
    pass(1);
    await rotation.follow(limits);
    expect(await generations()).toEqual([2, 1]);
    expect(sent.map(({ generation }) => generation)).toEqual([1, 2]);
    expect(sent[1]?.signing_key).toBe(sent[0]?.signing_key);
    expect(rotated).toHaveBeenCalledOnce();
    await rotation.stop();
  });

  test("is replaced by a timer while the page stays open", async () => {
    const { run, sent, pass } = await arrange();
    const { rotation } = await run();
    await rotation.follow(limits);
    pass(WEEK + 3600);
    await until(() => expect(sent.at(-1)?.generation).toBe(2));
    await rotation.stop();
    pass(2 * WEEK);
    expect(sent).toHaveLength(2);
  });

  test("is stored before it is registered: the request is repeated after a reload", async () => {
    const { run, sent, network, generations, pass, archive } = await arrange();
    const { rotation } = await run();
    pass(WEEK);
    network.loseAnswers = true;
    await rotation.follow(limits);
    await rotation.stop();
    expect(await generations()).toEqual([2, 1]);
    expect((await archive.get("device", "self"))?.unconfirmed).toBe(true);
    network.loseAnswers = false;
    pass(WEEK);
    const again = await run();
    expect(sent.at(-1)).toEqual(sent.at(-2));
    expect((await archive.get("device", "self"))?.unconfirmed).toBeUndefined();
    await again.rotation.stop();
  });

  test("that was replaced is deleted when the retention has passed since its registration", async () => {
    const { run, network, generations, pass } = await arrange();
    const { rotation, registration } = await run();
    pass(WEEK);
    network.down = true;
    await rotation.follow({ ...limits, key_rotation_seconds: 10 * WEEK });
    expect(await generations()).toEqual([1]);
    await rotation.follow(limits);
    expect(await generations()).toEqual([2, 1]);
    pass(2 * RETENTION);
    await rotation.follow({ ...limits, key_rotation_seconds: 100 * WEEK });
    expect(await generations()).toEqual([2, 1]);
    network.down = false;
    await registration.ensure();
    const slow = { ...limits, key_rotation_seconds: 100 * WEEK };
    pass(RETENTION - 1);
    await rotation.follow(slow);
    expect(await generations()).toEqual([2, 1]);
    pass(1);
    await rotation.follow(slow);
    expect(await generations()).toEqual([2]);
    await rotation.stop();
  });
});

test("messages for the previous key still open after a rotation, and nothing warns", async () => {
  const [ada, bob] = await adaAndBob();
  await bob.messenger.stop();
  server.rotation = WEEK;
  server.clock.advance(WEEK * 1000);
  const again = await start("bob");
  await until(() => expect(server.truth("bob").devices).toMatchObject([{ generation: 2 }]));
  await openWith(again, "ada");
  await ada.messenger.write("Hello.");
  await expectTexts(again, ["Hello."]);
  server.announce("bob");
  await ada.messenger.write("Again.");
  await expectTexts(again, ["Hello.", "Again."]);
  expect(again.messenger.keys.encryption.generation).toBe(2);
  for (const person of [ada, again]) expect(warnings(person)).toEqual([]);
});
