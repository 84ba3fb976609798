// Evaluates three.elm.json for the patients of Bundles, one a line:  node run.js BUNDLES.ndjson AS_OF
// Prints one JSON line a patient, {patient, age, hemoglobin, platelets}, and the seconds of the evaluation alone on stderr.
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const cql = require("cql-execution");
const { PatientSource } = require("cql-exec-fhir");

const [bundles, asOf] = process.argv.slice(2);
const library = new cql.Library(JSON.parse(fs.readFileSync(path.join(__dirname, "three.elm.json"), "utf8")), new cql.Repository({}));
const executor = new cql.Executor(library, null, { AsOf: cql.Date.parse(asOf) });

async function main() {
  const started = process.cpuUsage();
  const source = PatientSource.FHIRv401();
  for await (const line of readline.createInterface({ input: fs.createReadStream(bundles) })) {
    source.loadBundles([JSON.parse(line)]);
  }
  const results = (await executor.exec(source)).patientResults;
  for (const [patient, { age, hemoglobin, platelets }] of Object.entries(results)) {
    console.log(JSON.stringify({ patient, age, hemoglobin, platelets }));
  }
  const used = process.cpuUsage(started);
  console.error(JSON.stringify({ cpu: (used.user + used.system) / 1e6 }));
}

main();
