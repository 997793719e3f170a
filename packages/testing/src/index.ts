/** Everything to test an application that uses behalf, or a part that plugs into it. */
export { createDpopClient, type DpopClient, type DpopClientOptions, type ProofOverrides } from './dpop-client.js'
export { fixtures, type TokenFixture } from './fixtures.js'
export { createSigningKey, type KeyPair, type SigningKey, signCompact, signText } from './keys.js'
export { type MemorySink, memorySink } from './memory-sink.js'
export { type ReplayContractCase, type ReplayUnderTest, replayContract } from './replay-contract.js'
export { type RevocationContractCase, type RevocationsUnderTest, revocationContract } from './revocation-contract.js'
export { type SinkContractCase, type SinkUnderTest, sinkContract } from './sink-contract.js'
export { type KeptRecord, type TargetContractCase, type TargetUnderTest, targetContract } from './target-contract.js'
export { type TestContextOptions, type TestParty, testContext } from './test-context.js'
export { testEvent } from './test-event.js'
export {
  createTestIssuer,
  TEST_ALGORITHMS,
  TEST_AUDIENCE,
  type TestIssuer,
  type TestIssuerOptions,
  type TokenOverrides,
  type Trouble,
} from './test-issuer.js'
export { testRecord } from './test-record.js'
