import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MerkleFrontier, subtreesOf } from '../src/format/merkle.js'
import { naiveFrontier, naiveRoot } from './support/naive-merkle.js'

/** Leaf data and roots that Certificate Transparency's reference implementation tests with (transparency-dev/merkle). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

const leaf = (n: number): Buffer => createHash('sha256').update(`record ${n}`).digest()
const leavesUpTo = (count: number): Buffer[] => Array.from({ length: count }, (_, n) => leaf(n))

function treeOf(leaves: readonly Buffer[]): MerkleFrontier {
  const tree = MerkleFrontier.empty()
  for (const each of leaves) tree.append(each)
  return tree
}

describe('the recursion that the tree is held against', () => {
  it('gives the published roots', () => {
    const leaves = LEAVES.map((hex) => Buffer.from(hex, 'hex'))
    expect(ROOTS.map((_, size) => naiveRoot(leaves.slice(0, size)).toString('hex'))).toEqual(ROOTS)
  })
})

describe('MerkleFrontier', () => {
  it('has the root of RFC 6962 2.1 and its frontier at every size up to 130', () => {
    const tree = MerkleFrontier.empty()
    for (let size = 0; size <= 130; size++) {
      const leaves = leavesUpTo(size)
      expect(tree.size).toBe(size)
      expect(tree.root()).toEqual(naiveRoot(leaves))
      expect(tree.hashes()).toEqual(naiveFrontier(leaves))
      tree.append(leaf(size))
    }
  })

  it('goes on from its frontier as if it had never been put down', () => {
    fc.assert(
      fc.property(fc.nat({ max: 200 }), fc.nat({ max: 40 }), (before, after) => {
        const resumed = MerkleFrontier.of(before, treeOf(leavesUpTo(before)).hashes())
        for (let n = before; n < before + after; n++) resumed.append(leaf(n))
        expect(resumed.size).toBe(before + after)
        expect(resumed.root()).toEqual(naiveRoot(leavesUpTo(before + after)))
      }),
      { seed: 6962 },
    )
  })

  it('takes a leaf as text too', () => {
    const tree = MerkleFrontier.empty()
    for (const each of leavesUpTo(7)) tree.appendHash(each.toString('base64url'))
    expect(tree.root()).toEqual(naiveRoot(leavesUpTo(7)))
  })

  it('gives copies: neither its hashes nor its leaves are tied to it', () => {
    const leaves = leavesUpTo(3)
    const tree = treeOf(leaves)
    const root = tree.root()
    for (const each of [...tree.hashes(), ...leaves]) each.fill(0)
    expect(tree.root()).toEqual(root)
  })

  it('grows beyond 2^32 leaves', () => {
    const size = 2 ** 32 - 1
    const hashes = leavesUpTo(32)
    const tree = MerkleFrontier.of(size, hashes)
    tree.append(leaf(99))
    const folded = hashes.reduceRight((right, left) => sha256(1, left, right), sha256(0, leaf(99)))
    expect(tree.size).toBe(2 ** 32)
    expect(tree.hashes()).toEqual([folded])
    expect(tree.root()).toEqual(folded)
  })

  it('holds a tree of the largest size there is', () => {
    const size = Number.MAX_SAFE_INTEGER
    expect(MerkleFrontier.of(size, leavesUpTo(53)).hashes()).toEqual(leavesUpTo(53))
    expect(subtreesOf(size)).toBe(53)
  })

  it.each([
    ['too few hashes', 3, [leaf(0)]],
    ['too many hashes', 4, [leaf(0), leaf(1)]],
    ['a hash of 31 bytes', 1, [leaf(0).subarray(1)]],
    ['a negative size', -1, []],
    ['a size that is no whole number', 1.5, [leaf(0)]],
    ['a size beyond the safe integers', 2 ** 53, [leaf(0)]],
  ])('refuses a frontier of %s', (_, size, hashes) => {
    expect(() => MerkleFrontier.of(size, hashes)).toThrow(RangeError)
  })

  it('refuses leaves that are no SHA-256', () => {
    const tree = MerkleFrontier.empty()
    expect(() => tree.append(leaf(0).subarray(1))).toThrow(RangeError)
    expect(() => tree.append(Buffer.alloc(33))).toThrow(RangeError)
    expect(() => tree.appendHash('')).toThrow(RangeError)
    expect(() => tree.appendHash('A'.repeat(44))).toThrow(RangeError)
    expect(() => tree.appendHash('!'.repeat(43))).toThrow(RangeError)
    expect(tree.size).toBe(0)
  })
})

function sha256(prefix: number, ...parts: Buffer[]): Buffer {
  return createHash('sha256')
    .update(Buffer.concat([Buffer.of(prefix), ...parts]))
    .digest()
}
