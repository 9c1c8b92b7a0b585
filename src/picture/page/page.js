// The page's behaviour. Everything that it says about packets was traced before: it only shows it. Texts of the cluster
// become text of the document, never markup; the drawings are markup of ours around places for such texts.
;(() => {
  'use strict'
  const ROW = 46
  const SPARE_ROWS = 6
  // Texts are 12 px high: from 11 px to 14 px on the page.
  const LEAST_SCALE = 0.9
  const MOST_SCALE = 1.17
  const END_MARGIN = 12
  const content = JSON.parse(document.getElementById('content').textContent)
  const element = (id) => document.getElementById(id)
  const [search, list, rows, count] = ['search', 'list', 'rows', 'count'].map(element)
  const [clients, targets, verdict, drawing, steps] = ['clients', 'targets', 'verdict', 'drawing', 'steps'].map(element)

  /** What can be searched of each Service as one text in lower case, made when it is first needed. */
  let texts
  /** What was searched last: what fits a longer text is among what fitted this one. */
  let lastWanted = ''
  /** Positions of the Services that are listed. */
  let found = content.services.map((_, index) => index)
  /** Place in `found`. */
  let active = 0
  /** Position of the Service that is shown. */
  let shown = -1
  const choice = { client: content.clients[0], target: 0 }
  /** The entrances of all ports of the Service that is shown. */
  let entrances = []
  let drawn

  /** The same as putIn of src/picture/tokens.ts. */
  function putIn(text, names) {
    return text.replace(/\{(\{|\d+>?\})/g, (_, inner) => {
      if (inner === '{') return '{'
      const name = names[Number.parseInt(inner, 10)] ?? ''
      return inner.endsWith('>}') ? name.slice(name.lastIndexOf('-') + 1) : name
    })
  }

  function make(name, text, attributes = {}) {
    const made = document.createElement(name)
    if (text !== '') made.textContent = text
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value)
    return made
  }

  // The list: only rows that can be seen exist.

  function searchable(index) {
    const [name, ports] = content.services[index]
    return [name, ...ports.flatMap((port) => port.slice(1))]
  }

  function find() {
    const wanted = search.value.trim().toLowerCase()
    texts ??= content.services.map((_, index) => searchable(index).join('\n').toLowerCase())
    const among = wanted.startsWith(lastWanted) ? found : content.services.map((_, index) => index)
    found = wanted === '' ? among : among.filter((index) => texts[index].includes(wanted))
    lastWanted = wanted
    active = Math.max(found.indexOf(shown), 0)
    const all = `${content.services.length} Service${content.services.length === 1 ? '' : 's'}`
    count.textContent = wanted === '' ? all : `${found.length} of ${all}`
    list.scrollTop = 0
    reveal()
  }

  /** What of the Service fits the search, for its row; else its first address. */
  function matchOf(index) {
    const wanted = search.value.trim().toLowerCase()
    const [name, ports, why] = content.services[index]
    const match =
      wanted === '' || name.toLowerCase().includes(wanted)
        ? undefined
        : searchable(index).find((text) => text.toLowerCase().includes(wanted))
    return match ?? why ?? ports[0]?.[name === ports[0][1] ? 2 : 3] ?? ''
  }

  function drawRows() {
    rows.style.height = `${found.length * ROW}px`
    const first = Math.max(Math.floor(list.scrollTop / ROW) - SPARE_ROWS, 0)
    const last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE_ROWS, found.length)
    const options = []
    for (let place = first; place < last; place += 1) {
      const index = found[place]
      const option = make('div', '', {
        role: 'option',
        id: `service-${index}`,
        'aria-selected': String(index === shown),
        'aria-posinset': String(place + 1),
        'aria-setsize': String(found.length),
      })
      if (place === active) option.classList.add('active')
      option.append(make('span', content.services[index][0]), make('small', matchOf(index)))
      option.style.top = `${place * ROW}px`
      option.addEventListener('click', () => activate(place, true))
      options.push(option)
    }
    rows.replaceChildren(...options)
    for (const holder of [list, search]) {
      if (found.length === 0) holder.removeAttribute('aria-activedescendant')
      else holder.setAttribute('aria-activedescendant', `service-${found[active]}`)
    }
  }

  /** Scrolls the active row into view. */
  function reveal() {
    const top = active * ROW
    if (top < list.scrollTop) list.scrollTop = top
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight
    drawRows()
  }

  function activate(place, show) {
    if (found.length === 0) return
    active = Math.min(Math.max(place, 0), found.length - 1)
    if (show) showService(found[active])
    reveal()
  }

  // The Service: its choices, its drawing, the way.

  function showService(index) {
    if (index === shown) {
      markFound()
      return
    }
    shown = index
    const [name, ports, why] = content.services[index]
    element('name').textContent = name
    entrances = ports.flatMap(([form, ...names]) =>
      content.forms[form].entrances.map((entrance, position) => ({ ...entrance, form, names, position })),
    )
    choice.target = 0
    targets.replaceChildren(
      ...entrances.map(({ kind, text, names }, position) => {
        const port = names[0].startsWith(`${name}:`) ? names[0].slice(name.length + 1) : ''
        const address = make('code', putIn(text, names))
        return radio('target', position, position === 0, [`${kind} `, address, port === '' ? '' : ` ${port}`])
      }),
    )
    drawn = undefined
    for (const part of [verdict, drawing, steps]) part.replaceChildren()
    if (why === undefined) showWay()
    else verdict.append(make('p', name), make('p', why))
  }

  function radio(group, value, checked, label) {
    const input = make('input', '', { type: 'radio', name: group, value: String(value) })
    input.checked = checked
    const around = make('label', '')
    around.append(input, ...label)
    return around
  }

  function showWay() {
    const entrance = entrances[choice.target]
    if (entrance === undefined) return
    const form = content.forms[entrance.form]
    const ways = form.ways[entrance.position]
    // The client that was chosen, or one that there is.
    const chosen = content.clients.indexOf(choice.client)
    const shownClient =
      ways[chosen] === 0
        ? Math.max(
            ways.findIndex((one) => one !== 0),
            0,
          )
        : chosen
    clients.querySelectorAll('input').forEach((input, index) => {
      input.disabled = ways[index] === 0
      input.checked = index === shownClient
    })
    draw(form, entrance)
    const way = ways[shownClient]
    light(way === 0 ? [] : way.nodes, 'node')
    light(way === 0 ? [] : way.edges, 'edge')
    drawn.svg.classList.toggle('has-way', way !== 0)
    showEnd()
    markFound()
    verdict.classList.toggle('arrives', way !== 0 && way.arrives)
    const words = way === 0 ? ['no address of such a client is known'] : way.words
    const from = way === 0 ? '' : ` (${putIn(way.from, entrance.names)})`
    const asked = `${content.clients[shownClient]}${from} → ${entrance.kind} ${putIn(entrance.text, entrance.names)}`
    verdict.replaceChildren(make('p', asked), ...words.map((line) => make('p', putIn(line, entrance.names))))
    steps.replaceChildren(...(way === 0 ? [] : way.nodes).map((lit) => make('li', stepText(lit))))
    drawing.setAttribute('aria-label', `Rules of ${entrance.names[0]}; the way of the packet is listed below`)
  }

  function draw(form, { form: number, names }) {
    const key = `${number} ${names[0]}`
    if (drawn?.key === key) return
    // Made by src/picture/svg.ts, which escapes everything that is not its own.
    const parsed = new DOMParser().parseFromString(
      form.svg.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" '),
      'image/svg+xml',
    )
    const svg = document.adoptNode(parsed.documentElement)
    // A line that is broken has its pieces in elements of their own.
    for (const text of svg.querySelectorAll('text'))
      for (const piece of text.childNodes) piece.textContent = putIn(piece.textContent, names)
    const part = (kind) =>
      new Map([...svg.querySelectorAll(`[data-${kind}]`)].map((group) => [Number(group.dataset[kind]), group]))
    // Not smaller than can be read: it is scrolled then.
    const { width } = svg.viewBox.baseVal
    svg.style.minWidth = `${width * LEAST_SCALE}px`
    svg.style.width = `${width * MOST_SCALE}px`
    drawn = { key, svg, node: part('node'), edge: part('edge') }
    drawing.replaceChildren(svg)
  }

  function light(lit, kind) {
    const shares = new Map(lit.map((one) => (typeof one === 'number' ? [one, ''] : one)))
    for (const [position, group] of drawn[kind]) {
      group.classList.toggle('lit', shares.has(position))
      const share = group.querySelector('.share')
      if (share !== null) share.textContent = shares.get(position) ?? ''
    }
  }

  /** A picture wider than its frame is scrolled to where the way ends: that is what was asked. */
  function showEnd() {
    const lit = [...drawn.node.values()].filter((group) => group.classList.contains('lit'))
    const rights = lit.map((group) => group.getBoundingClientRect().right)
    const left = drawing.getBoundingClientRect().left - drawing.scrollLeft
    drawing.scrollLeft = Math.max(...rights, left) - left - drawing.clientWidth + END_MARGIN
  }

  function stepText(lit) {
    const [position, share] = typeof lit === 'number' ? [lit, ''] : lit
    const lines = [...drawn.node.get(position).querySelectorAll('.first, .more')].map((line) => line.textContent)
    return `${share === '' ? '' : `${share} `}${lines.join(', ')}`
  }

  function markFound() {
    const wanted = search.value.trim().toLowerCase()
    for (const group of drawn?.node.values() ?? []) {
      group.classList.toggle('found', wanted !== '' && group.textContent.toLowerCase().includes(wanted))
    }
  }

  // Keys and clicks.

  function moveBy(key) {
    const page = Math.max(Math.floor(list.clientHeight / ROW) - 1, 1)
    const places = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page }
    return { ...places, Home: 0, End: found.length - 1 }[key]
  }

  list.addEventListener('keydown', (event) => {
    const place = moveBy(event.key)
    if (place !== undefined) activate(place, true)
    else if (event.key === 'Enter' || event.key === ' ') {
      activate(active, true)
      clients.querySelector('input:checked')?.focus()
    } else return
    event.preventDefault()
  })
  search.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') activate(moveBy(event.key), false)
    else if (event.key === 'Enter') {
      activate(active, true)
      list.focus()
    } else return
    event.preventDefault()
  })
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === '/' && event.target !== search) {
      event.preventDefault()
      search.focus()
      search.select()
    } else if (event.key === 'Escape') {
      event.preventDefault()
      if (event.target === search && search.value !== '') {
        search.value = ''
        find()
      } else list.focus()
    }
  })
  search.addEventListener('input', find)
  list.addEventListener('scroll', drawRows, { passive: true })
  window.addEventListener('resize', drawRows)
  clients.addEventListener('change', (event) => {
    choice.client = event.target.value
    showWay()
  })
  targets.addEventListener('change', (event) => {
    choice.target = Number(event.target.value)
    showWay()
  })

  clients.replaceChildren(...content.clients.map((client, index) => radio('client', client, index === 0, [client])))
  find()
  activate(0, true)
})()
