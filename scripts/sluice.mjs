#!/usr/bin/env node
// The command `sluice`: hands over to a supported Node when the running one is too old.
import { fileURLToPath } from 'node:url'
import { isSupported, runWithSupportedNode } from './with-node.mjs'

const main = new URL('../dist/main.js', import.meta.url)
if (isSupported()) await import(main.href)
else runWithSupportedNode('node', [fileURLToPath(main), ...process.argv.slice(2)])
