// Mutual exclusion among all tabs of this browser profile, with a Web Lock.

import type { Exclusive } from "../domain/ports";

export const browserExclusive: Exclusive = (name, task) =>
  // The DOM types add a second Promise around the task's own.
  navigator.locks.request(`gatehouse-${name}`, task) as ReturnType<typeof task>;
