// @purista/core names this package for its agents, and the registry does not have it. Commands and events need none of it:
// the names only have to be there.
export class InMemoryStateStore {}
export class ModelCapabilityError extends Error {}
export class ModelError extends Error {}
export function defineHarness() {
  throw new Error('agents are not measured here')
}
