import { expect, test } from "vitest";
import {
  type DeviceLog,
  createAccountIdentity,
  rawSigningKey,
  readLog,
  signEntry,
  startLog,
} from "../../crypto";
import { historyOf } from "./device-history";

test("a device log says when and by which device each one was approved and removed", async () => {
  const { identity, publicKey } = await createAccountIdentity("ada");
  const keys = async () =>
    (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  const [laptop, phone, tablet] = [await keys(), await keys(), await keys()];
  let log: DeviceLog = startLog("ada", publicKey);
  const append = async (
    operation: "approve" | "remove",
    device: string,
    pair: CryptoKeyPair,
    signer: { device: string; key: CryptoKey },
  ) => {
    const key = await rawSigningKey(pair.publicKey);
    const entry = await signEntry(log, operation, device, key, log.version * 1000, signer);
    log = (await readLog("ada", publicKey, [...log.entries, entry])) ?? log;
  };
  const byIdentity = { device: "", key: identity.privateKey };
  await append("approve", "laptop", laptop, byIdentity);
  await append("approve", "phone", phone, { device: "laptop", key: laptop.privateKey });
  await append("approve", "tablet", tablet, byIdentity);
  await append("remove", "laptop", laptop, { device: "phone", key: phone.privateKey });
  expect(historyOf(log)).toEqual([
    {
      device: "laptop",
      approved: { time: 0, by: "first" },
      removed: { time: 3000, by: { device: "phone" } },
    },
    { device: "phone", approved: { time: 1000, by: { device: "laptop" } }, removed: undefined },
    { device: "tablet", approved: { time: 2000, by: "identity" }, removed: undefined },
  ]);
});
