'use strict';
// Prints the folders below ROOT that packages need, themselves among them: node packages.js ROOT PACKAGE…
const fs = require('fs');
const path = require('path');
const [root, ...names] = process.argv.slice(2);
const found = new Set();

// As Node looks a package up from a folder.
function find(from, name) {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const place = path.join(folder, 'node_modules', name);
    if (fs.existsSync(path.join(place, 'package.json'))) return place;
    if (folder === root || folder === '/') return null;
  }
}

function add(place) {
  if (!place || found.has(place)) return;
  found.add(place);
  const { dependencies, optionalDependencies } = JSON.parse(fs.readFileSync(path.join(place, 'package.json'), 'utf8'));
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) add(find(place, name));
}

for (const name of names) add(find(root, name));
for (const place of found) console.log(path.relative(root, place));
