// What @purista/core reaches in process: commands from 64 callers, and events to one subscription. Prints one JSON line.
import { DefaultEventBridge, EBMessageType, ServiceBuilder, initLogger } from '@purista/core'
import { z } from 'zod'

const logger = initLogger('fatal')
const seconds = Number(process.argv[2] ?? 5)
const bridge = new DefaultEventBridge({ logger })
const builder = new ServiceBuilder({ serviceName: 'Bench', serviceVersion: '1', serviceDescription: 'a benchmark' })
const input = z.object({ id: z.number(), text: z.string() })
const output = z.object({ id: z.number() })
let received = 0

const command = builder
  .getCommandBuilder('run', 'answers at once')
  .addPayloadSchema(input)
  .addOutputSchema(output)
  .setCommandFunction(async function (_context, payload) {
    return { id: payload.id }
  })
builder.addCommandDefinition(command.getDefinition())

const subscription = builder
  .getSubscriptionBuilder('take', 'takes an event')
  .subscribeToEvent('benchTold')
  .setSubscriptionFunction(async function () {
    received += 1
  })
builder.addSubscriptionDefinition(subscription.getDefinition())

await bridge.start()
const service = await builder.getInstance(bridge, { logger })
await service.start()

const text = 'x'.repeat(112)
const sender = { serviceName: 'Caller', serviceVersion: '1', serviceTarget: 'main', instanceId: 'one' }
const coding = { contentType: 'application/json', contentEncoding: 'utf-8' }

function call(id) {
  return bridge.invoke({
    ...coding,
    messageType: EBMessageType.Command,
    sender,
    receiver: { serviceName: 'Bench', serviceVersion: '1', serviceTarget: 'run' },
    payload: { payload: { id, text }, parameter: {} },
  })
}

function emit(id) {
  return bridge.emitMessage({
    ...coding,
    messageType: EBMessageType.CustomMessage,
    sender,
    eventName: 'benchTold',
    payload: { id, text },
  })
}

// Runs `work` from `callers` loops for the given time and says how many there were in a second.
async function rate(callers, work) {
  const until = performance.now() + seconds * 1000
  const started = performance.now()
  let done = 0
  const loop = async () => {
    while (performance.now() < until) {
      await work(done)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, loop))
  return done / ((performance.now() - started) / 1000)
}

const answer = await call(7)
if (answer.id !== 7) throw new Error(`an odd answer: ${JSON.stringify(answer)}`)
await rate(64, call)
const commands = await rate(64, call)
received = 0
const before = performance.now()
await rate(1, async id => {
  await emit(id)
  if (id % 256 === 0) await new Promise(resolve => setImmediate(resolve))
})
const events = received / ((performance.now() - before) / 1000)
console.log(JSON.stringify({ node: process.version, purista: '3.2.4', commands_per_second: Math.round(commands), events_per_second: Math.round(events) }))
process.exit(0)
