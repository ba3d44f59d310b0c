/** The package's version. Written here because reading package.json costs a file at every start; a test holds both equal. */
export const version = '0.1.0'
