// The harness itself: it notices faults of a page, and browsers check certificates.

import { expect, test } from "@playwright/test";
import { arrive, expectNoComplaints } from "./person";

test("a browser that does not trust the local CA refuses the page", async () => {
  const person = await arrive({ ca: undefined });
  await expect(person.page.goto("/")).rejects.toThrow(
    /ERR_CERT_AUTHORITY_INVALID|SEC_ERROR_UNKNOWN_ISSUER/,
  );
  await person.leave();
});

test("faults of a page are recorded", async () => {
  const person = await arrive();
  const { page, complaints } = person;
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "What can I help with?" })).toBeVisible();
  expectNoComplaints(person);
  const faults: [RegExp, () => unknown][] = [
    [/a logged fault/, () => console.error("a logged fault")],
    [/a thrown fault/, () => setTimeout(() => Promise.reject(new Error("a thrown fault")))],
    [/\b404\b.*\/api\/no-such-path/, () => fetch("/api/no-such-path")],
    [
      /elsewhere\.example.*Content.Security.Policy|Content.Security.Policy.*elsewhere\.example/i,
      () => fetch("https://elsewhere.example/").catch(() => undefined),
    ],
    [
      /Content.Security.Policy/i,
      () =>
        document.head.append(
          Object.assign(document.createElement("style"), { textContent: "a { color: red }" }),
        ),
    ],
  ];
  for (const [expected, cause] of faults) {
    complaints.length = 0;
    await page.evaluate(cause);
    await expect.poll(() => complaints.join("\n")).toMatch(expected);
  }
  await person.leave();
});
