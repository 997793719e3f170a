import { describe, expect, test } from 'vitest'
import { createMarks } from '../src/marks.js'

describe('marks', () => {
  test('are read by those who put them, and by nobody else', () => {
    const ours = createMarks<string>()
    const others = createMarks<string>()
    const object = {}
    expect(ours.get(object)).toBeUndefined()
    ours.put(object, 'mine')
    expect([ours.get(object), others.get(object)]).toEqual(['mine', undefined])
    others.put(object, 'theirs')
    expect([ours.get(object), others.get(object)]).toEqual(['mine', 'theirs'])
  })

  test('cannot be seen, copied, inherited or reached through a proxy', () => {
    const marks = createMarks<string>()
    const object = { a: 1 }
    marks.put(object, 'mine')
    expect(Reflect.ownKeys(object)).toEqual(['a'])
    for (const other of [{ ...object }, structuredClone(object), Object.create(object) as object, new Proxy(object, {})]) {
      expect(marks.get(other)).toBeUndefined()
    }
  })

  test('are put once: nobody, not even we, can put another one in their place', () => {
    const marks = createMarks<string>()
    const object = {}
    marks.put(object, 'first')
    expect(() => marks.put(object, 'second')).toThrow(TypeError)
    expect(marks.get(object)).toBe('first')
  })

  test.each([undefined, null, 1, 'text', () => {}])('nothing is on %s', (value) => {
    expect(createMarks<string>().get(value as unknown as object)).toBeUndefined()
  })
})
