// Runs the Wycheproof vectors through the functions that the page uses. Has no dependency on a test
// framework: it runs in Node and in browsers.

import { type Bytes, equal } from "../bytes";
import { MalformedError } from "../canonical";
import { RSA, decrypt, encrypt, importMessageKey, isSigned, unwrap } from "../primitives";
import { importSigningKey, signingKeyOf } from "../signing-key";
import aesGcm from "./aes-gcm.json";
import ed25519 from "./ed25519.json";
import rsaOaep from "./rsa-oaep.json";

/** The result for one file of vectors. */
export interface Tally {
  accepted: number;
  rejected: number;
  /** One line for each vector with a wrong result. */
  readonly faults: string[];
}

export interface Tallies {
  readonly "AES-GCM": Tally;
  readonly "RSA-OAEP": Tally;
  readonly Ed25519: Tally;
}

/** Every vector of the files, as counted in README.md. RSA-OAEP: 8 valid ones have a label. */
export const EXPECTED: Tallies = {
  "AES-GCM": { accepted: 39, rejected: 29, faults: [] },
  "RSA-OAEP": { accepted: 18 - 8, rejected: 19 + 8, faults: [] },
  Ed25519: { accepted: 88, rejected: 63, faults: [] },
};

export async function runWycheproof(): Promise<Tallies> {
  return {
    "AES-GCM": await runAesGcm(),
    "RSA-OAEP": await runRsaOaep(),
    Ed25519: await runEd25519(),
  };
}

type Vector = { readonly tcId: number; readonly comment: string; readonly result: string };

async function runAesGcm(): Promise<Tally> {
  const tally = emptyTally();
  for (const vector of aesGcm.flatMap(({ tests }) => tests)) {
    const [raw, nonce, additional] = [vector.key, vector.iv, vector.aad].map(fromHex) as Three;
    const [plaintext, sealed] = [fromHex(vector.msg), fromHex(vector.ct + vector.tag)];
    await judge(tally, vector, vector.result === "valid", async () => {
      const opened = await decrypt(
        await importMessageKey(raw, "decrypt"),
        nonce,
        additional,
        sealed,
      );
      const again = await encrypt(
        await importMessageKey(raw, "encrypt"),
        nonce,
        additional,
        plaintext,
      );
      return equal(opened, plaintext) && equal(again, sealed);
    });
  }
  return tally;
}

type Three = [Bytes, Bytes, Bytes];

async function runRsaOaep(): Promise<Tally> {
  const tally = emptyTally();
  for (const { privateKeyPkcs8, tests } of rsaOaep) {
    const der = fromHex(privateKeyPkcs8);
    const key = await crypto.subtle.importKey("pkcs8", der, RSA, false, ["decrypt"]);
    for (const vector of tests) {
      const [wrapped, message, label] = [vector.ct, vector.msg, vector.label].map(fromHex) as Three;
      const hasLabel = label.length > 0;
      await judge(tally, vector, vector.result === "valid" && !hasLabel, async () =>
        equal(await unwrap(key, wrapped), message),
      );
      if (!hasLabel) continue;
      const opened = await crypto.subtle.decrypt({ ...RSA, label }, key, wrapped);
      if (!equal(new Uint8Array(opened), message))
        tally.faults.push(`${name(vector)}: a wrong result with its label`);
    }
  }
  return tally;
}

async function runEd25519(): Promise<Tally> {
  const tally = emptyTally();
  for (const { publicKeyDer, tests } of ed25519) {
    const raw = signingKeyOf(fromHex(publicKeyDer));
    if (!raw) throw new Error("expected the SPKI of an Ed25519 key");
    const key = await importSigningKey(raw);
    for (const vector of tests) {
      const [message, signature] = [fromHex(vector.msg), fromHex(vector.sig)];
      await judge(tally, vector, vector.result === "valid", async () => {
        if (!(await isSigned(key, signature, message))) throw new MalformedError("not signed");
        return true;
      });
    }
  }
  return tally;
}

/** Counts one vector. `attempt` returns whether the result is exact, or throws a rejection. */
async function judge(
  tally: Tally,
  vector: Vector,
  valid: boolean,
  attempt: () => Promise<boolean>,
): Promise<void> {
  if (vector.result !== "valid" && vector.result !== "invalid")
    tally.faults.push(`${name(vector)}: expected valid or invalid, found ${vector.result}`);
  try {
    const exact = await attempt();
    tally.accepted += 1;
    if (!valid) tally.faults.push(`${name(vector)}: accepted, expected a rejection`);
    else if (!exact) tally.faults.push(`${name(vector)}: a wrong result`);
  } catch (error) {
    tally.rejected += 1;
    if (valid) tally.faults.push(`${name(vector)}: rejected, expected a result: ${String(error)}`);
    else if (!isRejection(error)) tally.faults.push(`${name(vector)}: failed: ${String(error)}`);
  }
}

/** The error of a wrong input, not of a wrong call. */
function isRejection(error: unknown): boolean {
  if (error instanceof MalformedError) return true;
  return error instanceof DOMException && error.name === "OperationError";
}

const emptyTally = (): Tally => ({ accepted: 0, rejected: 0, faults: [] });

const name = ({ tcId, comment }: Vector) => `vector ${tcId} (${comment || "no comment"})`;

const fromHex = (text: string): Bytes =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
