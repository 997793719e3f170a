import { channel } from 'node:diagnostics_channel'
import { CHANNELS } from './publish.js'

/** The channels that somebody listens to. */
export function heardChannels(): readonly string[] {
  return CHANNELS.filter((name) => channel(name).hasSubscribers)
}
