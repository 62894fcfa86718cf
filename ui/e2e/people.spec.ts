// Two people find each other in the lobby and chat; the wire carries no plaintext.

import { expect, test } from "@playwright/test";
import { encodingsIn } from "./encodings";
import {
  type Person,
  arrive,
  signUp,
  expectNoComplaints,
  expectOnlyComplaints,
  freshName,
  send,
} from "./person";

// The caller may set the words, and check afterwards that the server stored none of them.
const PRIVATE_WORDS = process.env["GATEHOUSE_PRIVATE_WORDS"] ?? "keep it secret";
const SECRET_OF_ADA = `The heron lands at noon: ${PRIVATE_WORDS}.`;
const SECRET_OF_BOB = "Understood, I bring the umbrella.";

test("two people meet in the lobby and chat in private", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  const inLobby = (person: Person, name: string) =>
    person.page.getByRole("list", { name: "Lobby" }).getByRole("link", { name });
  await expect(inLobby(bob, names.ada)).toBeVisible();
  await inLobby(ada, names.bob).click();

  await send(ada, names.bob, SECRET_OF_ADA);
  const conversation = bob.page
    .getByRole("list", { name: "Conversations" })
    .getByRole("link", { name: names.ada });
  await expect(conversation).toContainText("1 unread");
  await conversation.click();
  const log = (person: Person) => person.page.getByRole("log");
  await expect(log(bob)).toContainText(SECRET_OF_ADA);
  await expect(ada.page.locator('[data-delivery="read"]')).toContainText(SECRET_OF_ADA);

  await bob.page.getByRole("textbox", { name: `Message to ${names.ada}` }).pressSequentially("Un");
  await expect(ada.page.getByText(`${names.bob} is typing…`)).toBeVisible();
  await send(bob, names.ada, SECRET_OF_BOB);
  await expect(log(ada)).toContainText(SECRET_OF_BOB);

  await ada.page.reload();
  await expect(log(ada)).toContainText(SECRET_OF_ADA);
  await expect(log(ada)).toContainText(SECRET_OF_BOB);

  for (const { frames } of [ada, bob]) {
    const wire = Buffer.from(frames.map(({ text }) => text).join("\n"));
    expect(encodingsIn(wire, '"rsa-aes-1"')).toContain("UTF-8");
    for (const secret of [SECRET_OF_ADA, SECRET_OF_BOB])
      expect(encodingsIn(wire, secret)).toEqual([]);
  }

  await expect(ada.page.getByTestId("presence")).toHaveText("online");
  expectNoComplaints(bob);
  await bob.leave();
  await expect(ada.page.getByTestId("presence")).toHaveText("offline");
  expectNoComplaints(ada);
  await ada.leave();
});

test("both see the same safety number and can mark it as verified", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  const numberSeenBy = async (person: Person, peer: string) => {
    await person.page.goto(`/people/${peer}`);
    await person.page.getByRole("button", { name: "Safety number" }).click();
    const number = person.page.getByTestId("safety-number");
    await expect(number).toHaveText(/^\s*(\d{5}\s*){12}$/);
    return (await number.innerText()).replace(/\D/g, "");
  };
  expect(await numberSeenBy(ada, names.bob)).toBe(await numberSeenBy(bob, names.ada));
  await ada.page.getByRole("button", { name: /Mark as verified/ }).click();
  await expect(ada.page.getByRole("dialog").getByText("Verified")).toBeVisible();
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("messages sent while the other person is away arrive when they return", async () => {
  const [ada, bob] = await Promise.all([arrive(), arrive()]);
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await bob.page.goto(`/people/${names.ada}`);
  await ada.page.goto(`/people/${names.bob}`);
  await send(ada, names.bob, "Before the tunnel.");
  await expect(bob.page.getByRole("log")).toContainText("Before the tunnel.");

  await bob.page.goto("about:blank");
  await send(ada, names.bob, "While you were away.");
  await expect(ada.page.locator('[data-delivery="sent"]')).toContainText("While you were away.");
  await bob.page.goto(`/people/${names.ada}`);
  await expect(bob.page.getByRole("log")).toContainText("While you were away.");
  await expect(bob.page.getByRole("log").getByText("Before the tunnel.")).toHaveCount(1);
  expectNoComplaints(ada, bob);
  await Promise.all([ada.leave(), bob.leave()]);
});

test("an old browser is told what to do before it chooses a name", async () => {
  const ada = await arrive();
  await ada.context.addInitScript(() => {
    // Firefox has no SubtleCrypto in the blank page that is open first.
    if (!globalThis.isSecureContext) return;
    SubtleCrypto.prototype.importKey = () =>
      Promise.reject(new DOMException("no such algorithm", "NotSupportedError"));
  });
  await ada.page.goto("/people");
  await expect(ada.page.getByRole("heading", { name: /too old for private chat/ })).toBeVisible();
  await expect(ada.page.getByText(/Chrome or Edge 137, Safari 17, Firefox 136/)).toBeVisible();
  await expect(ada.page.getByRole("textbox")).toHaveCount(0);
  expect(await ada.page.evaluate(async () => (await indexedDB.databases()).length)).toBe(0);
  expectNoComplaints(ada);
  await ada.leave();
});

test("a taken name is rejected with a readable error", async () => {
  const [ada, eve] = await Promise.all([arrive(), arrive()]);
  const name = freshName("ada");
  await signUp(ada, name);
  await eve.page.goto("/people");
  await eve.page.getByLabel("Username").fill(name);
  await eve.page.getByRole("button", { name: "Continue" }).click();
  await expect(eve.page.getByRole("alert")).toContainText(/taken|in use|has this (user)?name/i);
  expectOnlyComplaints(eve, /409/);
  expectNoComplaints(ada);
  await Promise.all([ada.leave(), eve.leave()]);
});
