import type { Fetch } from './https-fetch.js'
import type { Person } from './people.js'

const MOST_PAGES = 10

/** What a browser remembers of the places that it has been to: names and values of cookies. */
export type Cookies = Map<string, string>

/**
 * Does what a person does in a browser: follows redirects, keeps cookies, and fills in the form that asks for name and password.
 * @param cookies the browser's; omitted: it has never been anywhere
 * @returns the address to which the authorization server sends the browser in the end
 */
export async function visit(
  fetch: Fetch,
  start: URL,
  callback: string,
  { id, password }: Pick<Person, 'id' | 'password'>,
  cookies: Cookies = new Map(),
): Promise<URL> {
  let url = start
  let form: URLSearchParams | null = null
  for (let page = 0; page < MOST_PAGES; page++) {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const answer: Response = await fetch(url, { method: form === null ? 'GET' : 'POST', headers: { cookie }, body: form })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location !== null) {
      url = new URL(location, url)
      if (url.href.startsWith(`${callback}?`)) return url
      form = null
    } else if (answer.ok && form === null) {
      form = new URLSearchParams({ name: id, password })
    } else {
      throw new Error(`the sign-in ended with ${answer.status}`)
    }
  }
  throw new Error('the sign-in did not end')
}
