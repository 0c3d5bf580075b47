// Runs the page's engine under Node: a job per line of a file, a JSON answer per line of the output.
"use strict";

const fs = require("fs");
const path = require("path");

const [folder, jobs] = process.argv.slice(2);
const files = fs.readdirSync(folder).filter((name) => name.endsWith(".js")).sort();
for (const name of files) require(path.resolve(folder, name)); // in the order in which the page has them
const engine = globalThis.chainrule;

const arraysOf = (tensors) => Object.fromEntries(
  Object.entries(tensors ?? {}).map(([name, tensor]) => [name, engine.decoded(tensor)]));

/** Arrays with their numbers as text, which JSON has for all of them. */
const plain = (value) => (value instanceof Float64Array ? Array.from(value, (number) => `${number}`) : value);

const answers = {
  selftest: ({ document }) => engine.selftest(document),
  evaluate: ({ nodes, root, bindings }) => engine.evaluate(nodes, root, arraysOf(bindings)),
  elements: ({ nodes, bindings, wanted }) => {
    const arrays = arraysOf(bindings);
    return wanted.map(([root, index]) => engine.element(nodes, root, index, arrays));
  },
  influence: ({ nodes, root, symbol, index, bindings }) =>
    engine.influence(nodes, root, symbol, index, arraysOf(bindings)),
  passes: ({ document, changes, eta }) => engine.passes(document, arraysOf(changes), eta),
};

for (const line of fs.readFileSync(jobs, "utf8").split("\n")) {
  if (!line) continue;
  const job = JSON.parse(line);
  let answer;
  try {
    answer = { result: answers[job.do](job) };
  } catch (error) {
    answer = { error: `${error.stack}` };
  }
  process.stdout.write(`${JSON.stringify(answer, (_, value) => plain(value))}\n`);
}
