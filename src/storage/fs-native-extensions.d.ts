declare module 'fs-native-extensions' {
  /** Takes the operating system's exclusive lock on an open file; false where another process has it. */
  export function tryLock(fd: number): boolean
}
