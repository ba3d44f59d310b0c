#!/usr/bin/env node
// Opens TUN devices, one for each argument, prints what became of it, then closes them and says when that is done.
import { openTun } from '../../dist/lab/tun/device.js'

const devices = []
for (const name of process.argv.slice(2)) {
  try {
    const device = await openTun(name, { onPacket: () => undefined })
    devices.push(device)
    console.log(`opened ${device.name}`)
  } catch (error) {
    console.log(`${error.code}: ${error.message} ${error.fix ?? ''}`.trim())
  }
}
for (const device of devices) {
  await Promise.all([device.close(), device.close()])
  console.log(`closed ${device.name}, writes ${device.write(new Uint8Array(20))}`)
}
