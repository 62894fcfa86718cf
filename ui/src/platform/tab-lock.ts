// The tab lock: a Web Lock, and a BroadcastChannel to request it from the tab that holds it.

import type { TabLock } from "../domain/ports";

/**
 * A tab that does not respond, for example a frozen one, loses the lock after this many
 * milliseconds.
 */
const RESPONSE_TIMEOUT = 3_000;

/** A tab that is reloading releases the lock within this many milliseconds. */
const RELOAD_TIMEOUT = 1_000;

export const browserTabLock: TabLock = {
  async acquire(name, lost, takeOver) {
    const lock = lockOf(name);
    const channel = new BroadcastChannel(lock);
    if (await hold(lock, channel, { ifAvailable: true }, lost)) return "acquired";
    if (await hold(lock, channel, { signal: AbortSignal.timeout(RELOAD_TIMEOUT) }, lost))
      return "acquired";
    if (!takeOver) {
      channel.close();
      return "other-tab";
    }
    channel.postMessage("leave");
    const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT);
    const released = await hold(lock, channel, { signal: timeout }, lost);
    if (!released) await hold(lock, channel, { steal: true }, lost);
    return "acquired";
  },
  async released(name) {
    await navigator.locks.request(lockOf(name), () => undefined);
  },
};

const lockOf = (name: string) => `gatehouse-live-${name}`;

/** Resolves to true once the lock is held. On request it is released after `lost` resolves. */
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
      if (holds) await requested(channel).then(lost);
    };
    navigator.locks.request(lock, options, held).catch(() => {
      // Not granted in time, or stolen because this tab did not respond.
      resolve(false);
      if (holds) void lost();
    });
  });
}

function requested(channel: BroadcastChannel): Promise<void> {
  return new Promise((resolve) => {
    channel.addEventListener("message", () => {
      channel.close();
      resolve();
    });
  });
}
