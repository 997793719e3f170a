// Where and with what a run was made: figures mean nothing without it.
import { availableParallelism, cpus, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { manifestOf } from './installed.mjs'

const PACKAGES = [
  '@behalf/core @behalf/express @behalf/koa express koa autocannon fast-jwt aws-jwt-verify jsonwebtoken jwks-rsa jose',
  'oauth4webapi express-oauth2-jwt-bearer express-jwt koa-jwt lru-cache @behalf/journal @behalf/pino pino',
].flatMap((names) => names.split(' '))

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    openssl: process.versions.openssl,
    date: new Date().toISOString(),
    versions: Object.fromEntries(PACKAGES.map((name) => [name, manifestOf(name).manifest.version])),
  }
}

/** How busy the cores are with other things, 0 to 1, looked at for a second before the run. */
export async function strangersLoad() {
  const ticks = () =>
    cpus().reduce(
      ([busy, all], { times: { idle, ...rest } }) => {
        const working = Object.values(rest).reduce((one, other) => one + other, 0)
        return [busy + working, all + working + idle]
      },
      [0, 0],
    )
  const [busyBefore, allBefore] = ticks()
  await sleep(1000)
  const [busy, all] = ticks()
  return (busy - busyBefore) / Math.max(1, all - allBefore)
}
