// The same works by each engine, in turns on one machine; prints seconds, steps a second and how
// many times as long as cairn. Called by tools/bench-peers.
//
//   node run.mjs [PEER...]        all of them, ROUNDS times
//   node run.mjs --one PEER FOLDER      what one peer takes, as JSON (a process of its own)
//   node run.mjs --hello PEER FOLDER    a process that does one step and ends
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { finished, modules } from './support.mjs'

const PEERS = ['cairn', 'langgraph', 'dbos', 'restate', 'dagu']
const ROUNDS = Number(process.env.ROUNDS ?? 3)
const HELLOS = 5
const SIZES = { chain: 1000, executions: 1000, steps: 10, fan: 1000 }
const load = (peer) => import(`./${peer}.mjs`)
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]

async function seconds(work) {
  const from = performance.now()
  await work()
  return (performance.now() - from) / 1000
}

async function one(name, folder) {
  const peer = await load(name)
  const sizes = { ...SIZES, ...peer.sizes }
  await peer.start(folder)
  const took = peer.timed ? await peer.timed() : {
    chain: await seconds(() => peer.chain(sizes.chain)),
    many: await seconds(() => peer.many(sizes.executions, sizes.steps)),
    fan: await seconds(() => peer.fan(sizes.fan)),
  }
  const hellos = []
  const [command, env] = peer.helloCommand ? [peer.helloCommand(), peer.environment()]
    : [[process.execPath, import.meta.filename, '--hello', name]]
  for (let i = 0; i < HELLOS; i++) {
    const where = join(folder, `hello${i}`)
    mkdirSync(where)
    const argv = peer.helloCommand ? command : [...command, where]
    hellos.push(await seconds(() => finished(argv, { folder: where, env })))
  }
  await peer.stop()
  const steps = { chain: sizes.chain, many: sizes.executions * sizes.steps, fan: sizes.fan + 2 }
  return { seconds: { ...took, hello: median(hellos) }, steps: { ...steps, hello: 1 } }
}

// A process for each, so that none has another's heap; the folder is on the disk of the build.
function inProcess(name) {
  const folder = mkdtempSync(join(import.meta.dirname, `work-${name}-`))
  try {
    const done = spawnSync(process.execPath, [import.meta.filename, '--one', name, folder], {
      encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'], timeout: 900_000,
    })
    const line = done.stdout.trim().split('\n').at(-1)
    if (done.status !== 0) console.error(`${name} ended with ${done.signal ?? done.status}`)
    return done.status === 0 ? JSON.parse(line) : null
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

function versions(packages) {
  const read = (p) => JSON.parse(readFileSync(join(modules, p, 'package.json'))).version
  return packages.map((p) => `${p} ${read(p)}`).join(', ')
}

const WORKS = {
  chain: 'W1 durable: a chain of 1000 steps', many: 'W2: 1000 executions x 10 steps',
  fan: 'W3: fan-out to 1000, a join', hello: 'W4: one step, whole process',
}

async function all(chosen) {
  const names = chosen.length ? PEERS.filter((p) => p === 'cairn' || chosen.includes(p)) : PEERS
  const here = []
  for (const name of names) {
    const peer = await load(name)
    const why = peer.missing?.()
    const what = why ? `left out, ${why}` : versions(peer.packages) || 'this tree'
    console.log(`${peer.name}: ${what}`)
    if (!why) here.push({ name, title: peer.name, rounds: [] })
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const peer of here) {
      const took = peer.failed ? null : inProcess(peer.name)
      if (took) peer.rounds.push(took)
      else peer.failed = process.exitCode = 1
    }
    if (here[0].failed) return // there is nothing to set the others beside
  }
  for (const [work, title] of Object.entries(WORKS)) {
    console.log(`\n${title} (median of ${ROUNDS})`)
    let ours
    for (const { name, title: who, rounds } of here.filter((p) => !p.failed)) {
      const took = median(rounds.map((r) => r.seconds[work]))
      const rate = rounds[0].steps[work] / took
      ours ??= rate
      const times = (ours / rate).toFixed(1)
      const size = rounds[0].steps[work]
      const unit = work === 'hello' ? '' : `  ${rate.toFixed(0).padStart(7)} steps/s of ${size}`
      console.log(`  ${who.padEnd(24)} ${(took * 1000).toFixed(1).padStart(9)} ms${unit}` +
        (name === 'cairn' ? '' : `  ${times}x as long as cairn`))
      const figure = { figure: `${title}: ${who}`, value: took, unit: 's', times: Number(times) }
      if (process.env.CAIRN_BENCH_JSON) {
        appendFileSync(process.env.CAIRN_BENCH_JSON, `${JSON.stringify(figure)}\n`)
      }
    }
  }
}

const [mode, name, folder] = process.argv.slice(2)
if (mode === '--one') {
  console.log(JSON.stringify(await one(name, folder)))
  process.exit(0)
} else if (mode === '--hello') {
  const peer = await load(name)
  await peer.start(folder)
  await peer.chain(1)
  await peer.stop()
  process.exit(0)
} else {
  await all(process.argv.slice(2))
}
