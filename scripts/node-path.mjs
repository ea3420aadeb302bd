/** Prints the folder of the Node that Tenure runs under, for putting it on PATH. */
import { dirname } from 'node:path';
import { pinnedNode } from './lib/node.mjs';

process.stdout.write(`${dirname(pinnedNode()?.path ?? process.execPath)}\n`);
