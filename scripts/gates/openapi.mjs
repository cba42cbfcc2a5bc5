#!/usr/bin/env node
// nginx/static/openapi.json is a valid OpenAPI document by Redocly's strict rules.
import { fileURLToPath } from "node:url";
import core from "../../nginx/static/node_modules/@redocly/openapi-core/lib/index.js";

// "/" and /health have nothing that a caller could get wrong.
const rules = { "operation-4xx-response": "off" };
const config = await core.createConfig({ extends: ["recommended-strict"], rules });
const ref = fileURLToPath(new URL("../../nginx/static/openapi.json", import.meta.url));
const problems = await core.lint({ ref, config });

for (const problem of problems)
	console.log(`${problem.location[0]?.pointer}: ${problem.message} (${problem.ruleId})`);
console.log(`openapi: ${problems.length || "no"} fault(s)`);
process.exitCode = problems.length ? 1 : 0;
