// Dagu: every step is a command (`true`), every execution a process of its own, 8 at a time.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished, limited, modules } from './support.mjs'

const AT_ONCE = 8
let home

export const name = 'Dagu'
export const packages = ['@dagu-org/dagu-linux-x64']
export const program = join(modules, '@dagu-org/dagu-linux-x64/bin/dagu')
// Its steps are processes and slow: fewer of them show the same rate.
export const sizes = { chain: 100, executions: 100, fan: 300 }

export async function start(folder) {
  home = folder
  mkdirSync(join(home, 'dags'), { recursive: true })
  write('hello', [{ name: 'hello', command: 'echo hello' }])
}

export async function stop() {}

function write(dag, steps) {
  writeFileSync(join(home, `${dag}.yaml`), JSON.stringify({ maxActiveSteps: 1000, steps }))
}

export const environment = () => ({ DAGU_HOME: home })
export const helloCommand = () => [program, 'start', join(home, 'hello.yaml')]

function run(dag) {
  const argv = [program, 'start', '--quiet', join(home, `${dag}.yaml`)]
  return finished(argv, { folder: home, env: environment() })
}

function writeChain(dag, steps) {
  const after = (i) => (i ? { depends: [`s${i - 1}`] } : {})
  write(dag, Array.from({ length: steps }, (_, i) =>
    ({ name: `s${i}`, command: 'true', ...after(i) })))
}

export async function chain(steps) {
  writeChain('chain', steps)
  await run('chain')
}

// A DAG runs once at a time, so each execution is of a file of its own.
export async function many(executions, steps) {
  for (let i = 0; i < executions; i++) writeChain(`many${i}`, steps)
  await limited(executions, AT_ONCE, (i) => run(`many${i}`))
}

export async function fan(width) {
  const wide = Array.from({ length: width }, (_, i) =>
    ({ name: `s${i}`, command: 'true', depends: ['first'] }))
  write('fan', [{ name: 'first', command: 'true' }, ...wide,
    { name: 'join', command: 'true', depends: wide.map((s) => s.name) }])
  await run('fan')
}
