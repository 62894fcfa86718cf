import { expect, test } from "vitest";
import { TestClock } from "../../net/clock.testing";
import { Presence } from "./presence";

const user = (account_id: string, username: string) => ({ account_id, username });

test("the lobby lists each account once, under its current name", () => {
  const presence = new Presence("ada", new TestClock());
  presence.apply({
    kind: "lobby",
    users: [user("ada", "ada"), user("b", "bob"), user("c", "cleo")],
  });
  presence.apply({ kind: "lobby_change", user: user("b", "robert"), present: true });
  expect(presence.lobby.value).toEqual([user("c", "cleo"), user("b", "robert")]);
  // Another account that takes the freed name is a different person.
  presence.apply({ kind: "lobby_change", user: user("m", "bob"), present: true });
  expect(presence.lobby.value).toEqual([user("m", "bob"), user("c", "cleo"), user("b", "robert")]);
  presence.apply({ kind: "lobby_change", user: user("b", "bob"), present: false });
  expect(presence.lobby.value).toEqual([user("m", "bob"), user("c", "cleo")]);
  presence.apply({ kind: "lobby_change", user: user("ada", "adele"), present: true });
  expect(presence.lobby.value).toEqual([user("m", "bob"), user("c", "cleo")]);
});
