// What must be found first in each file of test/explain/clusters/broken.
import type { Place } from '../support/explained.ts'

export interface ExpectedFinding extends Place {
  /** The first finding, as `severity check`. */
  readonly first: string
  /** Object and field of the first finding. */
  readonly at: string
  /** Words that its text must have. */
  readonly says: RegExp
}

const SERVICE = 'Service default/web'
const TARGET = `${SERVICE} spec.ports[0].targetPort`

/** Written by hand, by what is wrong in each file. */
export const BROKEN: Readonly<Record<string, ExpectedFinding>> = {
  'selector-typo': {
    first: 'error selector-matches-no-pod',
    at: `${SERVICE} spec.selector`,
    says: /app=wep.*app=web/s,
  },
  'selector-one-label-too-many': {
    first: 'error selector-matches-no-pod',
    at: `${SERVICE} spec.selector`,
    says: /no label tier/,
  },
  'pods-in-other-namespace': {
    first: 'error selector-matches-no-pod',
    at: `${SERVICE} spec.selector`,
    says: /namespace shop/,
  },
  'no-selector-no-slices': { first: 'error no-selector', at: `${SERVICE} spec.selector`, says: /service-name: web/ },
  'slice-without-label': { first: 'error no-selector', at: `${SERVICE} spec.selector`, says: /web-1 \(no label\)/ },
  'slice-label-of-other-name': {
    first: 'error no-selector',
    at: `${SERVICE} spec.selector`,
    says: /web-1 \(label webb\)/,
  },
  'slice-port-name': {
    first: 'error slice-port-mismatch',
    at: `${SERVICE} spec.ports[0].name`,
    says: /named http.*web 8080\/tcp/,
  },
  'slice-port-protocol': {
    first: 'error slice-port-mismatch',
    at: `${SERVICE} spec.ports[0].name`,
    says: /protocol TCP.*http 8080\/udp/,
  },
  'slice-leads-to-cluster-ip': {
    first: 'error endpoint-is-service',
    at: 'EndpointSlice default/web-1 endpoints[0].addresses',
    says: /10\.96\.0\.20.*default\/db/,
  },
  'named-target-port-missing': { first: 'error target-port-missing', at: TARGET, says: /named web.*named http/ },
  'named-target-port-protocol': { first: 'error target-port-missing', at: TARGET, says: /dns as TCP.*UDP/ },
  'target-port-undeclared': { first: 'warning target-port-undeclared', at: TARGET, says: /9999.*8080\/tcp/ },
  'port-and-target-exchanged': { first: 'warning port-and-target-exchanged', at: TARGET, says: /exchanged/ },
  'target-is-node-port': { first: 'warning target-is-node-port', at: TARGET, says: /30080.*node port/ },
  'target-port-forgotten': { first: 'warning target-port-defaulted', at: TARGET, says: /Set targetPort to 8080/ },
  'target-port-udp': { first: 'warning target-port-protocol', at: TARGET, says: /8080 as UDP/ },
  'readiness-probe-fails': {
    first: 'error readiness-probe',
    at: 'Pod default/web-1 spec.containers[0].readinessProbe',
    says: /HTTP GET \/healthz on port 8081/,
  },
  'readiness-probe-port-name': {
    first: 'error probe-port-missing',
    at: 'Pod default/web-1 spec.containers[0].readinessProbe',
    says: /port health/,
  },
  'startup-probe': {
    first: 'error startup-probe',
    at: 'Pod default/web-1 status.containerStatuses',
    says: /startup probe/,
  },
  'crash-loop': {
    first: 'error container-stopped',
    at: 'Pod default/web-1 status.containerStatuses',
    says: /CrashLoopBackOff after 7 restarts.*kubectl logs web-1/s,
  },
  'image-missing': {
    first: 'error container-stopped',
    at: 'Pod default/web-1 status.containerStatuses',
    says: /ImagePullBackOff.*image/s,
  },
  unschedulable: {
    first: 'error pod-unscheduled',
    at: 'Pod default/web-1 status.conditions',
    says: /Insufficient memory/,
  },
  'readiness-gate': {
    first: 'error readiness-gate',
    at: 'Pod default/web-1 status.conditions',
    says: /target-health\.example\.com\/web/,
  },
  'pods-finished': { first: 'error pods-ended', at: `${SERVICE} spec.selector`, says: /web-1 \(Succeeded\)/ },
  'slices-stale': { first: 'warning stale-endpoint', at: SERVICE, says: /10\.244\.1\.77/ },
  'none-ready-without-pods': { first: 'error none-ready', at: `${SERVICE} spec.ports[0]`, says: /2 not ready/ },
  'only-terminating': { first: 'warning only-terminating', at: `${SERVICE} spec.ports[0]`, says: /last resort/ },
  'no-cluster-ip': { first: 'error no-cluster-ip', at: `${SERVICE} spec.clusterIP`, says: /no cluster IP yet/ },
  'bad-cluster-ip': { first: 'error unreadable', at: `${SERVICE} spec.clusterIP`, says: /10\.96\.0\.300/ },
  'node-port-out-of-reach': {
    first: 'error unreadable',
    at: `${SERVICE} spec.ports[0].nodePort`,
    says: /70000 is out of range/,
  },
  'family-without-endpoints': {
    first: 'error family-without-endpoints',
    at: `${SERVICE} spec.ipFamilies`,
    says: /no IPv6 endpoints/,
  },
  'headless-without-pods': { first: 'error selector-matches-no-pod', at: `${SERVICE} spec.selector`, says: /app=db/ },
  'headless-node-port': { first: 'error headless-type', at: `${SERVICE} spec.type`, says: /NodePort/ },
  'headless-port-mapping': { first: 'warning headless-maps-no-ports', at: TARGET, says: /own port 8080, not to 80/ },
  'external-name-is-ip': {
    first: 'error external-name-is-address',
    at: `${SERVICE} spec.externalName`,
    says: /192\.0\.2\.10/,
  },
  'external-name-missing': {
    first: 'error external-name-missing',
    at: `${SERVICE} spec.externalName`,
    says: /names nothing/,
  },
  'internal-local-none-here': {
    first: 'error internal-local-none-here',
    at: `${SERVICE} spec.internalTrafficPolicy`,
    says: /node node2.*works on node node1/,
    node: 'node2',
  },
  'external-local-none-here': {
    first: 'error external-local-none-here',
    at: `${SERVICE} spec.externalTrafficPolicy`,
    says: /node node2.*way of node node1/,
    node: 'node2',
  },
  'external-local-no-health-check': {
    first: 'warning no-health-check-port',
    at: `${SERVICE} spec.healthCheckNodePort`,
    says: /nodes without them drop/,
  },
  'hints-partly': {
    first: 'warning hints-ignored',
    at: `${SERVICE} spec.trafficDistribution`,
    says: /10\.244\.2\.5:8080/,
  },
  'hints-without-zone-label': {
    first: 'warning hints-ignored',
    at: `${SERVICE} spec.trafficDistribution`,
    says: /node1, because the Node has no zone label/,
    node: 'node1',
  },
  'client-excluded-by-ranges': {
    first: 'error client-excluded',
    at: `${SERVICE} spec.loadBalancerSourceRanges`,
    says: /203\.0\.113\.9 is in none/,
    node: 'node1',
    client: '203.0.113.9',
  },
  'ranges-unreadable': {
    first: 'error unreadable',
    at: `${SERVICE} spec.loadBalancerSourceRanges[0]`,
    says: /198\.51\.100\.0\/24x/,
  },
  'external-ip-conflict': {
    first: 'error address-conflict',
    at: `${SERVICE} spec.externalIPs[0]`,
    says: /198\.51\.100\.7:80\/tcp.*default\/api, whose rules come first/,
  },
  'external-ip-family': {
    first: 'error external-ip-family',
    at: `${SERVICE} spec.externalIPs[0]`,
    says: /2001:db8::7/,
  },
  'node-port-addresses-none': {
    first: 'error node-port-nowhere',
    at: 'node node1 nodePortAddresses',
    says: /30080 answers nowhere/,
    node: 'node1',
    flags: { 'nodeport-addresses': '172.16.0.0/12' },
  },
  'node-port-address-excluded': {
    first: 'error node-port-address-excluded',
    at: `${SERVICE} spec.ports[0].nodePort`,
    says: /leaves 192\.168\.1\.11 out.*127\.0\.0\.1/,
    node: 'node1',
    to: '192.168.1.11:30080',
    flags: { 'nodeport-addresses': '127.0.0.0/8' },
  },
  'left-to-other-proxy': {
    first: 'warning other-proxy',
    at: `${SERVICE} metadata.labels[service.kubernetes.io/service-proxy-name]`,
    says: /cilium/,
  },
  'load-balancer-pending': {
    first: 'warning load-balancer-pending',
    at: `${SERVICE} status.loadBalancer`,
    says: /30080/,
  },
  pinged: {
    first: 'error ping-virtual-ip',
    at: `${SERVICE} spec.clusterIP`,
    says: /virtual IP.*80\/tcp/s,
    to: '10.96.0.10',
  },
  'tried-target-port': {
    first: 'error tried-target-port',
    at: TARGET,
    says: /8080 is the targetPort/,
    to: '10.96.0.10:8080',
  },
  'tried-node-port-on-cluster-ip': {
    first: 'error tried-node-port',
    at: `${SERVICE} spec.ports[0].nodePort`,
    says: /30080 is the node port/,
    to: '10.96.0.10:30080',
  },
  'tried-service-port-on-node': {
    first: 'error tried-not-node-port',
    at: `${SERVICE} spec.ports`,
    says: /node port: 30080\/tcp/,
    to: '192.168.1.11:80',
  },
  'client-outside-cluster-ip': {
    first: 'error client-outside',
    at: `${SERVICE} spec.type`,
    says: /only a cluster IP/,
    client: '203.0.113.9',
  },
  'client-of-other-family': {
    first: 'error client-family',
    at: `${SERVICE} spec.ipFamilies`,
    says: /IPv6.*only IPv4/,
    client: 'fd00:244:1::9',
  },
  'duplicate-port-name': {
    first: 'error clashing-ports',
    at: `${SERVICE} spec.ports[1]`,
    says: /same name and protocol/,
  },
  'being-deleted': {
    first: 'warning being-deleted',
    at: `${SERVICE} metadata.deletionTimestamp`,
    says: /being deleted/,
  },
  'some-pods-not-ready': {
    first: 'warning container-not-ready',
    at: 'Pod default/web-2 status.containerStatuses',
    says: /not ready/,
  },
}
