// One after the other among all pages of this browser profile: a Web Lock.

import type { Exclusive } from "../domain/ports";

export const browserExclusive: Exclusive = (name, task) =>
  // The types of the DOM wrap the task's own promise once more.
  navigator.locks.request(`gatehouse-${name}`, task) as ReturnType<typeof task>;
