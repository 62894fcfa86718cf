// The page itself: its policies, the hashes of its scripts, and that it stays on its own origin.

import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import {
  type Person,
  arrive,
  expectNoComplaints,
  freshName,
  gatehouseUrl,
  send,
  signUp,
} from "./person";

const GUIDE = readFileSync(new URL("../../docs/gateway.md", import.meta.url), "utf8");
const welcome = { name: "What can I help with?" };

/** The value of a header field in the guide's block of policies. */
function documented(name: string): string {
  const value = new RegExp(`^${name}: (.+)$`, "m").exec(GUIDE)?.[1];
  if (value === undefined) throw new Error(`docs/gateway.md: expected a line "${name}: …"`);
  return value;
}

const policies = {
  "content-security-policy": documented("Content-Security-Policy"),
  "integrity-policy": documented("Integrity-Policy"),
};

interface Original {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What the server sends for a path, as the browser receives it. */
async function original({ page }: Person, path: string): Promise<Original> {
  const [response] = await Promise.all([
    page.waitForResponse((response) => new URL(response.url()).pathname === path),
    page.evaluate((path) => fetch(path, { cache: "reload" }).then(() => undefined), path),
  ]);
  const headers = await response.allHeaders();
  delete headers["content-encoding"];
  delete headers["content-length"];
  return { path, headers, body: await response.text() };
}

/** Serves a changed body with the original header fields, like a hostile server, while `visit` runs. */
async function withChanged(
  { page }: Person,
  { path, headers, body }: Original,
  change: (body: string) => string,
  visit: () => Promise<void>,
): Promise<void> {
  const matches = (url: URL) => url.pathname === path;
  await page.route(matches, (route) => route.fulfill({ headers, body: change(body) }));
  await visit();
  await page.unroute(matches);
}

/** The scripts and styles that a page loads, by their tags. */
function references(html: string): { tag: string; path: string }[] {
  return [...html.matchAll(/<(?:script|link)\b[^>]*(?:src|href)="([^"]+\.(?:js|css))"[^>]*>/g)].map(
    ([tag, path = ""]) => ({ tag, path }),
  );
}

test("every document has exactly the documented policies", async () => {
  const ada = await arrive();
  for (const path of [
    "/",
    "/index.html",
    "/people",
    "/people/ada.lovelace",
    "/settings",
    "/chat/x",
  ]) {
    const response = await ada.page.goto(path);
    const headers = (await response?.headersArray()) ?? [];
    for (const [name, value] of Object.entries(policies)) {
      const found = headers.filter((header) => header.name.toLowerCase() === name);
      expect(
        found.map((header) => header.value),
        `${name} of ${path}`,
      ).toEqual([value]);
    }
  }
  const csp = policies["content-security-policy"];
  expect(csp).not.toMatch(/unsafe|\*|https?:/);
  for (const directive of [
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ])
    expect(csp.split("; "), directive).toContain(directive);
  await ada.leave();
});

test("injected content runs no script, sends no form and opens no frame", async () => {
  const ada = await arrive();
  const { page } = ada;
  await page.goto("/");
  await expect(page.getByRole("heading", welcome)).toBeVisible();
  const outcome = await page.evaluate(async () => {
    const refused = (attempt: () => unknown) => {
      try {
        attempt();
        return false;
      } catch {
        return true;
      }
    };
    const violated = new Set<string>();
    document.addEventListener("securitypolicyviolation", (event) =>
      violated.add(event.effectiveDirective),
    );
    const until = async (directive: string) => {
      while (!violated.has(directive)) await new Promise((done) => setTimeout(done, 10));
    };
    const add = <Name extends keyof HTMLElementTagNameMap>(
      name: Name,
      set: (element: HTMLElementTagNameMap[Name]) => void,
    ) => {
      const element = document.createElement(name);
      set(element);
      document.body.append(element);
      return element;
    };
    const typed = refused(() =>
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=alert(1)>"),
    );
    // The debugger's own call may evaluate strings; a call from a timer may not.
    const evaluated = await new Promise<boolean>((done) =>
      setTimeout(() => done(refused(() => (0, eval)("1")))),
    );
    add("form", (form) => (form.action = "https://elsewhere.example/")).submit();
    await until("form-action");
    add("iframe", (frame) => (frame.src = "https://elsewhere.example/"));
    await until("frame-src");
    add("img", (image) => (image.src = "https://elsewhere.example/x.png"));
    await until("img-src");
    add("base", (base) => (base.href = "https://elsewhere.example/"));
    await until("base-uri");
    void fetch("https://elsewhere.example/").catch(() => undefined);
    await until("connect-src");
    return { typed, evaluated };
  });
  expect(outcome).toEqual({ typed: true, evaluated: true });
  await ada.leave();
});

test("another site cannot show the page in a frame", async () => {
  // Without the permission, the browser refuses earlier: the server is on this machine.
  const ada = await arrive({ permissions: ["local-network-access"] });
  const { page } = ada;
  await page.route("https://elsewhere.example/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<iframe src="${gatehouseUrl()}/"></iframe>`,
    }),
  );
  const refused = page.waitForEvent("console", (message) =>
    message.text().includes("frame-ancestors 'none'"),
  );
  await page.goto("https://elsewhere.example/");
  await refused;
  await expect(page.frameLocator("iframe").getByRole("heading", welcome)).toHaveCount(0);
  await ada.leave();
});

