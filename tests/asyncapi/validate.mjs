// Reads AsyncAPI documents with the official parser: `validate.mjs TOOLS FILE… --broken FILE…`.
//
// Exit code 1 if it finds anything in the first files, or nothing in one of those that are broken on purpose.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [tools, ...args] = process.argv.slice(2);
const { Parser } = createRequire(`${tools}/`)('@asyncapi/parser');
const severities = ['error', 'warning', 'information', 'hint'];
// What only people can give to a document (an owner, a licence), a server where there is no broker, and that there is a
// later version of the specification.
const passedOver = [
  'asyncapi-id', 'asyncapi-info-contact', 'asyncapi-info-contact-properties', 'asyncapi-info-license',
  'asyncapi-latest-version', 'asyncapi-servers', 'asyncapi3-tags',
];

async function read(file) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file });
  const found = diagnostics.filter(({ code }) => !passedOver.includes(code));
  const lines = found.map(({ severity, code, path, message }) =>
    `${severities[severity]} ${code} at ${path.join('.')}: ${message}`);
  const channels = document?.channels().all().length ?? 0;
  const operations = document?.operations().all().length ?? 0;
  if (channels === 0 || operations === 0) lines.push('no channels, no operations, or no document');
  return { lines, channels, operations };
}

const split = args.indexOf('--broken');
let failures = 0;
for (const file of args.slice(0, split)) {
  const { lines, channels, operations } = await read(file);
  lines.forEach((line) => console.error(`${file}: ${line}`));
  failures += lines.length;
  console.log(`${file}: ${channels} channels, ${operations} operations`);
}
for (const file of args.slice(split + 1)) {
  const { lines } = await read(file);
  if (lines.length > 0) continue;
  console.error(`${file}: broken on purpose, and nothing was found`);
  failures += 1;
}
process.exit(failures === 0 ? 0 : 1);
