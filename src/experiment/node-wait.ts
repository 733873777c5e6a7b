/** The wait for other nodes, when those that are left can't hold any trial. */
import { DistmisError } from "../errors/index.ts";

export interface NodeWait {
  /** Begins it, and says so, unless it has begun. */
  begin(missing: string): Promise<void>;
  end(): void;
}

/**
 * @param seconds 0: without an end
 * @param fail is called with PLACEMENT_REFUSED when no nodes have come
 */
export function createNodeWait(
  seconds: number,
  warn: (text: string) => Promise<void>,
  fail: (error: DistmisError) => void,
): NodeWait {
  let timer: NodeJS.Timeout | undefined;
  let waits = false;
  return {
    async begin(missing) {
      if (waits) return;
      waits = true;
      const why = `nodes have left, and ${missing}`;
      if (seconds > 0) timer = setTimeout(fail, seconds * 1000, new DistmisError("PLACEMENT_REFUSED", why));
      await warn(`${why}; waiting for others${seconds > 0 ? ` for ${seconds} s` : ""}`);
    },
    end() {
      clearTimeout(timer);
      waits = false;
    },
  };
}
