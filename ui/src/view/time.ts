// Human-readable times.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function dateTime(at: number): string {
  return DATE_TIME.format(new Date(at));
}

export function clockTime(at: string): string {
  return CLOCK.format(new Date(at));
}

export function dayName(at: string, now: number): string {
  const days = dayNumber(now) - dayNumber(Date.parse(at));
  if (days === 0) return "Today";
  return days === 1 ? "Yesterday" : DAY.format(new Date(at));
}

/** In this browser's time zone. */
export function isSameDay(a: string, b: string): boolean {
  return dayNumber(Date.parse(a)) === dayNumber(Date.parse(b));
}

/** The time today, the date otherwise. */
export function shortTime(at: string, now: number): string {
  return dayNumber(now) === dayNumber(Date.parse(at)) ? clockTime(at) : SHORT.format(new Date(at));
}

function dayNumber(time: number): number {
  const date = new Date(time);
  return Math.round(
    new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() / 86_400_000,
  );
}
