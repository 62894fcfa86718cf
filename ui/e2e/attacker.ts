// A hostile server, played by the browser's network layer: it changes the device lists that one
// person receives, and tries to read what that person sends.

import type { Page } from "@playwright/test";
import type { Device, DeviceList, Envelope } from "../src/protocol/wire";
import type { Frame } from "./watch";

const RSA = { name: "RSA-OAEP", hash: "SHA-256" };

export class Attacker {
  readonly #encryption: CryptoKeyPair;
  readonly #signing: CryptoKeyPair;

  private constructor(encryption: CryptoKeyPair, signing: CryptoKeyPair) {
    this.#encryption = encryption;
    this.#signing = signing;
  }

  static async create(): Promise<Attacker> {
    const rsa = { ...RSA, modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
    return new Attacker(
      await crypto.subtle.generateKey(rsa, true, ["encrypt", "decrypt"]),
      (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair,
    );
  }

  /** From now on, `page` receives a list of this account with one more device: the attacker's. */
  async addGhost(page: Page, account: string): Promise<void> {
    await this.#change(page, account, async (devices) => [
      ...devices,
      await this.#own({ ...first(devices), device: "ghost" }),
    ]);
  }

  /** From now on, `page` receives the attacker's keys for each device of this account. */
  async exchangeKeys(page: Page, account: string): Promise<void> {
    await this.#change(page, account, (devices) =>
      Promise.all(devices.map((device) => this.#own(device))),
    );
  }

  /** From now on, `page` receives what the server lists. */
  async stop(page: Page, account: string): Promise<void> {
    await page.unroute(listOf(account));
  }

  /** Whether one of the sent frames contains a message key that the attacker can unwrap. */
  async canRead(frames: readonly Frame[]): Promise<boolean> {
    const wrapped = frames
      .filter(({ direction }) => direction === "sent")
      .flatMap(({ text }) => envelopesIn(JSON.parse(text)))
      .flatMap(({ keys }) => keys.map(({ key }) => Buffer.from(key, "base64url")));
    const opened = wrapped.map((key) =>
      crypto.subtle.decrypt(RSA, this.#encryption.privateKey, key).then(
        () => true,
        () => false,
      ),
    );
    return (await Promise.all(opened)).includes(true);
  }

  /** A frame that the attacker can read, to test `canRead`. */
  async readableFrame(): Promise<Frame> {
    const key = new Uint8Array(32);
    const wrapped = await crypto.subtle.encrypt(RSA, this.#encryption.publicKey, key);
    const keys = [{ device: "ghost", key: Buffer.from(wrapped).toString("base64url") }];
    return { direction: "sent", text: JSON.stringify({ do: { envelope: { keys } } }) };
  }

  async #own(device: Device): Promise<Device> {
    const spki = async ({ publicKey }: CryptoKeyPair) =>
      Buffer.from(await crypto.subtle.exportKey("spki", publicKey)).toString("base64url");
    return {
      ...device,
      encryption_key: await spki(this.#encryption),
      signing_key: await spki(this.#signing),
    };
  }

  async #change(
    page: Page,
    account: string,
    change: (devices: Device[]) => Promise<Device[]>,
  ): Promise<void> {
    await page.route(listOf(account), async (route) => {
      const response = await route.fetch();
      const list = (await response.json()) as DeviceList;
      await route.fulfill({ response, json: { ...list, devices: await change(list.devices) } });
    });
  }
}

const listOf = (account: string) => `**/api/accounts/${account}/devices`;

function first(devices: readonly Device[]): Device {
  const [device] = devices;
  if (!device) throw new Error("the account has no device");
  return device;
}

/** Every envelope in a frame, wherever it is. */
function envelopesIn(value: unknown): Pick<Envelope, "keys">[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.values(value).flatMap(envelopesIn);
  return "keys" in value && Array.isArray(value.keys)
    ? [value as Pick<Envelope, "keys">, ...inner]
    : inner;
}
