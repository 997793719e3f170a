// Rounds: every subject is measured once a round, in a new order each time, so that whatever disturbs the machine disturbs all.

/**
 * @template Subject
 * @template Sample
 * @param {{ subjects: readonly Subject[], rounds: number, measure: (subject: Subject, round: number) => Promise<Sample>, warmUpRounds?: number, progress?: (text: string) => void }} options
 *   `warmUpRounds` come first and are thrown away: compilers and connections are cold in them
 * @returns {Promise<Map<Subject, Sample[]>>} one sample for each round, in order
 */
export async function inRounds({ subjects, rounds, measure, warmUpRounds = 0, progress = () => {} }) {
  const samples = new Map(subjects.map((subject) => [subject, []]))
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const subject of shuffled(subjects)) {
      const sample = await measure(subject, round)
      if (round >= 0) samples.get(subject).push(sample)
    }
    progress(`round ${Math.max(0, round + 1)} of ${rounds}`)
  }
  return samples
}

function shuffled(items) {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    ;[order[last], order[other]] = [order[other], order[last]]
  }
  return order
}

export function median(values) {
  return quantile(values, 0.5)
}

export function quantile(values, part) {
  const sorted = Float64Array.from(values).sort()
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)]
  return low + (sorted[Math.ceil(at)] - low) * (at - Math.floor(at))
}

/** The median of a figure of two subjects, taken round by round: what disturbs a round disturbs both. */
export function medianOfPairs(ones, others, join) {
  return median(ones.map((one, round) => join(one, others[round])))
}
