// What Vite has made, as a C table for src/hub/portal/files.c: each file by gzip, with its type and hash. build/portal/dist → build/portal/files.inc
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const FIRST_LOAD_MAX = 300 * 1024; // bytes, of all files together
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const dist = fileURLToPath(new URL('../build/portal/dist', import.meta.url));
const names = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(dist, join(entry.parentPath ?? entry.path, entry.name)))
  .sort();

let bytes = '';
let rows = '';
let total = 0;
names.forEach((name, i) => {
  const plain = readFileSync(join(dist, name));
  const type = types[extname(name)];
  if (!type) throw new Error(`${name}: pack.js knows no type for it`);
  const gzip = gzipSync(plain, { level: 9 });
  const hash = createHash('sha256').update(plain).digest('hex').slice(0, 16);
  total += gzip.length;
  bytes += `static const unsigned char bytes_${i}[] = {${[...gzip].join(',')}};\n`;
  rows += `    {"${name}", "${type}", "${hash}", ${name.startsWith('assets/')}, bytes_${i}, sizeof bytes_${i}, ${plain.length}},\n`;
});
if (total > FIRST_LOAD_MAX) throw new Error(`the portal has ${total} bytes by gzip, at most ${FIRST_LOAD_MAX}`);
writeFileSync(
  join(dist, '../files.inc'),
  `#define PORTAL_FILES\n${bytes}static const struct portal_file files[] = {\n${rows}};\n`,
);
console.log(`portal: ${names.length} files, ${total} bytes by gzip`);
