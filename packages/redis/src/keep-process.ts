/** While a task runs that somebody waits for, the process goes on: perhaps nothing else keeps it, and our connections do not. */
export async function keepingProcess<T>(task: () => Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, LONG_MILLISECONDS)
  try {
    return await task()
  } finally {
    clearInterval(hold)
  }
}

const LONG_MILLISECONDS = 2 ** 31 - 1
