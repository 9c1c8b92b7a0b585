// Commands to ipvsadm and ipset, good ones and bad ones, that the fake host must answer as the tools do.

export interface ToolStep {
  readonly program: 'ipvsadm' | 'ipset'
  readonly args: string
  readonly stdin: string
}

function servers(...lines: readonly string[]): ToolStep {
  return { program: 'ipvsadm', args: '-R', stdin: `${lines.join('\n')}\n` }
}

function sets(...lines: readonly string[]): ToolStep {
  return { program: 'ipset', args: 'restore', stdin: `${lines.join('\n')}\n` }
}

const SET = 'hash:ip,port family inet hashsize 1024'

export const TOOL_STEPS: readonly ToolStep[] = [
  servers('-A -t 10.0.0.1:80 -s rr', '-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1', '-A -u 10.0.0.1:80 -s wlc -p 300'),
  // It goes on after a line that the kernel refuses, and ends at one that it can't read.
  servers('-a -t 10.0.0.9:80 -r 10.1.0.1:80 -m -w 1', '-A -t 10.0.0.2:80 -s rr'),
  servers('-A -t 10.0.0.3:80 -s rr', '-A -t bogus -s rr', '-A -t 10.0.0.4:80 -s rr'),
  servers('-A -t 10.0.0.3:80 -s rr', '-A -t 10.0.0.5:80 -s rr'),
  servers('-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1'),
  servers('-d -t 10.0.0.1:80 -r 10.1.0.7:80'),
  servers('-e -t 10.0.0.1:80 -r 10.1.0.7:80 -m -w 0'),
  servers('-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0'),
  servers('-D -t 10.0.0.77:80'),
  servers('-E -t 10.0.0.77:80 -s rr'),
  servers('-A -t 10.0.0.78:80 -s nosuch', '-A -t 10.0.0.79:80 -s nosuch'),
  servers('-E -t 10.0.0.1:80 -s mh -p 100 -b mh-port'),
  servers('-a -t 10.0.0.1:80 -r 10.1.0.1:80000 -m -w 1'),
  servers('-A --sctp-service [fd00::1]:80 -s rr', '-a --sctp-service [fd00::1]:80 -r [fd00::2]:80 -m -w 1'),
  servers('-D -t 10.0.0.1:80'),
  sets(`create A ${SET} maxelem 4 -exist`, 'add A 10.0.0.1,tcp:80 -exist', 'add A 10.0.0.1,tcp:80 -exist'),
  sets(`create A ${SET} maxelem 8 -exist`),
  sets(`create A ${SET} maxelem 4 -exist`),
  sets('del A 10.0.0.55,tcp:80 -exist', 'del A 10.0.0.1,tcp:80 -exist'),
  // What the kernel refuses ends it; what stood before is done.
  sets(...[1, 2, 3, 4, 5, 6].map((port) => `add A 10.0.0.1,tcp:${port} -exist`)),
  sets('create B bitmap:port range 0-65535 -exist', 'add B 80 -exist'),
  sets('add NOPE 10.0.0.1,tcp:80 -exist'),
  sets('destroy NOPE'),
  sets(`create NEW ${SET} maxelem 8 -exist`, 'add NEW 10.0.0.9,udp:9 -exist', 'swap NEW A', 'destroy NEW'),
  sets('create NEW hash:ip family inet hashsize 1024 maxelem 8 -exist', 'swap NEW A', 'destroy NEW'),
  sets('swap NOPE A'),
  sets(
    'create C hash:ip,port,net family inet hashsize 1024 maxelem 65536 -exist',
    'add C 1.2.3.4,tcp:80,0.0.0.0/0 -exist',
  ),
  sets('add C 1.2.3.4,tcp:80,10.0.0.0/8 -exist', 'add C 1.2.3.4,sctp:80,10.0.0.7 -exist'),
  sets('destroy B', 'destroy C'),
]
