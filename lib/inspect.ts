/**
 * Makes Node's `util.inspect` render instances of a class by their `toJSON`, which shows no secret. Without it, public
 * members such as options would be shown in full.
 */
export function renderByJson(Class: { readonly name: string; readonly prototype: { toJSON(): unknown } }): void {
  Object.defineProperty(Class.prototype, Symbol.for('nodejs.util.inspect.custom'), {
    value(this: { toJSON(): unknown }): string {
      return `${Class.name} ${JSON.stringify(this.toJSON())}`
    },
  })
}
