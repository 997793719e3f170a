import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'

/**
 * A port that is free now, and that is never given to outgoing connections: while its server is down, one to this very port could be
 * given it for its own end, and would answer itself. Somebody else could take it before the server does: then the server ends, and
 * its start fails.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    try {
      server.listen(randomInt(10_240, 32_768), '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    } catch {
      // taken: another one
    } finally {
      server.close()
    }
  }
}

/** Whether all threads of a process have stopped. Where the system does not tell, it is taken at its word. */
export function isStopped(pid: number | undefined): boolean {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    return tasks.every((task) => / [Tt] /.test(stateIn(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'))))
  } catch {
    return true
  }
}

/** The state stands behind the command, which is in parentheses and may hold anything. */
function stateIn(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 1, stat.lastIndexOf(')') + 4)
}
