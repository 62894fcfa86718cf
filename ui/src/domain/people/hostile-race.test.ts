// A hostile server changes a device list at the worst moment.

import { describe, expect, test, vi } from "vitest";
import { browserArchives } from "../../platform/archive";
import { GHOST, addGhost, numberOf, sentKeys } from "./hostile.testing";
import {
  type Person,
  adaAndBob,
  approve,
  expectTexts,
  notices,
  server,
  until,
  withPeople,
} from "./person.testing";

withPeople(browserArchives);

describe("a device list that changes at the worst moment", () => {
  test("between the check of a verified contact and the sealing: not encrypted for a new device", async () => {
    const [ada, bob] = await adaAndBob();
    await ada.messenger.decisions.verify("bob", await numberOf(ada, "bob"));
    const digest = crypto.subtle.digest.bind(crypto.subtle);
    let attacked = false;
    const spy = vi.spyOn(crypto.subtle, "digest").mockImplementation(async (algorithm, data) => {
      // The safety number is being computed: the list was read and is not used for sealing yet.
      if (algorithm === "SHA-512" && !attacked) {
        attacked = true;
        await addGhost("bob");
        await approve("bob", "ghost");
        await until(() => expect(notices(ada)).toContain("device-added"));
      }
      return digest(algorithm, data);
    });
    await ada.messenger.write("Only for the known device.");
    await expectTexts(bob, ["Only for the known device."]);
    spy.mockRestore();
    expect(attacked).toBe(true);
    expect(sentKeys()).toEqual(["device-ada", "device-bob"]);
    await ada.messenger.write("For both.");
    await expectTexts(bob, ["Only for the known device.", "For both."]);
    expect(sentKeys()).toEqual(["device-ada", "device-bob", GHOST]);
  });

  /** Holds the next read of Bob's record, as a slow disk would, until `release` is called. */
  function holdRead({ archive }: Person): { reached: Promise<void>; release: () => void } {
    const get = archive.get.bind(archive) as (table: string, key: unknown) => Promise<unknown>;
    let release: () => void = () => undefined;
    let reach: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const reached = new Promise<void>((resolve) => (reach = resolve));
    let held = false;
    vi.spyOn(archive, "get").mockImplementation((async (table: string, key: unknown) => {
      const record = await get(table, key);
      if (table !== "contacts" || key !== "bob" || held) return record;
      held = true;
      reach();
      await gate;
      return record;
    }) as never);
    return { reached, release };
  }

  const settled = (task: Promise<unknown>) =>
    Promise.race([task, new Promise((resolve) => setTimeout(resolve, 300))]);

  test("while the contact is marked as verified: the mark stays", async () => {
    const [ada] = await adaAndBob();
    const number = await numberOf(ada, "bob");
    const { directory } = ada.messenger;
    const { reached, release } = holdRead(ada);
    directory.forget("bob");
    const fetched = directory.contact("bob");
    await reached;
    directory.forget("bob");
    const verified = ada.messenger.decisions.verify("bob", number);
    await settled(verified);
    release();
    await Promise.all([fetched, verified]);
    expect((await ada.archive.get("contacts", "bob"))?.verified).toBe(number);
    expect(await directory.contact("bob")).toMatchObject({ verified: number });
  });

  test("while the contact is renamed: a new device stays pinned", async () => {
    const [ada, bob] = await adaAndBob();
    await bob.messenger.write("Hello.");
    await expectTexts(ada, ["Hello."]);
    const { directory } = ada.messenger;
    const { reached, release } = holdRead(ada);
    server.rename("bob", "robert");
    await reached;
    await addGhost("bob");
    directory.forget("bob");
    const fetched = directory.contact("bob");
    await settled(fetched);
    release();
    await fetched;
    await until(() => expect(notices(ada)).toContain("renamed"));
    const devices = (await ada.archive.get("contacts", "bob"))?.devices ?? [];
    expect(devices.map(({ device }) => device)).toEqual(["device-bob", GHOST]);
  });

  test("an older answer that arrives late does not replace a newer one", async () => {
    const [ada] = await adaAndBob();
    const { directory } = ada.messenger;
    const old = server.delayLists();
    directory.forget("bob");
    const late = directory.contact("bob");
    await addGhost("bob");
    directory.forget("bob");
    await directory.contact("bob");
    old.release();
    await late;
    const listed = (await directory.contact("bob")).devices.filter((device) => device.listed);
    expect(listed.map(({ device }) => device)).toEqual(["device-bob", GHOST]);
    expect((await ada.archive.get("contacts", "bob"))?.devices).toEqual(listed);
  });
});
