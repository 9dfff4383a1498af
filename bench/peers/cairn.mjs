// cairn itself: its no-op effects are a kind that a program on libcairn registers.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from './support.mjs'

const { CAIRN_BIN, CAIRN_PEER_WORKS } = process.env
let home

export const name = 'cairn'
export const packages = []

export async function start(folder) {
  home = folder
  writeFileSync(join(home, 'hello.yaml'),
    'cairn: 1\nname: hello\nnodes:\n  hello: {type: end, value: "\'hello\'"}\n')
}

export async function stop() {}

// All three at once; the program times them itself, without its own start.
export async function timed() {
  const figures = join(home, 'figures.json')
  await finished([CAIRN_PEER_WORKS], { folder: home, env: { CAIRN_BENCH_JSON: figures } })
  const lines = readFileSync(figures, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
  return Object.fromEntries(lines.map(({ figure, value }) => [figure, value]))
}

export const environment = () => ({ CAIRN_STORE: join(home, 'hello.db') })
export const helloCommand = () => [CAIRN_BIN, 'run', '--quiet', join(home, 'hello.yaml')]
