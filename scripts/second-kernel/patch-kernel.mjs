// Copies Debian's linux.uml, with one constant made larger where that is needed: patch-kernel.mjs FROM TO
//
// User-mode Linux up to 6.12 hands the host's ptrace(PTRACE_SETREGSET, NT_X86_XSTATE) a register area of 2,696 bytes. A
// CPU with a larger one, such as Intel's with AMX (11,008 bytes), refuses, and the kernel panics before its first
// process: "ptrace set fp regs failed, errno = 14". Hosts cut a longer area to what they have, so that a large constant
// is right on all of them. Newer kernels measure the area, have no such code, and are copied as they are.
//
// Plain JavaScript without packages, so that any Node runs it.
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** movq $0xa88,-0x8(%rbp); mov $0x4205,%edi: the length in the iovec, then the number of PTRACE_SETREGSET. */
const CODE = Buffer.from('48c745f8880a0000bf05420000', 'hex')
const LENGTH_OFFSET = 4
const LONG_ENOUGH = 0x4000

const [from, to] = process.argv.slice(2)
const kernel = readFileSync(from)
const place = kernel.indexOf(CODE)
const isOnlyPlace = place >= 0 && kernel.indexOf(CODE, place + 1) < 0
if (isOnlyPlace) kernel.writeUInt32LE(LONG_ENOUGH, place + LENGTH_OFFSET)

// Several test runs may do this at once: a name of our own, then all at once.
const unfinished = `${to}.${process.pid}`
writeFileSync(unfinished, kernel)
chmodSync(unfinished, 0o755)
renameSync(unfinished, to)
