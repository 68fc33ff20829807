// Check entries with @sigstore/verify's verifier of checkpoints and inclusion.
//
// node check_with_sigstore.js NODE_MODULES; stdin: {"key": DER in base64, "id": the log's id in base64, "name": its name,
// "entries": [TransparencyLogEntry in protobuf's JSON, ...]}; stdout: for each null, or what is wrong.
'use strict'
const crypto = require('node:crypto')
const path = require('node:path')
const from = (name) => require(path.join(process.argv[2], name))
const { verifyTLogInclusion } = from('@sigstore/verify/dist/tlog')
const { VerificationError } = from('@sigstore/verify')
const { TransparencyLogEntry } = from('@sigstore/protobuf-specs')

const given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const key = crypto.createPublicKey({ key: Buffer.from(given.key, 'base64'), format: 'der', type: 'spki' })
const logs = [{ logID: Buffer.from(given.id, 'base64'), publicKey: key, baseURL: given.name, validFor: {} }]

function check(entry) {
  try {
    verifyTLogInclusion(TransparencyLogEntry.fromJSON(entry), logs)
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error
    return `${error.code}: ${error.message}`
  }
  return null
}

process.stdout.write(JSON.stringify(given.entries.map(check)))
