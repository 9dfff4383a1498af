// LangGraph JS with its SQLite checkpointer. Durable: synchronous=FULL and durability "sync", a
// checkpoint is written before the next step begins. All executions share one database file.
import { Annotation, END, START, StateGraph } from '@langchain/langgraph'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import { join } from 'node:path'

const State = Annotation.Root({
  done: Annotation({ reducer: (a, b) => a + b, default: () => 0 }),
})
const step = () => ({ done: 1 })
let saver
let threads = 0

export const name = 'LangGraph JS + SQLite'
export const packages = ['@langchain/langgraph', '@langchain/langgraph-checkpoint-sqlite']

export async function start(folder) {
  saver = SqliteSaver.fromConnString(join(folder, 'langgraph.db'))
  saver.db.pragma('journal_mode = WAL')
  saver.db.pragma('synchronous = FULL')
}

export async function stop() {
  saver.db.close()
}

function chainOf(steps) {
  const graph = new StateGraph(State)
  for (let i = 0; i < steps; i++) {
    graph.addNode(`s${i}`, step)
    graph.addEdge(i ? `s${i - 1}` : START, `s${i}`)
  }
  graph.addEdge(`s${steps - 1}`, END)
  return graph.compile({ checkpointer: saver })
}

async function run(graph, steps) {
  const config = {
    configurable: { thread_id: String(threads++) }, recursionLimit: steps + 10, durability: 'sync',
  }
  const { done } = await graph.invoke({}, config)
  if (done !== steps) throw new Error(`${done} of ${steps} steps`)
}

export async function chain(steps) {
  await run(chainOf(steps), steps)
}

export async function many(executions, steps) {
  const graph = chainOf(steps)
  await Promise.all(Array.from({ length: executions }, () => run(graph, steps)))
}

export async function fan(width) {
  const graph = new StateGraph(State)
  graph.addNode('first', step)
  graph.addEdge(START, 'first')
  const wide = []
  for (let i = 0; i < width; i++) {
    wide.push(`s${i}`)
    graph.addNode(`s${i}`, step)
    graph.addEdge('first', `s${i}`)
  }
  graph.addNode('join', step)
  graph.addEdge(wide, 'join')
  graph.addEdge('join', END)
  await run(graph.compile({ checkpointer: saver }), width + 2)
}
