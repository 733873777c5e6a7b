// `npm run docs`: writes the pages of docs/ that are made from the code.
import fs from "node:fs";
import { configurationReference } from "../src/config/index.ts";

fs.writeFileSync(new URL("../docs/configuration.md", import.meta.url), configurationReference());
