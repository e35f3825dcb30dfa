// The owner's recovery key as it is shown and typed: groups, and what people take its signs for.

/** The groups that it is shown in. */
export function groups(key: string): string[] {
  return key.split('-')
}

/** The signs as the recorder reads them: case does not count, O is 0, I and L are 1. */
function plain(text: string): string {
  return text.replace(/[\s-]/g, '').toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1')
}

/** Whether that group was typed. */
export function isGroup(key: string, index: number, typed: string): boolean {
  const group = groups(key)[index]
  return group !== undefined && plain(typed) === plain(group)
}

/** Which group is asked for: not the first, which everybody remembers for a moment. `random` is 0 to below 1. */
export function groupToAsk(key: string, random: number): number {
  const count = groups(key).length
  return count < 2 ? 0 : 1 + Math.floor(random * (count - 1))
}

/** Signs that still miss, or are too many, in a key of 40. */
export function missing(typed: string): number {
  return 40 - plain(typed).length
}
