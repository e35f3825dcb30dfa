// What every page must hold however it looks: no serious finding of axe, nothing that scrolls sideways.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const LOOKS = [
  { look: 'dark', options: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } } },
  { look: 'light', options: { colorScheme: 'light', viewport: { width: 1280, height: 800 } } },
  { look: '360-dark', options: { colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true } },
  { look: '360-light', options: { colorScheme: 'light', viewport: { width: 360, height: 740 }, hasTouch: true } },
]

/** Serious findings of axe, in words. */
export async function findings(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
  }))
  return violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`)
}

/** What can be scrolled sideways, or sticks out of the page without being cut. */
export function sideways(page) {
  return page.evaluate(() => {
    const scrolls = [...document.querySelectorAll('*')].filter((element) => {
      const over = getComputedStyle(element).overflowX
      const free = over === 'auto' || over === 'scroll' || element === document.documentElement
      return free && element.scrollWidth > element.clientWidth && element.clientWidth > 0
    })
    return scrolls.map((element) => `${element.tagName}.${element.className}: ${element.scrollWidth} in ${element.clientWidth}`)
  })
}
