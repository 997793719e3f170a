// #region make
import { generateKeyPairSync, randomUUID } from 'node:crypto'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const kid = randomUUID()
console.log('secret store:', JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid }))
console.log('issuer:', JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid, use: 'enc' }))
// #endregion make
