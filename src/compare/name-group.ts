// What a group of differences is called.
import type { Group } from './owners.ts'

/** `Service ns1/svc1`, or what rules that are no Service's are called. */
export function nameGroup(group: Group): string {
  switch (group.kind) {
    case 'service':
      return `Service ${group.service}`
    case 'fixed':
      return 'fixed rules'
    case 'unknown':
      return 'chains of an unknown Service'
    case 'object':
      return group.name
    case 'foreign':
      return 'rules of others'
    default:
      return group satisfies never
  }
}
