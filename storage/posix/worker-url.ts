/** Where a thread's code is: compiled, or as TypeScript when the program itself runs uncompiled. */

/** Address for `new Worker` of a module beside this one, by its name without extension. */
export function workerUrl(name: string): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL(`./${name}.js`, import.meta.url)
  // Loaders of the main thread don't reach workers in Node 20, so the thread registers its own.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const module = JSON.stringify(new URL(`./${name}.ts`, import.meta.url).href)
  const script = `import { register } from ${loader}; register(); await import(${module})`
  return new URL(`data:text/javascript,${encodeURIComponent(script)}`)
}
