// Reads {"tcf": "…"} or {"gpp": "…"} a line and answers {"value"}, {"error"} or {"timeout": true} a line. The reference hangs on some strings,
// so a worker decodes and is replaced when one takes longer than the milliseconds given as the first argument.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { createInterface } from 'node:readline';
import { gpp, tcf } from './reference.mjs';

function one({ tcf: tcfText, gpp: gppText }) {
  try {
    return { value: tcfText === undefined ? gpp(gppText) : tcf(tcfText) };
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

if (isMainThread) {
  const limit = Number(process.argv[2] ?? 2000);
  const asked = [];
  for await (const line of createInterface({ input: process.stdin })) asked.push(JSON.parse(line));
  const answers = [];
  while (answers.length < asked.length) {
    await new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: asked.slice(answers.length) });
      let timer;
      let over = false;
      const watch = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          over = true;
          answers.push({ timeout: true });
          worker.terminate();
        }, limit);
      };
      worker.once('online', watch);
      worker.on('message', (answer) => {
        if (over) return;
        answers.push(answer);
        watch();
      });
      worker.once('error', reject);
      worker.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
  process.stdout.write(answers.map((answer) => JSON.stringify(answer) + '\n').join(''));
} else {
  for (const request of workerData) parentPort.postMessage(one(request));
}
