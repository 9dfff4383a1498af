// DBOS with a PostgreSQL of its own, as its packages set it up: fsync on, synchronous_commit on.
// The server is up before the clock starts. Without PostgreSQL (or root, to run it as another user)
// it is left out.
import { DBOS } from '@dbos-inc/dbos-sdk'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, finished, freePorts, limited, service } from './support.mjs'

const VERSIONS = '/usr/lib/postgresql'
let server, port

export const name = 'DBOS + PostgreSQL'
export const packages = ['@dbos-inc/dbos-sdk']

export function missing() {
  return existsSync(VERSIONS) ? null : 'no PostgreSQL (Debian: postgresql)'
}

function postgresUser() {
  if (process.getuid() !== 0) return {}
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

const chainOf = DBOS.registerWorkflow(async (steps) => {
  for (let i = 0; i < steps; i++) await DBOS.runStep(async () => i, { name: `s${i}` })
  return steps
}, { name: 'chain' })

const fanOf = DBOS.registerWorkflow(async (width) => {
  await DBOS.runStep(async () => 0, { name: 'first' })
  await Promise.all(Array.from({ length: width }, (_, i) =>
    DBOS.runStep(async () => i, { name: `s${i}` })))
  return DBOS.runStep(async () => width, { name: 'join' })
}, { name: 'fan' })

// A whole process (hello) finds the server that is up already.
export async function start(folder, up = process.env.BENCH_POSTGRES_PORT) {
  port = up
  if (!up) {
    const bin = join(VERSIONS, readdirSync(VERSIONS).sort().at(-1), 'bin')
    const data = join(folder, 'pg')
    const user = postgresUser()
    ;[port] = await freePorts(1)
    chmodSync(folder, 0o755)
    mkdirSync(data)
    if (user.uid) chownSync(data, user.uid, user.gid)
    const how = { folder, user: { ...user, cwd: data } }
    await finished([join(bin, 'initdb'), '-D', data, '-A', 'trust', '-U', 'postgres'], how)
    server = service([join(bin, 'postgres'), '-D', data, '-p', String(port), '-k', data,
      '-c', 'listen_addresses=127.0.0.1'], how)
    process.env.BENCH_POSTGRES_PORT = String(port)
  }
  const url = `postgresql://postgres@127.0.0.1:${port}/cairn_bench`
  DBOS.setConfig({ name: 'cairn-bench', systemDatabaseUrl: url, logLevel: 'error' })
  await eventually(() => DBOS.launch())
}

export async function stop() {
  await DBOS.shutdown()
  await server?.stop()
}

export async function chain(steps) {
  if (await chainOf(steps) !== steps) throw new Error('a wrong result')
}

export async function many(executions, steps) {
  const handles = []
  await limited(executions, 200, async () => handles.push(await DBOS.startWorkflow(chainOf)(steps)))
  for (const handle of handles) {
    if (await handle.getResult() !== steps) throw new Error('a wrong result')
  }
}

export async function fan(width) {
  if (await fanOf(width) !== width) throw new Error('a wrong result')
}
