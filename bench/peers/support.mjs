// What the scripts of all peers share: processes, ports, waiting.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

// The folder that npm filled, where this script was copied beside node_modules.
export const modules = join(import.meta.dirname, 'node_modules')

// Runs a program to its end; the error has the end of its output.
export function finished(argv, { folder, env, user } = {}) {
  const log = join(folder, 'output.log')
  const out = openSync(log, 'a')
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', out, out], ...user,
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      const said = code === 0 ? '' : readFileSync(log, 'utf8').slice(-500)
      if (code === 0) resolve()
      else reject(new Error(`${argv.join(' ')} ended with ${signal ?? code}: ${said}`))
    })
  })
}

// Starts a service that runs until stop() and beyond nothing: it dies with this process, too.
export function service(argv, { folder, env, user } = {}) {
  const out = openSync(join(folder, 'output.log'), 'a')
  const child = spawn(argv[0], argv.slice(1), {
    cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', out, out], ...user,
  })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  const end = () => child.kill('SIGKILL')
  process.on('exit', end)
  return {
    running: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      child.kill('SIGTERM')
      await Promise.race([ended, sleep(5000).then(end)])
      process.removeListener('exit', end)
    },
  }
}

export async function freePorts(count) {
  const servers = []
  for (let i = 0; i < count; i++) {
    servers.push(await new Promise((resolve, reject) => {
      const s = createServer()
      s.on('error', reject)
      s.listen(0, '127.0.0.1', () => resolve(s))
    }))
  }
  const ports = servers.map((s) => s.address().port)
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))))
  return ports
}

// Tries until it does not throw; the last error after `seconds`.
export async function eventually(attempt, seconds = 30) {
  const limit = performance.now() + seconds * 1000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw error
      await sleep(20)
    }
  }
}

// Calls work(i) for i below count, at most `atOnce` at a time.
export async function limited(count, atOnce, work) {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane))
}
