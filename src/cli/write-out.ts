/** Writes to standard output; resolves when there is room for more, also when nobody reads any more. */
export async function writeOut(text: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  if (stdout.destroyed || stdout.write(text) || stdout.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stdout.off("drain", done).off("error", done).off("close", done);
      resolve();
    };
    stdout.once("drain", done).once("error", done).once("close", done);
  });
}
