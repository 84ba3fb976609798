// Validates FHIR R4 resources with the npm package `fhir`: one resource a line on standard input, one JSON list of messages
// a line on standard output, errors only. What the package does not hold (value sets of others) it warns of, so warnings are
// left out.
"use strict";

const readline = require("node:readline");
const { Fhir } = require("fhir");

const fhir = new Fhir();
const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });

lines.on("line", (line) => {
  const { valid, messages } = fhir.validate(JSON.parse(line), { errorOnUnexpected: true });
  const errors = messages.filter(({ severity }) => severity === "error" || severity === "fatal");
  const found = errors.map(({ location, message }) => `${location}: ${message}`);
  process.stdout.write(JSON.stringify(valid || found.length > 0 ? found : ["not valid"]) + "\n");
});
