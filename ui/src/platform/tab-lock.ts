// Whose turn it is among the pages of one browser profile: a Web Lock, and a channel to ask for it politely.

import type { TabLock } from "../domain/ports";

/** A page that does not answer (frozen, perhaps) loses its turn after so many milliseconds. */
const PATIENCE = 3_000;

/** A page that is being reloaded lets go of its turn well within so many milliseconds. */
const SETTLED = 1_000;

export const browserTabLock: TabLock = {
  async acquire(name, lost, insist) {
    const lock = lockOf(name);
    const channel = new BroadcastChannel(lock);
    if (await hold(lock, channel, { ifAvailable: true }, lost)) return "taken";
    if (await hold(lock, channel, { signal: AbortSignal.timeout(SETTLED) }, lost)) return "taken";
    if (!insist) {
      channel.close();
      return "other-tab";
    }
    channel.postMessage("leave");
    const patience = AbortSignal.timeout(PATIENCE);
    const polite = await hold(lock, channel, { signal: patience }, lost);
    if (!polite) await hold(lock, channel, { steal: true }, lost);
    return "taken";
  },
  async released(name) {
    await navigator.locks.request(lockOf(name), () => undefined);
  },
};

const lockOf = (name: string) => `gatehouse-live-${name}`;

/** True once the lock is held; it is let go when another page asks, after `lost` has finished. */
function hold(
  lock: string,
  channel: BroadcastChannel,
  options: LockOptions,
  lost: () => Promise<void>,
): Promise<boolean> {
  return new Promise((resolve) => {
    let holds = false;
    const held = async (granted: Lock | null) => {
      holds = granted !== null;
      resolve(holds);
      if (holds) await asked(channel).then(lost);
    };
    navigator.locks.request(lock, options, held).catch(() => {
      // Not granted in time, or stolen from a page that had stopped answering.
      resolve(false);
      if (holds) void lost();
    });
  });
}

function asked(channel: BroadcastChannel): Promise<void> {
  return new Promise((resolve) => {
    channel.addEventListener("message", () => {
      channel.close();
      resolve();
    });
  });
}