test("every script and style has a hash, and the page stops if one byte differs", async () => {
  const ada = await arrive();
  const { page } = ada;
  await page.goto("/");
  await expect(page.getByRole("heading", welcome)).toBeVisible();
  expectNoComplaints(ada);
  const found = references((await original(ada, "/")).body);
  expect(found.filter(({ path }) => path.endsWith(".js")).length).toBeGreaterThanOrEqual(2);
  expect(found.filter(({ path }) => path.endsWith(".css"))).toHaveLength(1);
  for (const { tag } of found) {
    expect(tag).toMatch(/ integrity="sha384-[\w+/]{64}"/);
    expect(tag).toContain('crossorigin="anonymous"');
  }
  for (const { path } of found) {
    const file = await original(ada, path);
    // One more line changes nothing but the hash.
    await withChanged(
      ada,
      file,
      (body) => `${body}\n`,
      async () => {
        const refused = page.waitForEvent("console", (message) =>
          message.text().includes("Failed to find a valid digest in the 'integrity' attribute"),
        );
        await page.goto("/");
        expect((await refused).text()).toContain(path);
        // Only the entry module draws the page.
        if (/\/index-[^/]*\.js$/.test(path)) await expect(page.locator("#app")).toBeEmpty();
      },
    );
  }
  await ada.leave();
});

test("a script without a hash is not even loaded", async () => {
  const ada = await arrive();
  const { page } = ada;
  const requested: string[] = [];
  const injected = [
    '<script src="/injected.js"></script>',
    '<script src="/injected.js" crossorigin="anonymous"></script>',
    '<script type="module" src="/injected.js"></script>',
    '<link rel="modulepreload" href="/injected.js">',
  ];
  await page.route("**/injected.js", (route) => {
    requested.push(route.request().url());
    return route.fulfill({ contentType: "text/javascript", body: 'document.title = "injected"' });
  });
  await page.goto("/");
  const document = await original(ada, "/");
  for (const tag of injected) {
    const inject = (html: string) => html.replace("<title>", `${tag}<title>`);
    await withChanged(ada, document, inject, async () => {
      await page.goto("/");
      expect(await page.content()).toContain("/injected.js");
      // The page's own scripts follow the injected one and are unaffected.
      await expect(page.getByRole("heading", welcome)).toBeVisible();
    });
  }
  // Nor by the page's own scripts.
  const imported = await page.evaluate(async () => {
    const path = "/injected.js";
    return import(/* @vite-ignore */ path).then(
      () => "imported",
      (error: unknown) => String(error),
    );
  });
  expect(imported).toContain("TypeError");
  expect(requested).toEqual([]);
  await expect(page).not.toHaveTitle("injected");
  await ada.leave();
});

test("the page sends nothing to another origin", async () => {
  const people = await Promise.all([arrive(), arrive()]);
  const [ada, bob] = people;
  const names = { ada: freshName("ada"), bob: freshName("bob") };
  const origins = new Set<string>();
  const note = (url: string) => {
    const { origin, protocol } = new URL(url);
    // The page makes these itself; nothing is sent.
    if (!["data:", "blob:", "about:"].includes(protocol)) origins.add(origin);
  };
  for (const { context } of people) {
    // Requests of service workers too.
    context.on("request", (request) => note(request.url()));
    context.on("serviceworker", (worker) => note(worker.url()));
    const watch = (page: (typeof ada)["page"]) => {
      page.on("websocket", (socket) => note(socket.url()));
      page.on("worker", (worker) => note(worker.url()));
      page.on("popup", (popup) => note(popup.url()));
    };
    context.pages().forEach(watch);
    context.on("page", watch);
  }

  await ada.page.goto("/");
  await ada.page
    .getByRole("textbox", { name: "Message to the assistant" })
    .fill("![Hello](https://elsewhere.example/x.png)");
  await ada.page.keyboard.press("Enter");
  await expect(ada.page.getByRole("article", { name: "Assistant" })).toHaveAttribute(
    "data-state",
    "done",
  );
  await signUp(ada, names.ada);
  await signUp(bob, names.bob);
  await ada.page
    .getByRole("list", { name: "Lobby" })
    .getByRole("link", { name: names.bob })
    .click();
  await send(ada, names.bob, "See ![this](https://elsewhere.example/x.png).");
  await bob.page
    .getByRole("list", { name: "Conversations" })
    .getByRole("link", { name: names.ada })
    .click();
  await expect(bob.page.getByRole("log")).toContainText("See ");
  await bob.page.getByRole("button", { name: "Safety number" }).click();
  await expect(bob.page.getByTestId("safety-number")).toBeVisible();
  for (const { page } of people) {
    await page.goto("/settings");
    await expect(page.getByText("This device", { exact: true })).toBeVisible();
  }
  const { origin } = new URL(gatehouseUrl());
  expect([...origins].sort()).toEqual([origin, origin.replace("https", "wss")]);
  for (const { page } of people) {
    const workers = await page.evaluate(async () =>
      (await navigator.serviceWorker.getRegistrations()).map((worker) => worker.scope),
    );
    expect(workers).toEqual([]);
  }
  expectNoComplaints(...people);
  await Promise.all(people.map((person) => person.leave()));
});
