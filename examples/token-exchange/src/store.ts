import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/** Where the authorization server keeps sessions, codes and grants: in memory, for as long as an example runs. */
export function createStore(): AdapterFactory {
  const entries = new Map<string, AdapterPayload>()
  return (model): Adapter => {
    const keyOf = (id: string) => `${model}:${id}`
    const firstWith = (name: 'uid' | 'userCode', value: string) =>
      [...entries].find(([key, payload]) => key.startsWith(`${model}:`) && payload[name] === value)?.[1]
    return {
      upsert: async (id, payload) => void entries.set(keyOf(id), payload),
      find: async (id) => entries.get(keyOf(id)),
      findByUid: async (uid) => firstWith('uid', uid),
      findByUserCode: async (userCode) => firstWith('userCode', userCode),
      destroy: async (id) => void entries.delete(keyOf(id)),
      consume: async (id) => {
        const payload = entries.get(keyOf(id))
        if (payload !== undefined) payload['consumed'] = Math.floor(Date.now() / 1000)
      },
      revokeByGrantId: async (grantId) => {
        for (const [key, payload] of entries) if (payload['grantId'] === grantId) entries.delete(key)
      },
    }
  }
}
