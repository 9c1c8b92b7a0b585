// `sluice completion`: what the shells themselves make of it. bash is everywhere; the other two are skipped where they
// are not installed, which is printed, and in CI it fails.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { sluice } from './command.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-completion-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(path.join(folder, 'my cluster.yaml'), '')

async function scriptOf(shell: string): Promise<string> {
  const { code, stdout } = await sluice(['completion', shell])
  expect(code).toBe(0)
  const file = path.join(folder, `sluice.${shell}`)
  writeFileSync(file, stdout)
  return file
}

/** Whether to skip what needs the shell. */
function lacks(shell: string): boolean {
  const missing = spawnSync(shell, ['--version'], { stdio: 'ignore' }).status !== 0
  if (missing) process.stderr.write(`SKIPPED: completion in ${shell}: apt-get install ${shell}\n`)
  test.runIf(process.env['CI'] === 'true')(`completion in ${shell} is tested in CI`, () => {
    expect(missing, `scripts/set-up second-kernel installs ${shell}`).toBe(false)
  })
  return missing
}

/** What bash offers for the last of the words. */
async function completeInBash(...words: readonly string[]): Promise<readonly string[]> {
  const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['--norc', '-c', script, 'bash', await scriptOf('bash'), ...words], {
    encoding: 'utf8',
    cwd: folder,
  })
  return output.split('\n').filter((line) => line !== '')
}

describe('in bash', () => {
  test('commands are completed', async () => {
    expect(await completeInBash('sluice', 're')).toEqual(['render'])
    expect(await completeInBash('sluice', 'g')).toEqual(['golden', 'graph'])
    expect(await completeInBash('sluice', '')).toEqual(
      expect.arrayContaining(['render', 'run', 'trace', 'explain', 'diff']),
    )
  })

  test('options are those of the command', async () => {
    expect(await completeInBash('sluice', 'graph', '--pa')).toEqual(['--packet'])
    expect(await completeInBash('sluice', 'render', '--pa')).toEqual([])
    expect(await completeInBash('sluice', '--v')).toEqual(['--version'])
  })

  test('values are those of the option', async () => {
    expect(await completeInBash('sluice', 'graph', 'shop/web', '-o', '')).toEqual(['mermaid', 'svg', 'html'])
    expect(await completeInBash('sluice', 'trace', '--family', 'ipv6')).toEqual(['ipv6'])
    expect(await completeInBash('sluice', 'graph', '--node', '')).toEqual([])
    expect(await completeInBash('sluice', 'completion', 'z')).toEqual(['zsh'])
  })

  test('files are completed where files are wanted, with spaces', async () => {
    expect(await completeInBash('sluice', 'render', '-f', 'my')).toEqual(['my cluster.yaml'])
    expect(await completeInBash('sluice', 'diff', 'my')).toEqual(['my cluster.yaml'])
    expect(await completeInBash('sluice', 'graph', 'my')).toEqual([])
  })

  test('it is there for sluice and as a plugin of kubectl', async () => {
    const output = execFileSync('bash', ['--norc', '-c', 'source "$1"; complete -p', 'bash', await scriptOf('bash')], {
      encoding: 'utf8',
    })
    expect(output.split('\n')).toEqual(
      expect.arrayContaining(['complete -F _sluice sluice', 'complete -F _sluice kubectl-sluice']),
    )
  })
})

describe.skipIf(lacks('fish'))('in fish', () => {
  async function completeInFish(line: string): Promise<readonly string[]> {
    const script = `source ${await scriptOf('fish')}; complete -C ${JSON.stringify(line)}`
    const output = execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8', cwd: folder })
    return output
      .split('\n')
      .flatMap((found) => found.split('\t', 1)[0] ?? [])
      .filter((word) => word !== '')
  }

  test('commands, options and values are completed', async () => {
    expect(await completeInFish('sluice rend')).toEqual(['render'])
    expect(await completeInFish('sluice graph --pac')).toEqual(['--packet'])
    expect((await completeInFish('sluice graph -o ')).toSorted()).toEqual(['html', 'mermaid', 'svg'])
    expect(await completeInFish('sluice render --filename my')).toEqual(['my cluster.yaml'])
  })
})

describe.skipIf(lacks('zsh'))('in zsh', () => {
  test('the script is well-formed, and completes sluice', async () => {
    const script = `autoload -Uz compinit; compinit -D -u; source ${await scriptOf('zsh')}; print $_comps[sluice] $_comps[kubectl-sluice]`
    expect(execFileSync('zsh', ['-f', '-c', script], { encoding: 'utf8' })).toBe('_sluice _sluice\n')
  })

  test('commands, options and values are completed at the prompt', async () => {
    // A second zsh behind a terminal of its own, as a person would use it.
    const driver = `
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell "PROMPT='> '; autoload -Uz compinit; compinit -D -u; source ${await scriptOf('zsh')}; cd ${folder}; bindkey -e; bindkey '^I' complete-word; print R''EADY"
text=''
until [[ $text == *READY* ]]; do zpty -r shell piece || break; text+=$piece; done
`
    // What a line was completed to is made a comment, and read from the history.
    const run = `${driver}
complete_line() {
  zpty -w -n shell "$1"$'\\t'
  sleep 3
  zpty -w shell $'\\C-a: '
}
for line in 'sluice rend' 'sluice graph --pack' 'sluice graph -o merm' 'sluice render -f my'; do complete_line $line; done
zpty -w shell 'fc -ln -10; print E""ND'
text=''
for (( n = 0; n < 2000; n++ )); do
  zpty -r -t shell piece && text+=$piece || sleep 0.01
  [[ $text == *$'\\n'END* ]] && break
done
print -r -- $text
`
    const output = execFileSync('zsh', ['-f', '-c', run], { encoding: 'utf8', timeout: 200_000 })
    for (const line of [
      'sluice render',
      'sluice graph --packet',
      'sluice graph -o mermaid',
      'sluice render -f my\\ cluster.yaml',
    ]) {
      expect(output).toContain(`: ${line}`)
    }
  })
})
