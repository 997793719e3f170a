// Child processes, and what they say.
import { fork } from 'node:child_process'

/**
 * @param {string} file beside this one
 * @param {readonly string[]} argv
 * @param {import('node:child_process').ForkOptions} options
 */
export function startChild(file, argv = [], options = {}) {
  const child = fork(new URL(file, import.meta.url), argv, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], ...options })
  child.setMaxListeners(0)
  let ending = false

  /** The first message that fits. An end that nobody asked for is an error for whoever waits. */
  const until = (fits) => {
    let forget = () => {}
    const promise = new Promise((resolve, reject) => {
      const hear = (message) => {
        if (message.failure === undefined && !fits(message)) return
        forget()
        if (message.failure === undefined) resolve(message)
        else reject(new Error(`${file}: ${message.failure}`))
      }
      const die = (code, signal) => {
        if (!ending) reject(new Error(`${file} ended before its time (${signal ?? code})`))
      }
      forget = () => {
        child.off('message', hear)
        child.off('exit', die)
      }
      child.on('message', hear)
      child.on('exit', die)
    })
    promise.catch(() => {}) // several may wait when a process dies, and only one of them is heard
    return { promise, forget }
  }

  return {
    until,
    send: (message) => child.send(message),
    ask(message, fits) {
      const { promise } = until(fits)
      child.send(message)
      return promise
    },
    end() {
      ending = true
      child.kill('SIGKILL')
    },
  }
}
