import * as z from 'zod/mini'

/** A string with at least one character. */
export const text: z.ZodMiniType<string> = z.string().check(z.minLength(1))

/** An array, of which only the non-empty strings are kept. */
export const list: z.ZodMiniType<string[]> = z.pipe(
  z.array(z.unknown()),
  z.transform((entries: unknown[]) => entries.filter(isText)),
)

/** An object, of which only the members with a non-empty string are kept. */
export const dictionary: z.ZodMiniType<Record<string, string>> = z.pipe(
  z.record(z.string(), z.unknown()),
  z.transform((members: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(members).filter((member): member is [string, string] => isText(member[1]))),
  ),
)

/**
 * An optional member that counts as absent when it has the wrong type: real servers publish `null`, `""` and worse for
 * what they do not set, and none of it is worth a failed sign-in.
 */
export function lenient<T>(schema: z.ZodMiniType<T>): z.ZodMiniType<T | undefined> {
  return z.catch(z.optional(schema), undefined)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
