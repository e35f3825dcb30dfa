// The app's parts, by the names that it gives them, and what its pictures show.
import { join } from 'node:path'
import { expect } from '@playwright/test'
import { output } from './places.mjs'

export const tile = (page, channel) => page.getByTestId(`tile-${channel}`)

/** The live picture of a channel. */
export const picture = (page, channel, stream = 'sub') =>
  page.locator(`video[data-channel="${channel}"][data-stream="${stream}"]`)

export async function fillLogin(page, { user, password }) {
  const form = page.getByTestId('login-form')
  await form.getByLabel('User name').fill(user)
  await form.getByLabel('Password').fill(password)
  await form.getByRole('button').click()
}

/** The mark in the picture of a video element, once there is one. */
export async function markOf(video) {
  let mark = null
  await expect.poll(async () => (mark = await video.evaluate((element) => look.mark(element))), 'a mark in the picture').not.toBeNull()
  return mark
}

/** Waits until the picture's mark is what `test` wants. */
export async function markThat(video, what, test) {
  let mark = null
  await expect.poll(async () => {
    mark = await video.evaluate((element) => look.mark(element))
    return mark !== null && test(mark)
  }, what).toBe(true)
  return mark
}

/** Waits until the element plays on and its picture changes. */
export async function expectMoving(video, what) {
  const see = () => video.evaluate((element) => ({ sec: element.currentTime, print: look.print(element) }))
  let before = null
  await expect.poll(async () => (before = await see()).print, `${what}: a picture`).not.toBeNull()
  await expect.poll(async () => {
    const now = await see()
    return now.sec > before.sec && now.print !== null && now.print !== before.print
  }, `${what}: time goes on and the picture changes`).toBe(true)
}

/** A picture of the page, kept as build output. */
export async function shoot(page, name) {
  await page.screenshot({ path: join(output, `${name}.png`) })
}
