/* The stories: workflows of the real kinds that need nothing outside, and of `task`, an effect that
 * the world ends. Each is small, so that every n can be tried.
 */
#include "fail.h"

const struct story stories[] = {
    {.name = "plain",
     .document = "cairn: 1\n"
                 "inputs: {who: {type: string, default: Ada}}\n"
                 "nodes:\n"
                 "  greet: {type: transform, value: \"'Hello ' + inputs.who\"}\n"
                 "  ask: {type: task, needs: [greet], value: {said: '{{ greet }}'}}\n"
                 "  done: {type: end, needs: [ask], value: ask.said + '!'}\n",
     .inputs = "{}",
     .key = "once"},
    {.name = "loop",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  tick: {type: transform, needs: [more.true], max_iterations: 5,"
                 " value: iteration + 1}\n"
                 "  touch: {type: task, needs: [tick], value: {n: '{{ tick }}'}}\n"
                 "  more: {type: condition, needs: [touch], when: touch.n < 3}\n"
                 "  done: {type: end, needs: [more.false], value: touch}\n",
     .inputs = "{}"},
    {.name = "foreach",
     .document = "cairn: 1\n"
                 "inputs: {names: {type: array, items: {type: string}}}\n"
                 "nodes:\n"
                 "  each: {type: task, foreach: {items: inputs.names, as: who, concurrency: 2},"
                 " value: {who: '{{ who }}', at: '{{ index }}'}}\n"
                 "  pairs: {type: transform, foreach: {matrix: {os: [a, b], n: [1, 2]},"
                 " exclude: [{os: b, n: 2}]}, value: item.os + string(item.n)}\n"
                 "outputs: {each: each, pairs: pairs}\n",
     .inputs = "{\"names\": [\"x\", \"y\", \"z\"]}"},
    {.name = "failures",
     .document =
         "cairn: 1\n"
         "on_failure: continue\n"
         "inputs: {zero: {type: integer, default: 0}}\n"
         "nodes:\n"
         "  flaky: {type: task, fails: 2, value: fine,"
         " retry: {attempts: 4, backoff: 1s, on: [transient]}}\n"
         "  broken: {type: task, fails: 9, value: never}\n"
         "  excuse: {type: transform, needs: [broken.error], value: broken.type}\n"
         "  calm: {type: transform, value: 1 / inputs.zero, on_error: {value: \"'none'\"}}\n"
         "  wrong: {type: transform, value: 1 / inputs.zero, needs: [flaky]}\n"
         "outputs: {excuse: excuse, calm: calm, flaky: flaky}\n",
     .inputs = "{}"},
    {.name = "child",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  inner:\n"
                 "    type: workflow\n"
                 "    inputs: {n: 20 + 1}\n"
                 "    workflow:\n"
                 "      inputs: {n: {type: integer}, m: {type: integer, default: 2}}\n"
                 "      nodes:\n"
                 "        double: {type: task, value: {n: '{{ inputs.n * inputs.m }}'}}\n"
                 "      outputs: {result: double.n}\n"
                 "  done: {type: end, needs: [inner], value: inner.result}\n",
     .inputs = "{}"},
    {.name = "ask",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  ask: {type: ask, prompt: 'Go on, {{ execution.workflow }}?',"
                 " choices: [yes, no]}\n"
                 "  nap: {type: wait, needs: [ask.yes], for: 5s}\n"
                 "  form: {type: ask, needs: [nap], prompt: How many?, timeout: 1h,"
                 " on_timeout: {value: {n: 3}}, schema: {type: object, properties:"
                 " {n: {type: integer}}}}\n"
                 "outputs: {n: form.n}\n",
     .inputs = "{}",
     .answer = "yes"},
    {.name = "asked-child",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  inner:\n"
                 "    type: workflow\n"
                 "    workflow:\n"
                 "      nodes:\n"
                 "        ask: {type: ask, prompt: Well?}\n"
                 "      outputs: {said: ask}\n"
                 "outputs: {said: inner.said}\n",
     .inputs = "{}",
     .answer = "so so",
     .stop = "pause"},
    {.name = "variables",
     .document = "cairn: 1\n"
                 "inputs: {port: {type: string, default: '8080'}}\n"
                 "vars: {rows: [], log: '', n: '{{ inputs.port }}'}\n"
                 "nodes:\n"
                 "  page: {type: task, needs: [more.true], max_iterations: 9,"
                 " value: {items: [1, 2]},"
                 " set: {rows: vars.rows + page.items, log: \"vars.log + 'x'\"}}\n"
                 "  more: {type: condition, needs: [page], when: size(vars.rows) < 6}\n"
                 "  done:\n"
                 "    type: transform\n"
                 "    needs: [more.false]\n"
                 "    in:\n"
                 "      port: {from: vars.n, type: integer, transform: it + 1}\n"
                 "      list: {from: \"'[1, 2]'\", type: array, default: '[]'}\n"
                 "    value: {port: port, list: list, rows: vars.rows, log: vars.log}\n"
                 "outputs: {done: done}\n",
     .inputs = "{}"},
    {.name = "secrets",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  send: {type: task, value: {token: '{{ secrets.TOKEN }}', text: '[x] hello'},"
                 " talks: true}\n"
                 "  again: {type: task, needs: [send], value: {token: 'a {{ secrets.TOKEN }} b',"
                 " was: '{{ send }}'}}\n"
                 "outputs: {send: send, again: again}\n",
     .inputs = "{}"},
    {.name = "texts",
     .document = "cairn: 1\n"
                 "inputs:\n"
                 "  rows: {type: array, default: [{item: pen, count: 3}, {item: ink, count: 0}]}\n"
                 "nodes:\n"
                 "  checked:\n"
                 "    type: check\n"
                 "    schema: {type: array, items: {required: [item], properties:"
                 " {count: {type: integer}, item: {pattern: '^[a-z]+$'}}}}\n"
                 "    value: inputs.rows\n"
                 "  report:\n"
                 "    type: template\n"
                 "    needs: [checked]\n"
                 "    template: |\n"
                 "      # Inventory\n"
                 "      {{#each checked as row}}\n"
                 "      - {{ row.item }}: {{ row.count }}{{#if row.count > 1}} left{{/if}}\n"
                 "      {{/each}}\n"
                 "outputs: {report: report}\n",
     .inputs = "{}"},
    {.name = "agents",
     .document = "cairn: 1\n"
                 "inputs: {topic: {type: string, default: rivers}}\n"
                 "agents:\n"
                 "  writer: {service: offline, system: 'About {{ inputs.topic }}.',"
                 " memory: {keep: own, at_most: 5}}\n"
                 "nodes:\n"
                 "  first: {type: agent, agent: writer, prompt: Begin.}\n"
                 "  second: {type: agent, agent: writer, prompt: 'On from {{ first }}',"
                 " needs: [first], output_schema: {type: object, properties:"
                 " {n: {type: integer}}}, on_error: {value: \"'none'\"}}\n"
                 "  third: {type: agent, agent: writer, prompt: More., needs: [first]}\n"
                 "outputs: {first: first, second: second, third: third}\n",
     .inputs = "{}"},
    {.name = "large",
     .document = "cairn: 1\n"
                 "nodes:\n"
                 "  big: {type: task, large: true}\n"
                 "  part: {type: transform, needs: [big], value: size(big)}\n"
                 "  whole: {type: transform, needs: [big], value: big + 'x'}\n"
                 "outputs: {part: part, size: size(whole)}\n",
     .inputs = "{}"},
    {.name = "rollbacks",
     .document = "cairn: 1\n"
                 "on_failure: continue\n"
                 "inputs: {zero: {type: integer, default: 0}}\n"
                 "vars: {seen: []}\n"
                 "nodes:\n"
                 "  first: {type: task, value: one, checkpoint: begun}\n"
                 "  side: {type: task, needs: [first], large: true}\n"
                 "  each: {type: task, needs: [first], foreach: [1, 2], value: '{{ item }}',"
                 " set: {seen: 'vars.seen + [1]'}}\n"
                 "  bad: {type: transform, needs: [each], value: 1 / inputs.zero,"
                 " recover: [{rollback: '@begun'}, {rollback: each}]}\n"
                 "  last: {type: transform, needs: [side], value: size(side)}\n"
                 "outputs: {seen: vars.seen, last: last}\n",
     .inputs = "{}"},
    {.name = "approvals",
     .document =
         "cairn: 1\n"
         "inputs: {topic: {type: string, default: rivers}}\n"
         "vars: {n: 1}\n"
         "agents:\n"
         "  writer: {service: offline, system: 'About {{ inputs.topic }}.'}\n"
         "nodes:\n"
         "  draft: {type: transform, value: \"'on ' + inputs.topic\"}\n"
         "  ok: {type: ask, needs: [draft], prompt: Send?, choices: [send, drop],"
         " timeout: 2s, on_timeout: chief, approves: send}\n"
         "  chief: {type: ask, prompt: And now?, choices: [send, drop], timeout: 2s,"
         " on_timeout: {value: send}}\n"
         "  send: {type: task, needs: [ok.send], in: {text: draft},"
         " value: {token: 'a {{ secrets.TOKEN }}', text: '{{ text }}'}}\n"
         "  sure: {type: ask, needs: [send], prompt: Tell?, timeout: 2s,"
         " on_timeout: {value: well}, approves: tell}\n"
         "  tell: {type: agent, needs: [sure], agent: writer, prompt: 'Tell {{ draft }}.'}\n"
         "  more: {type: task, needs: [tell], value: 1}\n"
         "  set: {type: wait, needs: [more], for: 1s, set: {n: '2'}}\n"
         "  first: {type: ask, needs: [more], prompt: Now?, timeout: 1m,"
         " on_timeout: {value: well}, approves: late}\n"
         "  late: {type: task, needs: [first], value: '{{ vars.n }}',"
         " on_error: {value: \"'changed'\"}}\n"
         "outputs: {send: send, tell: tell, late: late}\n",
     .inputs = "{}"},
    {.name = "limits",
     .document = "cairn: 1\n"
                 "timeout: 10h\n"
                 "nodes:\n"
                 "  slow: {type: task, hangs: true, timeout: 2s, on_error: {value: \"'late'\"}}\n"
                 "  never: {type: task, needs: [slow], hangs: true}\n"
                 "outputs: {slow: slow}\n",
     .inputs = "{}"},
};
const size_t story_count = ARRAY_LEN(stories);
