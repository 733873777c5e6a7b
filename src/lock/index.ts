/** Keeps other processes away from a folder, on this host and on others that see it. */
export { type FileLock, type LockOwner, type LockPatience, type LockWords, lockOwner, takeLock } from "./file-lock.ts";
