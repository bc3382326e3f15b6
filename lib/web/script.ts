/**
 * What runs in browsers: the copy buttons, and the status page's figures and curves. Everything else works without. Text,
 * because nothing is built for browsers here; no backslashes, backquotes or dollar signs with braces.
 */
export const SCRIPT: string = `'use strict'
{
  const said = document.getElementById('said')

  for (const button of document.querySelectorAll('button[data-copy]')) {
    button.hidden = false
    let timer
    button.addEventListener('click', async () => {
      const done = await copy(button.dataset.copy, button.previousElementSibling)
      button.textContent = done ? 'Copied' : 'Selected'
      said.textContent = done ? 'Copied to the clipboard' : 'Selected, press Ctrl C to copy'
      clearTimeout(timer)
      timer = setTimeout(() => {
        button.textContent = 'Copy'
        said.textContent = ''
      }, 2000)
    })
  }

  async function copy (text, shown) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      // Without https there is no clipboard: what is shown is selected, and copied the old way.
      getSelection().selectAllChildren(shown)
      return document.execCommand('copy')
    }
  }

  const status = document.getElementById('status')
  if (status !== null) watch(status)

  function watch (status) {
    const live = document.getElementById('live')
    const liveText = document.getElementById('live-text')
    const rows = document.querySelector('#flight tbody')
    const idle = document.getElementById('idle')
    const charts = [...status.querySelectorAll('[data-chart]')].map(makeChart)
    document.getElementById('still').hidden = true
    let samples = null
    let source = null
    let timer = null

    function open () {
      source = new EventSource(status.dataset.events)
      source.onopen = () => tell('on', 'Live')
      source.onerror = () => tell('off', source.readyState === EventSource.CLOSED ? 'Not connected, reload the page' : 'Connecting again')
      source.onmessage = (event) => show(JSON.parse(event.data))
      timer = setInterval(() => { if (samples !== null) draw() }, 1000)
    }

    function close () {
      source.close()
      clearInterval(timer)
    }

    function tell (state, text) {
      live.hidden = false
      live.dataset.state = state
      if (liveText.textContent !== text) liveText.textContent = text
    }

    function show (view) {
      const first = samples === null
      samples = view.samples
      for (const place of status.querySelectorAll('[data-figure]')) {
        const text = view.figures[place.dataset.figure]
        if (text !== undefined) place.textContent = text
      }
      view.caches.forEach(({ cells }, i) => cells.forEach((cell, j) => {
        const place = status.querySelector('[data-figure="cache-' + i + '-' + j + '"]')
        if (place !== null) place.textContent = cell
      }))
      showOperations(view.operations)
      if (first) draw()
    }

    function showOperations (operations) {
      const heads = [...document.querySelectorAll('#flight thead th')]
      operations.forEach((operation, i) => {
        const row = rows.rows[i] ?? makeRow(heads)
        const link = row.querySelector('a')
        if (link.getAttribute('href') !== operation.href) link.href = operation.href
        setText(link.firstChild, operation.repository)
        operation.cells.forEach((cell, j) => setText(row.cells[j + 1], cell))
      })
      while (rows.rows.length > operations.length) rows.lastElementChild.remove()
      idle.hidden = operations.length > 0
    }

    function makeRow (heads) {
      const row = rows.insertRow()
      row.setAttribute('role', 'row')
      heads.forEach((head, i) => {
        const cell = document.createElement(i === 0 ? 'th' : 'td')
        cell.setAttribute('role', i === 0 ? 'rowheader' : 'cell')
        if (i === 0) cell.scope = 'row'
        if (head.className !== '') cell.className = head.className
        cell.dataset.head = head.textContent
        row.append(cell)
      })
      const link = document.createElement('a')
      link.append(document.createElement('bdi'))
      row.cells[0].append(link)
      return row
    }

    function setText (place, text) {
      if (place.textContent !== text) place.textContent = text
    }

    function draw () {
      for (const chart of charts) chart(samples)
    }

    document.addEventListener('visibilitychange', () => {
      if (document.hidden) close()
      else open()
    })
    addEventListener('pagehide', close)
    if (!document.hidden) open()
  }

  /** A curve of the last two minutes, a value a second. */
  function makeChart (svg) {
    const id = svg.dataset.chart
    const peak = document.querySelector('[data-peak="' + id + '"]')
    const values = []
    const [area, line] = ['area', 'line'].map((name) => {
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
      path.setAttribute('class', name)
      svg.append(path)
      return path
    })
    svg.removeAttribute('hidden')
    peak.hidden = false

    return (samples) => {
      values.push(samples[id])
      if (values.length > 121) values.shift()
      const highest = Math.max(...values)
      const top = Math.max(highest, svg.dataset.unit === 'bytes' ? 1024 : 4)
      const start = 121 - values.length
      const points = values.map((value, i) => (start + i) + ' ' + (38 - 35 * value / top).toFixed(2))
      line.setAttribute('d', 'M' + points.join('L'))
      area.setAttribute('d', 'M' + start + ' 40L' + points.join('L') + 'L120 40Z')
      peak.textContent = 'highest ' + (svg.dataset.unit === 'bytes' ? bytes(highest) + '/s' : highest)
    }
  }

  function bytes (value) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
    let unit = 0
    for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1024
    return (unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)) + ' ' + units[unit]
  }
}
`
