import { createHash } from 'node:crypto'
import { pageHeaders, pages } from '../../lib/node/pages'

describe('pages', () => {
  it.each(Object.entries(pages))(
    '%s is a complete, accessible page without script [receiver.page-escaped] [CB-29]',
    (_, page) => {
      expect(page.html).toMatch(/^<!doctype html>\n<html lang="en">/)
      const title = /<title>([^<]+)<\/title>/.exec(page.html)?.[1]
      expect(title).toBeTruthy()
      expect(page.html).toContain(`<h1>${title}</h1>`)
      expect(page.html).toContain('name="viewport"')
      expect(page.html).toContain('prefers-color-scheme: dark')
      expect(page.html).not.toMatch(/<script|<img|<link|<form|href=|src=|style=|\son\w+=/i)
    },
  )

  it('allows exactly its own style [CB-29]', () => {
    const style = /<style>([^<]*)<\/style>/.exec(pages.received.html)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(pageHeaders['Content-Security-Policy']).toContain(`style-src 'sha256-${hash}'`)
  })

  it('has text of a contrast of at least 7 to 1, light and dark', () => {
    const pairs = [...pages.received.html.matchAll(/--ink: (#\w{6}); --paper: (#\w{6})/g)]
    expect(pairs).toHaveLength(2)
    for (const [, ink, paper] of pairs) expect(contrast(ink ?? '', paper ?? '')).toBeGreaterThan(7)
  })
})

/** The contrast ratio of WCAG 2.2. */
function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((start) => parseInt(colour.slice(start, start + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
