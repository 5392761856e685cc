// Whether @sigstore/verify accepts a checkpoint and an inclusion proof: {"key" (PEM), "origin", "hint", "note", "index", "content", "path"} a
// line on stdin, all bytes in base64; {"ok", "reason"} a line on stdout. Its modules are internal, so they are taken by their files.
import { createPublicKey } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const inside = (name) => require(fileURLToPath(new URL(`./node_modules/@sigstore/verify/dist/tlog/${name}.js`, import.meta.url)));
const { verifyCheckpoint } = inside('checkpoint');
const { verifyMerkleInclusion } = inside('merkle');

const bytes = (text) => Buffer.from(text, 'base64');

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let reason = '';
  try {
    const log = { baseURL: asked.origin, logID: bytes(asked.hint), publicKey: createPublicKey(asked.key) };
    const entry = {
      canonicalizedBody: bytes(asked.content),
      inclusionProof: { logIndex: asked.index, hashes: asked.path.map(bytes), checkpoint: { envelope: asked.note } },
    };
    verifyMerkleInclusion(entry, verifyCheckpoint(entry, [log]));
  } catch (error) {
    reason = String(error.message ?? error) || 'refused';
  }
  process.stdout.write(JSON.stringify({ ok: reason === '', reason }) + '\n');
}
