const TRIES = 3;

/** Does what a user would do again: on a busy machine a node of Ray may miss Ray's own deadline of 30 s. */
export async function persistently<T>(action: () => Promise<T>, say: (text: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (attempt === TRIES) throw error;
      say(`tried again: ${error}`);
    }
  }
}
