/**
 * The wire between the connector and a host on another machine: a program in front of the host, as ssh is, that fails as a file says.
 * The host runs in a process group of its own: when this program ends it goes on with what it has heard, as a remote one does.
 * Modes are those of test/connectors/kit/fault-proxy.ts.
 *
 * node powershell-fault-pipe.mjs MODE-FILE PROGRAM ARGUMENT...
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const [modeFile, program, ...args] = process.argv.slice(2);
const mode = () => readFileSync(modeFile, 'utf8');
const isWrite = (line) =>
  /^(New|Set|Disable|Enable|Remove|Protect|Add|Revoke|Move)-/.test(String(JSON.parse(line).command));
const gone = () => process.exit(255);

if (mode() === 'refuse') gone();
const host = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true, env: {} });
host.on('exit', gone);
host.stdin.on('error', gone);
/** The write that is under way. */
let written = false;

async function slowly(line) {
  for (let at = 0; at < line.length; at += Math.ceil(line.length / 4)) {
    process.stdout.write(line.slice(at, at + Math.ceil(line.length / 4)));
    await delay(15);
  }
}

createInterface({ input: host.stdout }).on('line', (line) => {
  const now = mode();
  const answer = `${line}\n`;
  if (now === 'hang' || (now === 'half-open' && written)) return;
  if (now === 'lose-answer' && written) gone();
  else if (now === 'garbage' && written) process.stdout.write(Buffer.from([201, 238, 10, 19, 0, 10]), gone);
  else if (now === 'slow') void slowly(answer);
  else process.stdout.write(answer);
});

const requests = createInterface({ input: process.stdin });
requests.on('close', () => host.stdin.end());
requests.on('line', (line) => {
  const now = mode();
  written = isWrite(line);
  if (now === 'hang') return;
  if (now === 'refuse') gone();
  else if (now === 'reset-before' && written) {
    host.kill('SIGKILL');
    gone();
  } else if (now === 'reset-after' && written) host.stdin.write(`${line}\n`, gone);
  else host.stdin.write(`${line}\n`);
});
