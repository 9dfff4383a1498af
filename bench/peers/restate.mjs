// Restate's own server with its own settings and its JavaScript SDK: one process each. Both are up
// before the clock starts, but for hello, which starts them.
import * as restate from '@restatedev/restate-sdk'
import { join } from 'node:path'
import { eventually, freePorts, limited, modules, service } from './support.mjs'

const AT_ONCE = 200 // clients; more makes it slower
let server, ingress

// The SDK wants it from node 22 on.
Promise.withResolvers ??= () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

export const name = 'Restate'
export const packages = ['@restatedev/restate-server', '@restatedev/restate-sdk']

const bench = restate.service({
  name: 'bench',
  handlers: {
    chain: async (ctx, steps) => {
      for (let i = 0; i < steps; i++) await ctx.run(`s${i}`, () => i)
      return steps
    },
    fan: async (ctx, width) => {
      await ctx.run('first', () => 0)
      await restate.RestatePromise.all(
        Array.from({ length: width }, (_, i) => ctx.run(`s${i}`, () => i)))
      return ctx.run('join', () => width)
    },
  },
})

export async function start(folder) {
  const [ingressPort, adminPort, nodePort, servicePort] = await freePorts(4)
  const log = () => {}
  await restate.serve({ services: [bench], port: servicePort, logger: log })
  const program = join(modules, '.bin/restate-server')
  const listen = ['--listen-mode', 'tcp', '--bind-ip', '127.0.0.1', '--bind-port', String(nodePort)]
  server = service([program, '--no-logo', '--base-dir', join(folder, 'restate'), ...listen], {
    folder,
    env: {
      RESTATE_INGRESS__BIND_PORT: String(ingressPort), RESTATE_ADMIN__BIND_PORT: String(adminPort),
      RESTATE_DISABLE_TELEMETRY: 'true', DO_NOT_TRACK: '1', RUST_LOG: 'warn',
    },
  })
  ingress = `http://127.0.0.1:${ingressPort}/bench`
  await eventually(async () => {
    if (!server.running()) throw new Error('restate-server ended')
    const answer = await fetch(`http://127.0.0.1:${adminPort}/deployments`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${servicePort}` }),
    })
    if (!answer.ok) throw new Error(`deployment: ${answer.status} ${await answer.text()}`)
  })
  await eventually(() => call('chain', 1))
}

export async function stop() {
  await server.stop()
}

async function call(handler, size) {
  const answer = await fetch(`${ingress}/${handler}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: String(size),
  })
  const text = await answer.text()
  if (!answer.ok || text !== String(size)) throw new Error(`${answer.status} ${text}`)
}

export const chain = (steps) => call('chain', steps)
export const fan = (width) => call('fan', width)
export const many = (executions, steps) => limited(executions, AT_ONCE, () => call('chain', steps))
