/** The files of a sparsebundle. */

export const bundlePath = 'Mac.sparsebundle'
export const bandsPath = `${bundlePath}/bands`
export const plistPath = `${bundlePath}/Info.plist`
export const temporaryPath = `${bundlePath}/Info.plist.new`

export const bandPath = (number: number): string => `${bandsPath}/${number.toString(16)}`

export const plistText = (generation: number): string =>
  `<plist><dict><key>generation</key><integer>${generation}</integer></dict></plist>\n`
