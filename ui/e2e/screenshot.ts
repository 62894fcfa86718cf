// Screenshots of what people see, for a maintainer to look at.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "@playwright/test";
import type { Person } from "./person";

/** Saves the page in the results of the test, or in the folder `GATEHOUSE_SCREENSHOTS`. */
export async function screenshot({ page }: Person, name: string): Promise<void> {
  const folder = process.env["GATEHOUSE_SCREENSHOTS"] ?? test.info().outputPath();
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
}
