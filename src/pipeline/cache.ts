/** Decoded volumes that are kept, up to a budget of bytes: the first ones that come stay, the others are read each time. */
import { memoryFor, sharedMemory, type VolumeShape } from "./arrays.ts";

export interface Cache {
  /** Where this volume lies, or null. */
  find(key: string): SharedArrayBuffer | null;
  /** Memory for a volume that is neither kept nor being read, or null if the budget has no room for it. */
  reserve(key: string, shape: VolumeShape): SharedArrayBuffer | null;
  /** Says that the reserved memory holds its volume, or never will. */
  settle(key: string, holds: boolean): void;
  /** Sets the budget; volumes beyond it are let go. */
  limit(bytes: number): void;
}

export function volumeCache(): Cache {
  const volumes = new Map<string, { memory: SharedArrayBuffer; bytes: number; holds: boolean }>();
  let [budget, used] = [0, 0];
  const remove = (key: string): void => {
    used -= volumes.get(key)?.bytes ?? 0;
    volumes.delete(key);
  };
  return {
    find(key) {
      const found = volumes.get(key);
      return found?.holds ? found.memory : null;
    },
    reserve(key, shape) {
      const bytes = memoryFor(shape, 1);
      if (volumes.has(key) || used + bytes > budget) return null;
      const memory = sharedMemory(bytes, "a kept volume");
      used += bytes;
      volumes.set(key, { memory, bytes, holds: false });
      return memory;
    },
    settle(key, holds) {
      const found = volumes.get(key);
      if (found && holds) found.holds = true;
      else remove(key);
    },
    limit(bytes) {
      budget = bytes;
      for (const key of [...volumes.keys()].reverse()) if (used > budget) remove(key);
    },
  };
}
