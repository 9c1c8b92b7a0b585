// What device.test.ts wants of the addresses of kube-ipvs0, by name.
export const DEVICE_CHECKS = {
  noDevice: 'an interface that is not there has no addresses, and can not be deleted',
  makes: 'the dummy interface is made, and gets addresses of both families with the longest prefix',
  usable: 'IPv6 addresses serve at once',
  repeated: 'what is there, or gone, already is as wanted, however often it is asked for',
  strangers: 'the same address on another interface stays there',
  leftOut: 'the addresses of the node are without those of kube-ipvs0',
  many: '10,000 addresses come, and half of them go',
  deletes: 'the interface is deleted with all of its addresses',
  noModule: 'a kernel without dummy interfaces is told by the code ENOTSUP',
} as const
