// Reads Mermaid text of ours, for tests.

/** The boxes and arrows of Mermaid text, arrows with the first line of the boxes in place of their ids; sorted. */
export function readMermaid(text: string): { readonly boxes: readonly string[]; readonly arrows: readonly string[] } {
  const boxes = new Map<string, string>()
  const arrows: string[] = []
  for (const line of text.split('\n')) {
    const [, id, label] = /^ +(n\d+)[[({]+"(.*)"[\])}]+$/.exec(line) ?? []
    if (id !== undefined) boxes.set(id, label ?? '')
    const [, from = '', , on, to = ''] = /^ +(n\d+) -->(\|"(.*)"\|)? (n\d+)$/.exec(line) ?? []
    const first = (box: string) => boxes.get(box)?.split('<br>', 1)[0] ?? box
    if (from !== '') arrows.push(`${first(from)} -${on === undefined ? '' : ` ${on} -`}> ${first(to)}`)
  }
  return { boxes: [...boxes.values()].toSorted(), arrows: arrows.toSorted() }
}
