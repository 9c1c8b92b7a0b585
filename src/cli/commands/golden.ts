// The options of `sluice golden`.
import type { Command } from 'commander'
import type { GoldenCommandOptions } from '../golden.ts'
import type { CommandContext } from './context.ts'

const HELP = `
A scenario is a folder with cluster.yaml (any manifests; or cluster.1.yaml, cluster.2.yaml ... for a story in steps), an
optional host.json, and a folder for each configuration, such as iptables/ with config.yaml. Its outputs are written
into that folder: iptables-save, ip6tables-save, in IPVS mode also ipset-save, ipvsadm-save and kube-ipvs0-addresses,
issues when the input has some, and for each further step of a story iptables-plan.2 and ip6tables-plan.2 (ipv4-plan.2
and ipv6-plan.2 in IPVS mode), what is sent to the kernel to get there from the step before.

Examples:
  sluice golden scenarios/                 do your manifests still come to the rules that you reviewed?
  sluice golden --write scenarios/         they are meant to change: write the new rules, then review them as a diff
  sluice golden --summary scenarios/       what changed, each distinct change once

Exit codes: 0 as expected; 1 something differs, or a file is there that no scenario produces; 2 not rendered.`

export function addGolden(program: Command, { setExitCode }: CommandContext): void {
  program
    .command('golden')
    .description('Check scenarios, folders of manifests, against the rules that are stored beside them')
    .argument('[folders...]', 'scenarios, or folders of them', ['.'])
    .option('--write', 'write the outputs anew; never inputs, never anything below a folder named recorded')
    .option('--summary', 'show each distinct change once, with the number of files')
    .addHelpText('after', HELP)
    .action(async (folders: readonly string[], options: GoldenCommandOptions) => {
      const { golden } = await import('../golden.ts')
      setExitCode(await golden(folders, options))
    })
}
