/**
 * sluice as a library: what `sluice render` does, in steps.
 *
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import {
 *   assembleSnapshot,
 *   compile,
 *   defaultProxyConfig,
 *   describeNode,
 *   formatIssue,
 *   link,
 *   parseDocuments,
 *   printSave,
 * } from 'sluice'
 *
 * const file = 'examples/nginx/cluster.yaml'
 * const read = parseDocuments(readFileSync(file, 'utf8'), file)
 * const { snapshot, issues } = assembleSnapshot(read.objects)
 * for (const issue of [...read.issues, ...issues]) console.error(formatIssue(issue))
 *
 * const config = defaultProxyConfig()
 * const { facts } = describeNode('node1', snapshot.nodes.get('node1'), config, undefined)
 * const program = compile(snapshot, config, facts, 'ipv4')
 * process.stdout.write(printSave(link(program)))
 * ```
 *
 * This is examples/library.mjs. All of sluice that is exported here is pure: no clock, process, network or environment.
 * Bad input is returned as issues, never thrown.
 *
 * @packageDocumentation
 */
export { compareRules, type GroupDifference } from './compare/compare.ts'
export { textOfRuleset } from './compare/rule-text.ts'
export { explainDifferences, type SemanticDifference } from './compare/semantic.ts'
export { type AssembledCluster, assembleCluster } from './explain/assemble.ts'
export { type Explanation, explainService } from './explain/explain.ts'
export { type Finding as ServiceFinding } from './explain/finding.ts'
export type { Viewpoint } from './explain/viewpoint.ts'
export { decodeHost } from './host/host-file.ts'
export type { IpSet, SetHeader, SetName } from './ipset/ip-set.ts'
export { parseIpsetSave } from './ipset/parse.ts'
export { printIpsetSave } from './ipset/print.ts'
export type { Chunk, Entry, OwnedChain } from './iptables/chunk.ts'
export { compile, createCompiler } from './iptables/compile.ts'
export { diffRulesets } from './iptables/diff.ts'
export { diffPrograms } from './iptables/diff-programs.ts'
export { describeRules, type FamilyRules, type RuleDocument } from './iptables/document.ts'
export { isSharedChain, link, linkServices } from './iptables/link.ts'
export { parseSave } from './iptables/parse.ts'
export { canonicalise, printSave } from './iptables/print.ts'
export { printPayload, writePayload } from './iptables/print-payload.ts'
export { printRule } from './iptables/print-rule.ts'
export { chunkOf, type Program } from './iptables/program.ts'
export { printRestore, type RulesetChange } from './iptables/restore.ts'
export type { Chain, Match, Rule, Ruleset, Table, Target } from './iptables/rule.ts'
export { measureProgram } from './iptables/statistics.ts'
export { compileIpvs, createIpvsCompiler } from './ipvs/compile.ts'
export { linkIpvs } from './ipvs/link.ts'
export { parseIpvsadmSave } from './ipvs/parse.ts'
export { printIpvsadmSave } from './ipvs/print.ts'
export type { IpvsProgram, IpvsState } from './ipvs/program.ts'
export type { RealServer, VirtualServer } from './ipvs/virtual-server.ts'
export { decodeProxyConfig, defaultProxyConfig } from './kube/config/proxy-config.ts'
export { assembleSnapshot } from './kube/manifests/assemble.ts'
export { parseDocuments, type RawObject } from './kube/manifests/documents.ts'
export type { Finding as RuleFinding } from './lint/finding.ts'
export { lintRules } from './lint/lint.ts'
export { endpointsOf, type KnownEndpoints } from './lint/lint-balance.ts'
export { verifyRules } from './lint/verify.ts'
export { type Cidr, type Family, type Ip, parseCidr, parseIp } from './model/address.ts'
export type { ProxyConfig } from './model/config.ts'
export type { Host, HostFeatures } from './model/host.ts'
export { formatIssue, type Issue, type Place } from './model/issue.ts'
export type { NodeFacts } from './model/node.ts'
export type { Decision, Endpoint, ServicePort } from './model/service-port.ts'
export type { EndpointSlice, Node, Service, ServiceEntry, Snapshot } from './model/snapshot.ts'
export { findConflicts } from './resolve/conflicts.ts'
export { describeNode } from './resolve/node-facts.ts'
